"""What reading each file told, kept from one scan of a folder to the next.

A file whose size and time of change are the same as at the last scan is not read again.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidcore import storage
from covidcore.data.listing import Listing
from covidcore.data.squares import SIZE, Scratch
from covidcore.errors import DataError, DecodeError

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], None]
Row = tuple[Any, ...]

_VERSION = 3  # of what is read from one file; a change reads every file again
_FACTS = (
    *("width", "height", "mode", "sha256", "pixel_sha256", "dhash", "thumbnail"),
    *("age", "sex", "view", "reason"),
)
_SLICE = 256
_TOGETHER = 8  # images of 224 px take less time than handing each to a thread


def read_facts(
    listing: Listing, home: Path, progress: Progress | None, kept: Scratch
) -> "pd.DataFrame":
    """One row a listed file, sorted: file, bytes, mtime_ns and what reading it told.

    ``reason`` says why a file can not be used, "" where it can. ``progress(done, total)`` counts
    the files that are read; where it raises, what was read so far is kept for the next time.
    ``kept`` takes a square of every image that is decoded.
    """
    import pandas as pd

    key = storage.sha256_bytes(os.fsencode(listing.root))[:16]
    path = home / "scans" / f"{key}-{_VERSION}.parquet"
    now = pd.DataFrame(
        [(file, size, mtime) for file, (size, mtime) in listing.stats.items()],
        columns=["file", "bytes", "mtime_ns"],
    )
    try:
        before = storage.read_table(path)[["file", "bytes", "mtime_ns", *_FACTS]]
        before = before[before["sha256"] != ""]  # a file that was closed may be open now
    except (DataError, KeyError):
        before = pd.DataFrame(columns=["file", "bytes", "mtime_ns", *_FACTS]).astype(
            {"file": str, "bytes": "int64", "mtime_ns": "int64"}
        )
    table = now.merge(before, on=["file", "bytes", "mtime_ns"], how="left").sort_values("file")
    table = table.reset_index(drop=True)
    new = table.index[table["reason"].isna()]
    if not len(new):
        if len(now) != len(before):
            storage.write_table(path, table)
        return table
    rows: list[Row] = []
    try:
        for row in _read_all([listing.root / file for file in table.loc[new, "file"]], kept):
            rows.append(row)
            if progress:
                progress(len(rows), len(new))
    finally:
        read = _with(table, new[: len(rows)], rows)
        if rows:
            storage.write_table(path, read[read["reason"].notna()])
    return read


def _with(table: "pd.DataFrame", new: "pd.Index[int]", rows: list[Row]) -> "pd.DataFrame":
    """The table with what reading the rows ``new`` told."""
    table = table.copy()
    for column, values in zip(_FACTS, zip(*rows, strict=True), strict=bool(rows)):
        kept = table[column].astype(object)
        kept.loc[new] = list(values)
        table[column] = kept
    whole = table["reason"].notna().all()
    return table.astype({"width": "int64", "height": "int64"}) if whole else table


def _read_all(paths: list[Path], kept: Scratch) -> Iterator[Row]:
    """Decode files on all cores (Pillow lets go of the interpreter while it decodes)."""
    keep = kept.expect(len(paths))

    def read(start: int) -> list[Row]:
        return [_read(path, keep) for path in paths[start : start + _TOGETHER]]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            # In slices: map() would queue every square while the disk is slow.
            for start in range(0, len(paths), _SLICE):
                parts = range(start, min(start + _SLICE, len(paths)), _TOGETHER)
                for *row, square in chain.from_iterable(pool.map(read, parts)):
                    if square:
                        kept.put(row[_FACTS.index("sha256")], square)
                    yield tuple(row)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _read(path: Path, keep: bool) -> Row:
    """The facts of a file, and its square, b"" where none is to be kept or there is no image."""
    from covidcore.data.decode import Limits, decode
    from covidcore.data.duplicates import thumbnail
    from covidcore.data.hashes import dhash
    from covidcore.data.pixels import resize

    try:
        with path.open("rb") as file:
            # So many bytes are made room for, however short the file is.
            data = file.read(min(os.fstat(file.fileno()).st_size, Limits().max_bytes) + 1)
    except OSError as error:
        return *_unread(""), f"The file can not be read: {error.strerror}.", b""
    try:
        image = decode(data)
    except DecodeError as error:
        return *_unread(storage.sha256_bytes(data)), str(error), b""
    height, width = image.pixels.shape
    pixels = hashlib.sha256(b"%dx%d:" % (width, height))
    pixels.update(image.pixels.data)
    looks = f"{dhash(image.pixels):016x}", thumbnail(image.pixels)
    person = image.subject.age, image.subject.sex, image.subject.view
    square = resize(image.pixels, SIZE).tobytes() if keep else b""
    sums = storage.sha256_bytes(data), pixels.hexdigest()
    return width, height, image.mode, *sums, *looks, *person, "", square


def _unread(sha256: str) -> Row:
    """The facts of a file of which no more is known, but for the reason."""
    return 0, 0, "", sha256, "", "", b"", "", "", ""
