"""Fingerprints of how an image looks, to find images that are nearly the same."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

BITS = 64
_BLOCK = 1 << 21
"""Comparisons done at once: 16 MB of differences."""


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


def near_pairs(hashes: npt.ArrayLike, distance: int) -> tuple[Indices, Indices]:
    """All pairs ``i < j``, in order, whose hashes differ in at most ``distance`` bits.

    Needs memory for the pairs found and 40 MB; n equal hashes are n * (n - 1) / 2 pairs.
    """
    found = list(_near_blocks(_as_hashes(hashes), distance))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([i for i, _ in found]), np.concatenate([j for _, j in found])


def _as_hashes(hashes: npt.ArrayLike) -> Hashes:
    array = np.asarray(hashes, dtype=np.uint64)
    if array.ndim != 1:
        raise ValueError(f"hashes must be one-dimensional, not of shape {array.shape}")
    return array


def _near_blocks(hashes: Hashes, distance: int) -> Iterator[tuple[Indices, Indices]]:
    """Compare a few rows at a time with all that follow them."""
    if not 0 <= distance <= BITS:
        raise ValueError(f"distance must be 0 to {BITS} bits, not {distance}")
    start, total = 0, len(hashes)
    while start < total - 1:
        rows = max(1, _BLOCK // (total - start))
        block = hashes[start : start + rows]
        near = np.bitwise_count(block[:, np.newaxis] ^ hashes[start:]) <= distance
        i, j = np.nonzero(near)
        later = i < j
        if later.any():
            yield i[later] + start, j[later] + start
        start += rows
