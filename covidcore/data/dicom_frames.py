"""Compressed DICOM frames, judged before a library decodes them: what do they promise to become?

A JPEG is taken apart as a JPEG file is. Of JPEG 2000 the header is compared with the file's, and
layers and tiles are counted; of run lengths, how much they unpack to.
"""

import struct
from collections.abc import Callable

from covidcore.data.containers import Container, damaged, strip_jpeg
from covidcore.errors import DecodeError

RLE = "1.2.840.10008.1.2.5"
_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_START_2000 = b"\xff\x4f\xff\x51"
_COD, _SOT = 0xFF52, 0xFF90
_MAX_TILES = 4096
_MAX_LAYERS = 256
_NAME = "DICOM file"

Size = tuple[int, int, int, int]
"""Rows, columns, samples a pixel, bytes a sample."""


def check_frame(syntax: str, frame: bytes, size: Size, check: Callable[[Container], None]) -> bytes:
    """The frame without what a decoder needs not see. Raises: DecodeError."""
    try:
        if syntax in _JPEG:
            return _check_jpeg(frame, size, check)
        return _check_rle(frame, size) if syntax == RLE else _check_2000(frame, size)
    except struct.error as error:
        raise damaged(_NAME) from error


def _check_jpeg(frame: bytes, size: Size, check: Callable[[Container], None]) -> bytes:
    if not frame.startswith(b"\xff\xd8\xff"):
        raise damaged(_NAME)
    image = strip_jpeg(frame)
    check(image)
    if (image.height, image.width, 1) != (*size[:2], size[3]):
        raise damaged(_NAME)
    return image.data


def _check_2000(frame: bytes, size: Size) -> bytes:
    """Of ISO 15444-1, annex A.5.1 (SIZ) and A.6.1 (COD)."""
    at = frame.find(_START_2000, 0, 4096)  # some files wrap it as a JP2 file
    if at < 0:
        raise damaged(_NAME)
    frame = frame[at:]
    x1, y1, x0, y0, tile_x, tile_y = struct.unpack_from(">6I", frame, 8)
    (components,) = struct.unpack_from(">H", frame, 40)
    if (y1 - y0, x1 - x0, components) != size[:3] or not tile_x or not tile_y:
        raise damaged(_NAME)
    tiles = -(-x1 // tile_x) * -(-y1 // tile_y)
    for component in range(components):
        depth, *steps = struct.unpack_from(">3B", frame, 42 + 3 * component)
        if steps != [1, 1] or (depth & 127) + 1 > 8 * size[3]:
            raise damaged(_NAME)
    if tiles > _MAX_TILES or _layers(frame) > _MAX_LAYERS:
        raise DecodeError(
            "unreadable", "This DICOM file is built of too many parts to be read safely."
        )
    return frame


def _layers(frame: bytes) -> int:
    """The most layers that a COD marker before the first tile promises."""
    at, most = 2, 0
    while at + 4 <= len(frame):
        marker, length = struct.unpack_from(">HH", frame, at)
        if marker == _SOT or length < 2:
            break
        if marker == _COD:
            most = max(most, struct.unpack_from(">H", frame, at + 6)[0])
        at += 2 + length
    return most


def _check_rle(frame: bytes, size: Size) -> bytes:
    """Of PS3.5, annex G: a plane of bytes a segment, and each has to unpack to one byte a pixel."""
    rows, columns, samples, width = size
    count, *starts = struct.unpack_from("<16I", frame)
    if count != samples * width or any(start < 64 for start in starts[:count]):
        raise damaged(_NAME)
    ends = [*starts[1:count], len(frame)]
    for start, end in zip(starts[:count], ends, strict=True):
        if not start < end <= len(frame) or not _fits(frame[start:end], rows * columns):
            raise damaged(_NAME)
    return frame


def _fits(segment: bytes, pixels: int) -> bool:
    """Whether it unpacks to ``pixels`` bytes; a little more is padding."""
    at = size = 0
    while at < len(segment) and size <= pixels + 256:
        head = segment[at]
        at += 2 + head if head < 128 else 2 if head > 128 else 1
        size += 1 + head if head < 128 else 257 - head if head > 128 else 0
    return pixels <= size <= pixels + 256
