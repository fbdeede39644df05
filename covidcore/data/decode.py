"""Bytes to one grey 8-bit image: the only place where an image of unknown origin is opened.

Everything is judged from the header before a pixel is decoded. Nothing here changes a setting of
Pillow, pydicom or ``warnings``, so any number of threads may decode at once.
"""

import io
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from covidcore.data import bmp, containers, dicom, tiff, webp
from covidcore.data.containers import Container, damaged
from covidcore.data.dicom_elements import is_dicom
from covidcore.data.grey import UPRIGHT, Gray, from_eight_bits, from_sixteen_bits
from covidcore.data.signatures import known_as
from covidcore.errors import DecodeError

_Walker = Callable[[bytes], Container]

ALLOWED: tuple[tuple[re.Pattern[bytes], _Walker, type[ImageFile.ImageFile]], ...] = tuple(
    (re.compile(signature, re.DOTALL), strip, reader)
    for signature, strip, reader in (
        (re.escape(containers.PNG), containers.strip_png, PngImageFile),
        (re.escape(containers.JPEG), containers.strip_jpeg, JpegImageFile),
        (webp.SIGNATURE, webp.strip_webp, WebPImageFile),
        (bmp.SIGNATURE, bmp.strip_bmp, BmpImageFile),
        (tiff.SIGNATURE, tiff.strip_tiff, TiffImageFile),
    )
)
"""First bytes, who takes the file apart, and the one reader of Pillow that then sees it.

Not ``Image.open``: that warns through a global filter, and opens an MPO's table of further images.
"""


@dataclass(frozen=True)
class Limits:
    """The largest and smallest file that is read."""

    max_bytes: int = 25 * 2**20
    min_side: int = 32
    """px"""
    max_side: int = 12_000
    """px"""
    max_pixels: int = 40_000_000

    def in_words(self) -> str:
        """What a person is told before sending a file."""
        return (
            f"{self.min_side} to {self.max_side:,} pixels a side, at most "
            f"{self.max_pixels / 1e6:g} million pixels and {self.max_bytes / 2**20:g} MB each"
        )


@dataclass(frozen=True, eq=False)
class Decoded:
    """One image, upright and grey."""

    pixels: Gray
    """(H, W), 0 black to 255 white, C-contiguous."""
    mode: str
    """How the file stores it, in Pillow's words: "L", "RGB", "P", "I;16", ..."""
    format: str
    """"PNG", "JPEG", "WebP", "BMP", "TIFF" or "DICOM"."""
    colour: float = 0.0
    """Mean of (strongest - weakest channel) / 255 over a sample; 0 for any grey image."""
    subject: dicom.Subject = dicom.UNKNOWN
    """Age, sex and view, as coarse as they are kept; only DICOM files tell."""


def decode(source: Path | bytes, limits: Limits | None = None) -> Decoded:
    """Read an image of any mode as one grey channel, turned upright as its EXIF says.

    Colour becomes ITU-R 601 luma (exact where r = g = b), what is transparent is laid over black,
    and 16 bits are scaled to 8 (see ``grey.eight_bits``). Colour profiles and gamma are not
    applied; of DICOM files the window is (see ``dicom_window``).
    Raises: DecodeError with a code of the contract and a sentence that does not name the file.
    """
    limits = limits or Limits()
    data = _read(source, limits.max_bytes) if isinstance(source, Path) else bytes(source)
    if not data:
        raise DecodeError("unreadable", "This file is empty.")
    if len(data) > limits.max_bytes:
        raise _too_large(len(data), limits.max_bytes)
    for signature, strip, reader in ALLOWED:
        if signature.match(data):
            container = strip(data)
            _check(container, limits)
            return _pixels(container, reader)
    if is_dicom(data):
        return _from_dicom(data, limits)
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


def _from_dicom(data: bytes, limits: Limits) -> Decoded:
    try:
        found = dicom.read(data, lambda image: _check(image, limits))
    except DecodeError:
        raise
    except Exception as error:  # MemoryError among them
        raise damaged("DICOM file") from error
    return Decoded(found.pixels, found.mode, "DICOM", found.colour, found.subject)


def _pixels(container: Container, reader: type[ImageFile.ImageFile]) -> Decoded:
    try:
        with _opened(container, reader) as image:
            if image.size != (container.width, container.height):
                raise damaged(container.format)
            mode = image.mode
            if container.depth == 16:
                pixels, colour = from_sixteen_bits(image, lambda: _opened(container, reader))
            else:
                pixels, colour = from_eight_bits(image, container.depth)
    except DecodeError:
        raise
    except Exception as error:  # hostile files were seen to raise ten kinds, MemoryError among them
        raise damaged(container.format) from error
    if container.negative:
        pixels = 255 - pixels
    upright = np.ascontiguousarray(UPRIGHT[container.orientation](pixels))
    return Decoded(upright, mode, container.format, colour)


def _opened(container: Container, reader: type[ImageFile.ImageFile]) -> ImageFile.ImageFile:
    return reader(io.BytesIO(container.data))
