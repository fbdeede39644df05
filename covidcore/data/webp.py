"""WebP files as lists of parts, and a copy of them that holds one picture and its transparency.

Knows bytes, not pixels. Source: RFC 9649, "WebP Image Format".
"""

import struct

from covidcore.data.containers import MAX_PARTS, Container, crowded, damaged, exif_orientation
from covidcore.errors import DecodeError

SIGNATURE = rb"RIFF.{4}WEBP"

_LOSSY, _LOSSLESS, _EXTENDED, _ALPHA, _EXIF = b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"EXIF"
_START_CODE, _LOSSLESS_START = b"\x9d\x01\x2a", 0x2F
_HAS_ALPHA = 0x10


def strip_webp(data: bytes) -> Container:
    """Keep the one picture of a WebP, with its alpha channel.

    Its size is read where the decoder reads it, in the picture's own header. Raises: DecodeError,
    also for an animation.
    """
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise damaged("WebP")
    parts: dict[bytes, bytes] = {}
    at = 12
    for _ in range(MAX_PARTS):
        if at + 8 > end:
            break
        kind, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > end:
            raise damaged("WebP")
        if kind in (b"ANIM", b"ANMF"):
            raise DecodeError(
                "unsupported_format", "This WebP is an animation; only single pictures are read."
            )
        if kind in (_LOSSY, _LOSSLESS, _EXTENDED, _ALPHA, _EXIF):
            parts.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    else:
        raise crowded("WebP")
    orientation = exif_orientation(parts.get(_EXIF, b""))
    width, height, kept = _picture(parts)
    body = b"WEBP" + b"".join(_chunk(kind, part) for kind, part in kept)
    copy = b"RIFF" + struct.pack("<I", len(body)) + body
    return Container("WebP", copy, width, height, 8, orientation)


def _picture(parts: dict[bytes, bytes]) -> tuple[int, int, list[tuple[bytes, bytes]]]:
    """Width, height, and the chunks to keep."""
    lossy, lossless = parts.get(_LOSSY), parts.get(_LOSSLESS)
    if lossless is not None and lossy is None:
        if len(lossless) < 5 or lossless[0] != _LOSSLESS_START:
            raise damaged("WebP")
        bits = int.from_bytes(lossless[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, [(_LOSSLESS, lossless)]
    if lossy is None or lossless is not None or lossy[3:6] != _START_CODE or len(lossy) < 10:
        raise damaged("WebP")
    width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", lossy, 6))
    if _ALPHA not in parts:
        return width, height, [(_LOSSY, lossy)]
    if not width or not height:
        raise damaged("WebP")
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    extended = bytes([_HAS_ALPHA, 0, 0, 0]) + canvas
    return width, height, [(_EXTENDED, extended), (_ALPHA, parts[_ALPHA]), (_LOSSY, lossy)]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
