"""Check sums that lie in a file itself: whatever changed it since it was written is noticed.

In the file, for two files can not take their places at once. A check sum is no signature: it tells
a flipped bit or a slip of an editor, not somebody who means to deceive.
"""

import contextlib
import json
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar, cast

_LAST = re.compile(rb'"checksum": "([0-9a-f]{8})"\n?\}\n?$')
_BLANK = b"0" * 8
_MARK = b"covidcore-crc32:"
_NUMBER = 4  # bytes of a check sum
_BLOCK = 1 << 22
_RACY = 2_000_000_000  # nanoseconds; a file system's clock ticks far more often
_MOST = 1024

_T = TypeVar("_T")


def json_bytes(document: dict[str, Any]) -> bytes:
    """Indented JSON whose last entry, ``checksum``, is the CRC-32 of all of it (that blank).

    Half characters, as names that are not UTF-8 have, become ``\\udcff``, and come back.
    """
    text = json.dumps({**document, "checksum": _BLANK.decode()}, indent=1, ensure_ascii=False)
    return _sealed(f"{text}\n".encode("utf-8", "backslashreplace"))


def json_line(document: dict[str, Any]) -> str:
    """The same in one line, without its end, for a log."""
    data = json.dumps({**document, "checksum": _BLANK.decode()}).encode()
    return _sealed(data).decode()


def _sealed(data: bytes) -> bytes:
    found = _LAST.search(data)
    assert found  # it was put last
    return data[: found.start(1)] + b"%08x" % zlib.crc32(data) + data[found.end(1) :]


def parse(data: bytes) -> Any:
    """What a JSON file holds, its check sum taken off; one that has none is taken at its word.

    Raises: ValueError where it is no JSON, or not what was written; RecursionError.
    """
    value = json.loads(data)
    if isinstance(value, dict) and "checksum" in value:
        found = _LAST.search(data)
        if not found or not _is_sum_of(data, found):
            raise ValueError("it is not as it was written")
        del value["checksum"]
    return value


def _is_sum_of(data: bytes, found: "re.Match[bytes]") -> bool:
    blank = data[: found.start(1)] + _BLANK + data[found.end(1) :]
    return int(found[1], 16) == zlib.crc32(blank)


def seal_parquet(data: bytes) -> bytes:
    """A parquet file with a check sum of all of it before its footer, where no reader looks.

    Its pages have check sums of their own; the footer, with names, types and counts, has none.
    """
    place = _footer(data)
    return data[:place] + _MARK + zlib.crc32(data).to_bytes(_NUMBER, "little") + data[place:]


def parquet_is_whole(data: bytes) -> bool:
    """Whether a parquet file is as ``seal_parquet`` made it; one that has no check sum is."""
    place = _footer(data) - len(_MARK) - _NUMBER
    if place < 0 or data[place : place + len(_MARK)] != _MARK:
        return True
    end = place + len(_MARK) + _NUMBER
    rest = zlib.crc32(data[end:], zlib.crc32(data[:place]))
    return int.from_bytes(data[end - _NUMBER : end], "little") == rest


def _footer(data: bytes) -> int:
    """Where the footer of a parquet file begins, by its last bytes."""
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


class Sums:
    """Of an array file, written behind its last row: one of its header, and one a row."""

    def __init__(self, header: bytes) -> None:
        self._sums = [zlib.crc32(header)]

    def add(self, row: bytes | memoryview) -> None:
        """Of the next row."""
        self._sums.append(zlib.crc32(row))

    def __bytes__(self) -> bytes:
        """All of them, as they are written."""
        return b"".join(value.to_bytes(_NUMBER, "little") for value in self._sums)


def size_of_sums(rows: int) -> int:
    """Bytes that ``Sums`` of so many rows take."""
    return _NUMBER * (rows + 1)


def row_is_whole(file: IO[bytes], header: int, rows: int, row: int, data: bytes) -> bool:
    """Whether ``data`` is what was written as row ``row`` of an array file."""
    file.seek(header + rows * len(data) + size_of_sums(row))
    return file.read(_NUMBER) == zlib.crc32(data).to_bytes(_NUMBER, "little")


def is_whole(path: Path, header: int, rows: int, row_bytes: int) -> bool:
    """Whether an array file is what was written: a ``header`` of so many bytes, and its rows.

    Reads all of it, about a gigabyte a second, once a process while the file stays the same one.
    """
    try:
        stat = path.stat()
        if stat.st_size != header + rows * row_bytes + size_of_sums(rows):
            return False
        return once_while_it_stays(path, _as_written, header, rows, row_bytes)
    except OSError:
        return False


def once_while_it_stays(path: Path, look: Callable[..., _T], *more: Any) -> _T:
    """What ``look(path, *more)`` says, asked once a process while the file stays the same one.

    That is told by its time of change, size and place on the disk; bits that a disk turns behind
    its back are noticed by the next process. Raises: OSError.
    """
    stamp, key = _stamp(path), (str(path), look.__qualname__, *more)
    with _lock:
        known = _seen.get(key)
    if known and known[0] == stamp:
        return cast(_T, known[1])
    said = look(path, *more)
    if time.time_ns() - stamp[0] >= _RACY:  # else it may change within the same tick of the clock
        _keep(key, stamp, said)
    return said


def trust(path: Path, header: int, rows: int, row_bytes: int) -> None:
    """Let ``is_whole`` take an array file as whole that this process has just put in its place."""
    with contextlib.suppress(OSError):  # it is gone already
        _keep((str(path), _as_written.__qualname__, header, rows, row_bytes), _stamp(path), True)


def _stamp(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _keep(key: tuple[Any, ...], stamp: tuple[int, int, int], said: Any) -> None:
    with _lock:
        _seen.pop(key, None)
        _seen[key] = stamp, said
        if len(_seen) > _MOST:
            del _seen[next(iter(_seen))]


_seen: dict[tuple[Any, ...], tuple[tuple[int, int, int], Any]] = {}
_lock = threading.Lock()


def _as_written(path: Path, header: int, rows: int, row_bytes: int) -> bool:
    with path.open("rb") as file:
        sums = Sums(file.read(header))
        for row in _rows(file, rows, row_bytes):
            sums.add(row)
        return file.read() == bytes(sums)


def _rows(file: IO[bytes], rows: int, row_bytes: int) -> Iterator[memoryview]:
    """Row by row, read in large pieces."""
    at_once = max(1, _BLOCK // max(1, row_bytes))
    for start in range(0, rows, at_once):
        block = memoryview(file.read(min(at_once, rows - start) * row_bytes))
        for row in range(len(block) // row_bytes):
            yield block[row * row_bytes : (row + 1) * row_bytes]
