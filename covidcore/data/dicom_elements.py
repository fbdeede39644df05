"""A DICOM file as a list of elements, of which only those asked for are looked at.

Knows tags and lengths, not pixels or patients. Everything else is stepped over without being read:
names, dates and private data never become values here. Nested sequences are walked without
recursion and in bounded time; pydicom takes two minutes for four megabytes of empty items, in
``read_file_meta_info`` too (docs/decisions.md).
"""

import re
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from covidcore.data.containers import MAX_PARTS, crowded, damaged
from covidcore.errors import DecodeError

MAGIC = b"DICM"
PREAMBLE = 128
"""Bytes before the magic, of any content."""
PIXELS = 0x7FE0_0010
_SYNTAX = 0x0002_0010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_UNDEFINED = 0xFFFF_FFFF
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
"""Value representations whose length has four bytes (PS3.5, table 7.1-1)."""
_MAX_DEPTH = 64
IMPLICIT = "1.2.840.10008.1.2"


@dataclass
class Elements:
    """What was asked for of one file."""

    values: dict[int, bytes] = field(default_factory=dict)
    """Tag -> value as stored."""
    items: dict[int, list[dict[int, bytes]]] = field(default_factory=dict)
    """Tag of a sequence -> what was asked for of each of its items."""
    pixels: bytes | None = None
    """The value of the pixel data; where it is encapsulated, that of its one frame, joined."""


def is_dicom(data: bytes) -> bool:
    """Whether a file that begins with ``data`` says that it is DICOM."""
    return data[PREAMBLE : PREAMBLE + len(MAGIC)] == MAGIC


def read_syntax(data: bytes) -> tuple[str, int]:
    """The transfer syntax of a file, which says how the rest is stored, and where that begins.

    Raises: DecodeError.
    """
    reader, at, syntax = _Reader(data), PREAMBLE + len(MAGIC), b""
    try:
        while data[at : at + 2] == b"\2\0":
            element = reader.header(at, True)
            at = reader.end(element)
            if element.tag == _SYNTAX:
                syntax = data[element.start : at].rstrip(b"\0 ")
    except struct.error as error:  # a header that is cut short
        raise damaged("DICOM file") from error
    if not re.fullmatch(rb"[0-9.]{1,64}", syntax):
        raise DecodeError("unreadable", "This DICOM file does not say how its pixels are stored.")
    return syntax.decode(), at


def read_elements(
    data: bytes,
    start: int,
    syntax: str,
    wanted: Collection[int],
    sequences: Collection[int],
    within: Collection[int],
) -> Elements:
    """The ``wanted`` elements from ``start`` on, and ``within`` each item of ``sequences``.

    Little-endian only. What comes after the pixels is not looked at, and where an element comes
    twice the file is refused, as readers disagree about which of the two counts.
    Raises: DecodeError.
    """
    try:
        return _Reader(data).read(start, syntax != IMPLICIT, wanted, sequences, within)
    except struct.error as error:
        raise damaged("DICOM file") from error


@dataclass(frozen=True)
class _Element:
    tag: int
    start: int
    """Where its value begins."""
    length: int
    explicit: bool
    """Whether the elements inside of it name the kinds of their values."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.parts = data, 0

    def read(
        self,
        at: int,
        explicit: bool,
        wanted: Collection[int],
        sequences: Collection[int],
        within: Collection[int],
    ) -> Elements:
        found = Elements()
        while at < len(self.data):
            element = self.header(at, explicit)
            at = self.end(element)
            if element.tag in found.values or element.tag in found.items:
                raise damaged("DICOM file")
            if element.tag in sequences:
                found.items[element.tag] = list(self._items(element, at, within))
            elif element.tag == PIXELS:
                found.pixels = self._pixels(element, at)
            elif element.tag in wanted:
                found.values[element.tag] = self.data[element.start : at]
            if element.tag >= PIXELS:
                break
        return found

    def header(self, at: int, explicit: bool) -> _Element:
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise crowded("DICOM file")
        group, number = struct.unpack_from("<HH", self.data, at)
        tag = group << 16 | number
        kind = self.data[at + 4 : at + 6]
        # Some writers change to implicit inside of sequences; a length is no two capitals.
        if group != 0xFFFE and explicit and kind.isalpha() and kind.isupper():
            if kind in _LONG:
                (length,) = struct.unpack_from("<I", self.data, at + 8)
                # What is of unknown kind and undefined length is implicit inside (PS3.5, 6.2.2).
                return _Element(tag, at + 12, length, kind != b"UN")
            (length,) = struct.unpack_from("<H", self.data, at + 6)
            return _Element(tag, at + 8, length, True)
        (length,) = struct.unpack_from("<I", self.data, at + 4)
        return _Element(tag, at + 8, length, False)

    def end(self, element: _Element) -> int:
        """Where the element after this one begins."""
        end = element.start + element.length
        if element.length == _UNDEFINED:
            end = self._end_of_items(element)
        if end > len(self.data):
            raise damaged("DICOM file")
        return end

    def _end_of_items(self, sequence: _Element) -> int:
        """Walk what has no length of its own to the mark that ends it."""
        at = sequence.start
        stack = [(_SEQUENCE_END, sequence.explicit)]
        while stack:
            closes, explicit = stack[-1]
            element = self.header(at, explicit)
            at = element.start
            if element.tag in (_ITEM_END, _SEQUENCE_END):
                if element.tag != closes or element.length:
                    raise damaged("DICOM file")
                stack.pop()
            elif (element.tag == _ITEM) != (closes == _SEQUENCE_END):
                raise damaged("DICOM file")
            elif element.length != _UNDEFINED:
                at += element.length
            elif len(stack) == _MAX_DEPTH:
                raise crowded("DICOM file")
            elif element.tag == _ITEM:
                stack.append((_ITEM_END, explicit))
            else:
                stack.append((_SEQUENCE_END, element.explicit))
        return at

    def _items(
        self, sequence: _Element, end: int, within: Collection[int]
    ) -> Iterator[dict[int, bytes]]:
        at = sequence.start
        while at < end:
            item = self.header(at, sequence.explicit)
            if item.tag != _ITEM:
                return
            at = item.start
            stop = end if item.length == _UNDEFINED else min(at + item.length, end)
            values: dict[int, bytes] = {}
            while at < stop:
                element = self.header(at, sequence.explicit)
                if element.tag == _ITEM_END:
                    at = element.start
                    break
                at = self.end(element)
                if element.tag in within:
                    values[element.tag] = self.data[element.start : at]
            yield values

    def _pixels(self, element: _Element, end: int) -> bytes:
        """Raises: DecodeError where the encapsulated frame is in no fragment at all."""
        if element.length != _UNDEFINED:
            return self.data[element.start : end]
        fragments = []
        at = element.start
        while at < end:
            item = self.header(at, True)
            at = item.start + item.length
            if item.tag == _ITEM:
                fragments.append(self.data[item.start : min(at, end)])
        if len(fragments) < 2:  # the first is a table of offsets
            raise damaged("DICOM file")
        return b"".join(fragments[1:])
