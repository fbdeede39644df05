"""The list at the end of a zip archive, read and checked before a byte is unpacked.

Python's own reader takes overlapping entries, lets a later entry replace an earlier one of the
same name, and turns ``../x`` into ``x``. Here whatever does not add up is an error. Source:
PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5.
"""

import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from covidcore.errors import ArchiveError

MAX_ENTRIES = 200_000
"""The largest published release has 42,335."""
_MAX_LIST = 64 * 2**20  # bytes

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s4B4HL2L5H2L")
LOCAL = struct.Struct("<4s2B4HL2L2H")
_MANY, _LARGE = 0xFFFF, 0xFFFFFFFF
_UTF8_FLAG = 1 << 11


@dataclass(frozen=True)
class Entry:
    """One entry as the list describes it; offsets and sizes in bytes."""

    name: str
    """As written by the packer, which may be anything; U+FFFD where its UTF-8 is wrong."""
    raw: bytes
    """The name's bytes, which the entry's own header has to repeat."""
    offset: int
    """Where that header begins."""
    end: int
    """Where the next entry, or the list, begins: nothing of this entry lies there."""
    packed: int
    size: int
    """Unpacked, as declared."""
    crc: int
    method: int
    """0 stored, 8 deflated."""
    flags: int
    kind: int
    """The file type in Unix' mode (``stat.S_IFMT``), 0 where the packer knew none."""

    @property
    def is_folder(self) -> bool:
        """A folder's name ends with a slash."""
        return self.name.endswith(("/", "\\"))


@dataclass(frozen=True)
class Directory:
    """The entries in the order in which they lie in the file, and what tells archives apart."""

    entries: tuple[Entry, ...]
    digest: str
    """SHA-256 of the list, which holds names, sizes and check sums of all that is inside."""
    size: int
    """Of the archive, in bytes."""


def read_directory(file: IO[bytes], title: str) -> Directory:
    """Read the list of a seekable archive called ``title``.

    Raises: ArchiveError where this is no zip archive, is cut off, has more than ``MAX_ENTRIES``, or
    lists entries that overlap or lie outside.
    """
    size = file.seek(0, os.SEEK_END)
    count, length, offset = _find_list(file, size, title)
    if count > MAX_ENTRIES or length > _MAX_LIST:
        raise ArchiveError(f"{title} lists {count:,} files; at most {MAX_ENTRIES:,} are read.")
    file.seek(offset)
    data = file.read(length)
    entries = sorted(_parse(data, title), key=lambda entry: entry.offset)
    if len(entries) != count:
        raise ArchiveError(f"{title} is damaged: it announces {count:,} files and lists others.")
    ends = [entry.offset for entry in entries[1:]] + [offset]
    placed = tuple(replace(one, end=end) for one, end in zip(entries, ends, strict=False))
    for entry in placed:
        if entry.offset + LOCAL.size + len(entry.raw) + entry.packed > entry.end:
            raise ArchiveError(
                f"{title} is refused: files in it overlap, as “{entry.name}” does. Such an archive "
                "unpacks to far more than it holds."
            )
    return Directory(placed, hashlib.sha256(b"%d:" % size + data).hexdigest(), size)


def _find_list(file: IO[bytes], size: int, title: str) -> tuple[int, int, int]:
    """How many entries the list has, its length, and where it begins."""
    start = max(0, size - _END.size - _MANY)
    file.seek(start)
    tail = file.read(size - start)
    at = tail.rfind(b"PK\5\6")
    while at >= 0:
        if len(tail) - at >= _END.size:
            end = _END.unpack_from(tail, at)
            if at + _END.size + end[7] == len(tail):
                break
        at = tail.rfind(b"PK\5\6", 0, at)
    else:
        raise ArchiveError(
            f"{title} is no zip archive, or its end is missing: copy or download it again."
        )
    _, disk, first_disk, here, count, length, offset, _ = end
    behind = start + at
    if _MANY in (disk, first_disk, here, count) or _LARGE in (length, offset):
        found = _find_list_64(file, behind, title)
        if found:
            behind, disk, first_disk, here, count, length, offset = found
    if disk or first_disk or here != count:
        raise ArchiveError(f"{title} is one part of an archive in several: join them first.")
    if offset + length != behind:
        raise ArchiveError(
            f"{title} is damaged: its list of files is not where it should be. Copy or download "
            "it again."
        )
    return count, length, offset


def _find_list_64(file: IO[bytes], behind: int, title: str) -> tuple[int, ...] | None:
    """The same of an archive above 4 GiB or 65,535 entries, and where the list ends."""
    if behind < _LOCATOR_64.size:
        return None
    file.seek(behind - _LOCATOR_64.size)
    mark, disk, at, disks = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size))
    if mark != b"PK\6\7":
        return None
    if at + _END_64.size > behind:
        raise ArchiveError(f"{title} is damaged: its list of files lies outside.")
    file.seek(at)
    mark, _, _, _, own, first, here, count, length, offset = _END_64.unpack(file.read(_END_64.size))
    if mark != b"PK\6\6" or disk or disks > 1:
        raise ArchiveError(f"{title} is damaged, or one part of an archive in several.")
    return at, own, first, here, count, length, offset


def _parse(data: bytes, title: str) -> Iterator[Entry]:
    at = 0
    while at < len(data):
        if len(data) - at < _ENTRY.size or data[at : at + 4] != b"PK\1\2":
            raise ArchiveError(f"{title} is damaged: its list of files breaks off.")
        fields = _ENTRY.unpack_from(data, at)
        flags, method, crc, packed, size = fields[5], fields[6], *fields[9:12]
        names, extras, comments = fields[12:15]
        attributes, offset = fields[-2:]
        at += _ENTRY.size
        raw, extra = data[at : at + names], data[at + names : at + names + extras]
        at += names + extras + comments
        if at > len(data) or not raw:
            raise ArchiveError(f"{title} is damaged: its list of files breaks off.")
        size, packed, offset = _widened(extra, (size, packed, offset), title)
        yield Entry(
            name=_text(raw, flags),
            raw=raw,
            offset=offset,
            end=0,
            packed=packed,
            size=size,
            crc=crc,
            method=method,
            flags=flags,
            kind=(attributes >> 16) & 0o170000,
        )


def _text(raw: bytes, flags: int) -> str:
    """Many packers write UTF-8 without saying so; what is no UTF-8 is in the code page of DOS."""
    if flags & _UTF8_FLAG:
        return raw.decode("utf-8", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _widened(extra: bytes, values: tuple[int, int, int], title: str) -> tuple[int, ...]:
    """Sizes and offsets that do not fit into four bytes stand in an extra field, in this order."""
    if _LARGE not in values:
        return values
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            wide = struct.unpack_from(f"<{min(length, len(extra) - 4) // 8}Q", extra, 4)
            if len(wide) < values.count(_LARGE):
                break
            given = iter(wide)
            return tuple(next(given) if value == _LARGE else value for value in values)
        extra = extra[4 + length :]
    raise ArchiveError(f"{title} is damaged: the size of a file in it is missing.")
