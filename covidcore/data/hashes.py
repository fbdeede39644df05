"""Fingerprints of how an image looks, to find images that are nearly the same."""

import numpy as np
import numpy.typing as npt
from PIL import Image


def dhash(pixels: npt.NDArray[np.uint8]) -> int:
    """64 bits: in a 9 x 8 picture of the image, is each pixel darker than its right neighbour?

    ``pixels`` (H, W) uint8. Row by row, the first comparison in the highest bit. Averaged areas
    make it the same, but for a few bits, at another size, brightness, contrast or JPEG quality.
    A mirrored or turned image has another hash; one without any structure has 0. Radiographs are so
    alike that most near hashes are of different images: take near pairs as candidates.
    Source: Krawetz 2013, "Kind of like that".
    """
    small = np.asarray(Image.fromarray(pixels).resize((9, 8), Image.Resampling.BOX))
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes())
