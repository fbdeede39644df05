"""Samples to grey: whatever a file stores becomes one channel, 0 black to 255 white.

Knows pixels, not files: what it is given was judged by ``decode`` before.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

Gray = npt.NDArray[np.uint8]

_DEPTHS = (8, 10, 12, 14, 16)


def from_eight_bits(image: Image.Image, depth: int) -> tuple[Gray, float]:
    """Grey and colourfulness of an image of any 8-bit mode; ``depth`` is the file's, 1 to 8."""
    see_through = image.info.get("transparency")
    if image.mode == "L" and see_through is not None:
        # Pillow spreads 2 and 4 bit grey over 0..255, yet not the value that is see-through.
        image.info["transparency"] = see_through * 255 // (2**depth - 1)
    if image.mode in ("L", "1") and see_through is None:
        return np.asarray(image if image.mode == "L" else image.convert("L")), 0.0
    if see_through is None and image.mode not in ("LA", "PA", "RGBA"):
        return luma(image if image.mode == "RGB" else image.convert("RGB"))
    image = image.convert("RGBA")
    grey, colour = luma(image.convert("RGB"))
    alpha = image.getchannel("A")
    return _over_black(grey, alpha), colour


def from_sixteen_bits(
    image: ImageFile.ImageFile, again: Callable[[], ImageFile.ImageFile]
) -> tuple[Gray, float]:
    """Read a 16-bit PNG whole; left alone, Pillow keeps the high byte of anything but plain grey.

    So the same bytes are read once as big-endian and once as little-endian samples, whose high byte
    is the low one.
    """
    raw = image.tile[0].args
    see_through = image.info.get("transparency")
    if image.mode.startswith("I"):
        samples = np.asarray(image)[..., np.newaxis]
    elif raw == "LA;16B":
        image.tile = [image.tile[0]._replace(args="RGBA")]  # as wide: 4 bytes a pixel
        samples = np.asarray(image).view(">u2")
    else:
        samples = np.asarray(image).astype(np.uint16) << 8
        with again() as other:
            other.tile = [other.tile[0]._replace(args=f"{image.mode};16L")]
            samples |= np.asarray(other)
    channels = samples.shape[2]
    colours = samples[..., : channels if channels % 2 else channels - 1]
    shades = eight_bits(colours)
    grey, colour = luma(Image.fromarray(shades)) if shades.shape[2] == 3 else (shades[..., 0], 0.0)
    if see_through is not None:
        grey = np.where((colours == np.array(see_through)).all(axis=2), np.uint8(0), grey)
    if channels % 2 == 0:
        alpha = (samples[..., -1] >> 8).astype(np.uint8)
        grey = _over_black(grey, Image.fromarray(alpha))
    return grey, colour


def _over_black(grey: Gray, alpha: Image.Image) -> Gray:
    black = Image.new("L", alpha.size)
    return np.array(Image.composite(Image.fromarray(grey), black, alpha))


def luma(image: Image.Image) -> tuple[Gray, float]:
    """RGB to grey by ITU-R BT.601-7, section 2.5.1, and how far from grey it was."""
    sample = np.asarray(image.resize((64, 64), Image.Resampling.NEAREST))
    red, green, blue = np.moveaxis(sample, 2, 0)
    strongest = np.maximum(np.maximum(red, green), blue)
    colour = float((strongest - np.minimum(np.minimum(red, green), blue)).mean()) / 255
    return np.array(image.convert("L")), colour


def eight_bits(samples: npt.NDArray[np.unsignedinteger]) -> Gray:
    """Scale 16-bit samples to 0..255 by the depth that they use.

    Detectors of 10, 12 or 14 bits are stored in 16-bit files, often without a word of it: divided
    by 65535 their images would be black. The smallest usual depth that holds the brightest sample
    is taken, not that sample itself, so that exposure stays a property of the image. Samples that
    repeat one byte twice are 8-bit images, however dark.
    """
    if np.array_equal(samples >> 8, samples & 255):
        return (samples >> 8).astype(np.uint8)
    bits = depth_of(samples)
    table = np.rint(np.arange(1 << bits) * (255 / ((1 << bits) - 1))).astype(np.uint8)
    scaled: Gray = table[samples]
    return scaled


def depth_of(samples: npt.NDArray[np.unsignedinteger]) -> int:
    """The smallest usual number of bits that holds the brightest sample."""
    top = int(samples.max())
    return next(bits for bits in _DEPTHS if top < 1 << bits)


UPRIGHT: dict[int, Callable[[Gray], Gray]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.T,
    6: lambda pixels: pixels[::-1].T,
    7: lambda pixels: pixels[::-1, ::-1].T,
    8: lambda pixels: pixels.T[::-1],
}
"""What undoes each EXIF orientation (EXIF 2.32, tag 0x0112), as views."""
