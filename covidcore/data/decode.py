"""Bytes to one grey 8-bit image: the only place where an image of unknown origin is opened.

Everything is judged from the header before a pixel is decoded. Nothing here changes a setting of
Pillow or of ``warnings``, so any number of threads may decode at once.
"""

import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from covidcore.data import containers
from covidcore.data.containers import Container, damaged
from covidcore.data.signatures import known_as
from covidcore.errors import DecodeError

Gray = npt.NDArray[np.uint8]

ALLOWED: dict[bytes, tuple[Callable[[bytes], Container], type[ImageFile.ImageFile]]] = {
    containers.PNG: (containers.strip_png, PngImageFile),
    containers.JPEG: (containers.strip_jpeg, JpegImageFile),
}
"""First bytes -> who takes the file apart, and the one reader of Pillow that then sees it.

Not ``Image.open``: that warns through a global filter, and opens an MPO's table of further images.
"""

_DEPTHS = (8, 10, 12, 14, 16)


@dataclass(frozen=True)
class Limits:
    """The largest and smallest file that is read."""

    max_bytes: int = 25 * 2**20
    min_side: int = 32
    """px"""
    max_side: int = 12_000
    """px"""
    max_pixels: int = 40_000_000


@dataclass(frozen=True, eq=False)
class Decoded:
    """One image, upright and grey."""

    pixels: Gray
    """(H, W), 0 black to 255 white, C-contiguous."""
    mode: str
    """How the file stores it, in Pillow's words: "L", "RGB", "P", "I;16", ..."""
    format: str
    """"PNG" or "JPEG"."""
    colour: float = 0.0
    """Mean of (strongest - weakest channel) / 255 over a sample; 0 for any grey image."""


def decode(source: Path | bytes, limits: Limits | None = None) -> Decoded:
    """Read an image of any mode as one grey channel, turned upright as its EXIF says.

    Colour becomes ITU-R 601 luma (exact where r = g = b), what is transparent is laid over black,
    and 16 bits are scaled to 8 (see ``_eight_bits``). Colour profiles and gamma are not applied.
    Raises: DecodeError with a code of the contract and a sentence that does not name the file.
    """
    limits = limits or Limits()
    data = _read(source, limits.max_bytes) if isinstance(source, Path) else bytes(source)
    if not data:
        raise DecodeError("unreadable", "This file is empty.")
    if len(data) > limits.max_bytes:
        raise _too_large(len(data), limits.max_bytes)
    for signature, (strip, reader) in ALLOWED.items():
        if data.startswith(signature):
            container = strip(data)
            _check(container, limits)
            return _pixels(container, reader)
    raise known_as(data)


def _read(path: Path, max_bytes: int) -> bytes:
    """Read a regular file; a pipe or a device is refused, where reading might never end."""
    try:
        _check_file(path.stat(), max_bytes)
        # Not to wait, should the file have become a pipe since; O_BINARY is Windows' alone.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
        with os.fdopen(descriptor, "rb") as file:
            _check_file(os.fstat(descriptor), max_bytes)
            return file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise DecodeError("unreadable", "This file is not there.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is not valid"
        raise DecodeError("unreadable", f"This file can not be opened: {reason}.") from error


def _check_file(status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise DecodeError("unreadable", "This is not a file but a folder, a pipe or a device.")
    if status.st_size > max_bytes:
        raise _too_large(status.st_size, max_bytes)


def _too_large(size: int, limit: int) -> DecodeError:
    return DecodeError(
        "too_large", f"This file has {size / 2**20:.1f} MB; at most {limit / 2**20:g} MB are read."
    )


def _check(image: Container, limits: Limits) -> None:
    width, height, side = image.width, image.height, limits.min_side
    shape = f"This image is {width} x {height} px"
    if not width or not height:
        raise damaged(image.format)
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise DecodeError(
            "too_many_pixels",
            f"{shape}; at most {limits.max_side} px a side and "
            f"{limits.max_pixels / 1e6:g} million pixels are read.",
        )
    if min(width, height) < side:
        raise DecodeError("too_small", f"{shape}; at least {side} x {side} are needed.")
    if image.format == "JPEG" and image.depth != 8:
        raise DecodeError(
            "unsupported_format",
            f"This JPEG stores {image.depth} bits a sample; only 8 are read. Save it as PNG.",
        )
    if image.scans > containers.MAX_SCANS or image.scans * width * height > containers.MAX_SCANNED:
        raise DecodeError(
            "unreadable", "This JPEG is built of too many scans to be read safely; save it anew."
        )


def _pixels(container: Container, reader: type[ImageFile.ImageFile]) -> Decoded:
    try:
        with _opened(container, reader) as image:
            if image.size != (container.width, container.height):
                raise damaged(container.format)
            mode = image.mode
            if container.depth == 16:
                pixels, colour = _from_sixteen_bits(image, lambda: _opened(container, reader))
            else:
                pixels, colour = _from_eight_bits(image, container.depth)
    except DecodeError:
        raise
    except Exception as error:  # hostile files were seen to raise ten kinds, MemoryError among them
        raise damaged(container.format) from error
    upright = np.ascontiguousarray(_UPRIGHT[container.orientation](pixels))
    return Decoded(upright, mode, container.format, colour)


def _opened(container: Container, reader: type[ImageFile.ImageFile]) -> ImageFile.ImageFile:
    return reader(io.BytesIO(container.data))


def _from_eight_bits(image: Image.Image, depth: int) -> tuple[Gray, float]:
    see_through = image.info.get("transparency")
    if image.mode == "L" and see_through is not None:
        # Pillow spreads 2 and 4 bit grey over 0..255, yet not the value that is see-through.
        image.info["transparency"] = see_through * 255 // (2**depth - 1)
    if image.mode in ("L", "1") and see_through is None:
        return np.array(image if image.mode == "L" else image.convert("L")), 0.0
    if see_through is None and image.mode not in ("LA", "PA", "RGBA"):
        return _luma(image if image.mode == "RGB" else image.convert("RGB"))
    image = image.convert("RGBA")
    grey, colour = _luma(image.convert("RGB"))
    alpha = image.getchannel("A")
    return _over_black(grey, alpha), colour


def _from_sixteen_bits(
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
    shades = _eight_bits(colours)
    grey, colour = _luma(Image.fromarray(shades)) if shades.shape[2] == 3 else (shades[..., 0], 0.0)
    if see_through is not None:
        grey = np.where((colours == np.array(see_through)).all(axis=2), np.uint8(0), grey)
    if channels % 2 == 0:
        alpha = (samples[..., -1] >> 8).astype(np.uint8)
        grey = _over_black(grey, Image.fromarray(alpha))
    return grey, colour


def _over_black(grey: Gray, alpha: Image.Image) -> Gray:
    black = Image.new("L", alpha.size)
    return np.array(Image.composite(Image.fromarray(grey), black, alpha))


def _luma(image: Image.Image) -> tuple[Gray, float]:
    """RGB to grey by ITU-R BT.601-7, section 2.5.1, and how far from grey it was."""
    sample = np.asarray(image.resize((64, 64), Image.Resampling.NEAREST))
    red, green, blue = np.moveaxis(sample, 2, 0)
    strongest = np.maximum(np.maximum(red, green), blue)
    colour = float((strongest - np.minimum(np.minimum(red, green), blue)).mean()) / 255
    return np.array(image.convert("L")), colour


def _eight_bits(samples: npt.NDArray[np.unsignedinteger]) -> Gray:
    """Scale 16-bit samples to 0..255 by the depth that they use.

    Detectors of 10, 12 or 14 bits are stored in 16-bit files, often without a word of it: divided
    by 65535 their images would be black. The smallest usual depth that holds the brightest sample
    is taken, not that sample itself, so that exposure stays a property of the image. Samples that
    repeat one byte twice are 8-bit images, however dark.
    """
    if np.array_equal(samples >> 8, samples & 255):
        return (samples >> 8).astype(np.uint8)
    top = int(samples.max())
    bits = next(bits for bits in _DEPTHS if top < 1 << bits)
    table = np.rint(np.arange(1 << bits) * (255 / ((1 << bits) - 1))).astype(np.uint8)
    scaled: Gray = table[samples]
    return scaled


_UPRIGHT: dict[int, Callable[[Gray], Gray]] = {
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
