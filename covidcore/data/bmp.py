"""BMP files judged from their header: only what is stored plainly, row by row, is passed on.

Knows bytes, not pixels. Source: Microsoft, "Bitmap Storage", BITMAPINFOHEADER to BITMAPV5HEADER.
"""

import struct

from covidcore.data.containers import Container, damaged
from covidcore.errors import DecodeError

SIGNATURE = rb"BM.{4}\0{4}"
"""Not the two letters alone, with which a text may begin."""

_HEADERS = frozenset({40, 52, 56, 108, 124})
_DEPTHS = frozenset({1, 4, 8, 16, 24, 32})
_PLAIN, _BY_MASKS = 0, 3


def strip_bmp(data: bytes) -> Container:
    """Check that all rows are there, and drop what follows them.

    Raises: DecodeError, also for run lengths and for pictures inside the picture (JPEG, PNG).
    """
    try:
        (start,) = struct.unpack_from("<I", data, 10)
        size, width, height, planes, depth, compression = struct.unpack_from("<IiiHHI", data, 14)
    except struct.error as error:
        raise damaged("BMP") from error
    if size not in _HEADERS or compression not in (_PLAIN, _BY_MASKS):
        raise DecodeError(
            "unsupported_format",
            "This BMP is of a kind that is not read (old or compressed); save it as PNG.",
        )
    height = abs(height)  # negative: the rows begin at the top
    end = start + (width * depth + 31) // 32 * 4 * height
    if planes != 1 or depth not in _DEPTHS or width <= 0 or start < 14 + size:
        raise damaged("BMP")
    # More pixels than any limit are refused as such, and not as missing.
    if end > len(data) and width * height <= 8 * len(data):
        raise damaged("BMP")
    return Container("BMP", data[:end], width, height, 8, 1)
