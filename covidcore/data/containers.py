"""PNG and JPEG files as lists of parts, and a copy of them that holds only what makes pixels.

Knows bytes, not pixels. The copy is what an image library gets to see, so text that inflates,
colour profiles, previews, further frames and EXIF tables whose entries overlap never reach it.
"""

import re
import struct
import zlib
from dataclasses import dataclass

from covidcore.errors import DecodeError

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"

MAX_SCANS = 100
"""A progressive JPEG costs a pass over the image per scan; real files hold up to 11."""
MAX_SCANNED = 1_000_000_000
"""Scans times pixels: 25 passes over the largest image that is read, a few seconds."""
MAX_PARTS = 50_000
"""PNG chunks or JPEG segments: 25 MB in chunks of 512 bytes; each costs some microseconds."""

_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_SOF = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_JPEG_KEPT = _SOF | {0xC4, 0xCC, 0xDB, 0xDD}  # Huffman, arithmetic, quantisation, restart interval
_BARE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})  # markers without a length
_EOI, _SOS, _APP0, _APP1, _APP14 = 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])")
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Container:
    """A file without its extras: ``data`` decodes to ``width`` x ``height`` pixels as stored."""

    format: str
    data: bytes
    width: int
    height: int
    depth: int
    """Bits a sample."""
    orientation: int
    """The EXIF value, 1 to 8; 1 where there is none."""
    scans: int = 1
    negative: bool = False
    """Whether its lowest value is white."""


def damaged(name: str) -> DecodeError:
    """The refusal of a file that begins well and does not go on so."""
    return DecodeError(
        "unreadable", f"This {name} is damaged or cut short, so its pixels can not be read."
    )


def crowded(name: str) -> DecodeError:
    """The refusal of a file whose parts would take too long to go through."""
    return DecodeError(
        "unreadable", f"This {name} is split into too many parts to be read safely; save it anew."
    )


def strip_png(data: bytes) -> Container:
    """Keep a PNG's header, palette, transparency and pixels, each with its checksum verified.

    Frames after the first of an animation live in chunks of their own and are dropped too.
    Raises: DecodeError.
    """
    view, kept, at, orientation = memoryview(data), [PNG], len(PNG), 1
    for _ in range(MAX_PARTS):
        if at + 12 > len(data):
            raise damaged("PNG")
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        wanted = kind in _PNG_KEPT
        if end > len(data) or (kind == b"IHDR") != (at == len(PNG)):
            raise damaged("PNG")
        if wanted or kind == b"eXIf":
            if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
                raise damaged("PNG")
            if wanted:
                kept.append(data[at:end])
            else:
                orientation = exif_orientation(data[at + 8 : end - 4])
        at = end
        if kind == b"IEND":
            break
    else:
        raise crowded("PNG")
    if len(kept[1]) != 25:
        raise damaged("PNG")
    width, height, depth = struct.unpack_from(">IIB", kept[1], 8)
    return Container("PNG", b"".join(kept), width, height, depth, orientation)


def strip_jpeg(data: bytes) -> Container:
    """Keep a JPEG's tables, frame header and scans, and the two markers that tell its colours.

    Pictures that follow the first one (MPO, motion photos) are left where they are: a decoder stops
    at the end of the first. Raises: DecodeError.
    """
    kept, at, orientation, frame = [JPEG[:2]], 2, 1, b""
    for _ in range(MAX_PARTS):
        at = data.find(b"\xff", at)
        marker = data[at + 1] if 0 <= at < len(data) - 4 else _EOI
        if marker == 0xFF:
            at += 1
            continue
        if marker in _BARE:
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker == _EOI or end > len(data) or end < at + 4:
            raise damaged("JPEG")
        if marker == _SOS:
            break
        part = data[at:end]
        if marker in _SOF:
            if frame or len(part) < 10:
                raise damaged("JPEG")
            frame = part
        if marker == _APP1 and part[4:10] == b"Exif\0\0" and orientation == 1:
            orientation = exif_orientation(part[10:])
        if marker in _JPEG_KEPT or part[4:9] == {_APP0: b"JFIF\0", _APP14: b"Adobe"}.get(marker):
            kept.append(part)
        at = end
    else:
        raise crowded("JPEG")
    if not frame:
        raise damaged("JPEG")
    depth, height, width = struct.unpack_from(">BHH", frame, 4)
    scans = _scans(data, at)
    return Container("JPEG", b"".join([*kept, data[at:]]), width, height, depth, orientation, scans)


def _scans(data: bytes, at: int) -> int:
    """Count the scans from the first one, at ``at``, to the end of the image.

    Two bytes that look like a start of scan are common after the image or inside a segment and rare
    elsewhere, so the quick count is right or too high, and only a high one is walked.
    """
    quick = data.count(b"\xff\xda", at)
    if quick <= MAX_SCANS:
        return quick
    scans = 0
    while (found := _MARKER.search(data, at)) and found[1][0] != _EOI and scans <= MAX_SCANS:
        scans += found[1][0] == _SOS
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    return scans


def exif_orientation(block: bytes) -> int:
    """Read one value of an EXIF block, 1 to 8, and follow no pointer but the first; else 1."""
    block = block.removeprefix(b"Exif\0\0")
    order = _TIFF.get(block[:4])
    try:
        if order is None:
            return 1
        (at,) = struct.unpack_from(order + "I", block, 4)
        (entries,) = struct.unpack_from(order + "H", block, at)
        for entry in range(at + 2, at + 2 + 12 * entries, 12):
            tag, kind = struct.unpack_from(order + "HH", block, entry)
            if tag == _ORIENTATION:
                (value,) = struct.unpack_from(order + ("I" if kind == 4 else "H"), block, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass  # a table cut short tells nothing; the pixels may still be sound
    return 1
