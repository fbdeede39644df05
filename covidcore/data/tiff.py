"""TIFF files: the first picture of one, written anew with nothing but what makes its pixels.

Knows bytes, not pixels. Strips are taken out one by one and set behind a directory of our own, so
that directories in circles, strips that overlap, tables, previews and further pages never reach an
image library. Source: TIFF 6.0 (Adobe 1992), with the technical notes on deflate.
"""

import struct
from collections.abc import Mapping

from covidcore.data.containers import MAX_PARTS, Container, crowded, damaged
from covidcore.errors import DecodeError

SIGNATURE = rb"(?:II\*\0|MM\0\*)(?!.{124}DICM)"
"""Not what is a DICOM file, too: pathology and CT have files that are both."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL = 256, 257, 258, 259, 262, 266
_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS, _COUNTS = 273, 274, 277, 278, 279
_PLANAR, _PREDICTOR, _PALETTE, _TILE, _EXTRA, _FORMAT = 284, 317, 320, 322, 338, 339

_TYPES = {1: (1, "B"), 3: (2, "H"), 4: (4, "I")}  # BYTE, SHORT, LONG
_LISTS = frozenset({_OFFSETS, _COUNTS})
_MAX_ENTRIES = 500
_MAX_VALUES = 1024  # of a palette of 8 bits: 768
_PLAIN = 1
_COMPRESSIONS = {_PLAIN, 5, 8, 32773, 32946}  # none, LZW, deflate, PackBits, old deflate
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _INDEXED = 0, 1, 2, 3

Tags = dict[int, tuple[int, ...]]


def strip_tiff(data: bytes) -> Container:
    """Keep the first picture of a TIFF: grey, by palette or in colours, in strips.

    White-is-zero files are marked ``negative``. Raises: DecodeError, also for tiles, floating
    point, planes and compressions other than LZW, deflate and PackBits.
    """
    order = "<" if data[:1] == b"I" else ">"
    try:
        tags = _directory(data, order)
        width, height = tags[_WIDTH][0], tags[_HEIGHT][0]
        kind = _kind(tags)
        strips = _strips(data, tags, kind, width, height)
    except (struct.error, KeyError, IndexError, OverflowError) as error:
        raise damaged("TIFF") from error
    copy = _written(order, width, height, tags, kind, strips)
    orientation = _one(tags, _ORIENTATION, 1)
    return Container(
        "TIFF",
        copy,
        width,
        height,
        kind["bits"],
        orientation if 1 <= orientation <= 8 else 1,
        negative=kind["photometric"] == _WHITE_IS_ZERO,
    )


def _directory(data: bytes, order: str) -> Tags:
    """The tags of the first directory that hold whole numbers; longer lists than needed are not."""
    (at,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, at)
    if entries > _MAX_ENTRIES:
        raise crowded("TIFF")
    tags: Tags = {}
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", data, entry)
        most = MAX_PARTS if tag in _LISTS else _MAX_VALUES
        if kind not in _TYPES or not count or tag in tags:
            continue
        if count > most:
            if tag in _LISTS:
                raise crowded("TIFF")
            continue
        size, letter = _TYPES[kind]
        start = entry + 8
        if size * count > 4:
            (start,) = struct.unpack_from(order + "I", data, start)
        tags[tag] = struct.unpack_from(f"{order}{count}{letter}", data, start)
    return tags


def _one(tags: Tags, tag: int, default: int) -> int:
    return tags.get(tag, (default,))[0]


def _kind(tags: Tags) -> dict[str, int]:
    """What a pixel is, where it is of a kind that is read."""
    samples = _one(tags, _SAMPLES, 1)
    depths = set(tags.get(_BITS, (1,)))
    kind = {
        "bits": max(depths),
        "samples": samples,
        "photometric": tags[_PHOTOMETRIC][0],
        "compression": _one(tags, _COMPRESSION, _PLAIN),
        "predictor": _one(tags, _PREDICTOR, 1),
    }
    bits, grey = kind["bits"], kind["photometric"] in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
    known = (
        (grey and samples == 1 and bits in (1, 2, 4, 8, 16))
        or (grey and kind["photometric"] == _BLACK_IS_ZERO and samples == 2 and bits == 8)
        or (kind["photometric"] == _RGB and samples in (3, 4) and bits == 8)
        or (kind["photometric"] == _INDEXED and samples == 1 and bits in (1, 2, 4, 8))
    )
    plain = (
        len(depths) == 1
        and _TILE not in tags
        and set(tags.get(_FORMAT, (1,))) == {1}
        and _one(tags, _FILL, 1) == 1
        and (samples == 1 or _one(tags, _PLANAR, 1) == 1)
        and kind["predictor"] in ((1, 2) if bits >= 8 else (1,))
    )
    if not known or not plain or kind["compression"] not in _COMPRESSIONS:
        raise DecodeError(
            "unsupported_format",
            "This TIFF is of a kind that is not read: only grey of up to 16 bits and colours of 8, "
            "stored plainly, with LZW, deflate or PackBits. Save it as PNG.",
        )
    return kind


def _strips(
    data: bytes, tags: Tags, kind: Mapping[str, int], width: int, height: int
) -> tuple[int, list[bytes]]:
    """Rows a strip, and the strips."""
    rows = min(_one(tags, _ROWS, height), height)
    offsets, counts = tags[_OFFSETS], tags[_COUNTS]
    if not width or not height or not rows:
        raise damaged("TIFF")
    needed = -(-height // rows)
    if needed > len(offsets) or len(offsets) != len(counts) or sum(counts) > len(data):
        raise damaged("TIFF")
    a_row = (width * kind["samples"] * kind["bits"] + 7) // 8
    strips = []
    for number, (at, size) in enumerate(zip(offsets[:needed], counts[:needed], strict=True)):
        here = min(rows, height - number * rows)
        short = kind["compression"] == _PLAIN and size < a_row * here
        # More pixels than any limit are refused as such, and not as missing.
        if at + size > len(data) or (short and width * height <= 8 * len(data)):
            raise damaged("TIFF")
        strips.append(data[at : at + size])
    return rows, strips


def _written(
    order: str,
    width: int,
    height: int,
    tags: Tags,
    kind: Mapping[str, int],
    strips: tuple[int, list[bytes]],
) -> bytes:
    """A TIFF of one directory; grey is black-is-zero, as libraries differ about the other."""
    rows, parts = strips
    offsets, at = [], 8
    for part in parts:
        offsets.append(at)
        at += len(part)
    negative = kind["photometric"] == _WHITE_IS_ZERO
    values: dict[int, tuple[str, tuple[int, ...]]] = {
        _WIDTH: ("I", (width,)),
        _HEIGHT: ("I", (height,)),
        _BITS: ("H", (kind["bits"],) * kind["samples"]),
        _COMPRESSION: ("H", (kind["compression"],)),
        _PHOTOMETRIC: ("H", (_BLACK_IS_ZERO if negative else kind["photometric"],)),
        _OFFSETS: ("I", tuple(offsets)),
        _SAMPLES: ("H", (kind["samples"],)),
        _ROWS: ("I", (rows,)),
        _COUNTS: ("I", tuple(map(len, parts))),
    }
    if kind["predictor"] != 1:
        values[_PREDICTOR] = ("H", (kind["predictor"],))
    if kind["photometric"] == _INDEXED:
        palette = tags.get(_PALETTE, ())
        if len(palette) != 3 << kind["bits"]:
            raise damaged("TIFF")
        values[_PALETTE] = ("H", palette)
    if kind["samples"] in (2, 4):
        values[_EXTRA] = ("H", (2,))  # transparency, not yet multiplied in
    at += at % 2
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at)
    body = head + b"".join(parts)
    return body + bytes(at - len(body)) + _table(order, values, at)


def _table(order: str, values: Mapping[int, tuple[str, tuple[int, ...]]], at: int) -> bytes:
    """A directory that begins at byte ``at``, with its longer lists behind it."""
    entries, lists = b"", b""
    behind = at + 2 + 12 * len(values) + 4
    for tag in sorted(values):
        letter, numbers = values[tag]
        packed = struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
        if len(packed) > 4:
            place = struct.pack(order + "I", behind + len(lists))
            lists += packed + bytes(len(packed) % 2)
        else:
            place = packed.ljust(4, b"\0")
        entries += struct.pack(order + "HHI", tag, 3 if letter == "H" else 4, len(numbers)) + place
    return struct.pack(order + "H", len(values)) + entries + bytes(4) + lists
