"""What reading each file told, kept from one scan of a folder to the next.

A file whose size and time of change are the same as at the last scan is not read again.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidcore import storage
from covidcore.data.layout import Listing
from covidcore.errors import DataError, DecodeError

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], None]

_VERSION = 2  # of what is read from one file; a change reads every file again
_FACTS = ("width", "height", "mode", "sha256", "pixel_sha256", "dhash", "thumbnail", "reason")


def read_facts(listing: Listing, home: Path, progress: Progress | None) -> "pd.DataFrame":
    """One row a listed file, sorted: file, bytes, mtime_ns and what reading it told.

    ``reason`` says why a file can not be used, "" where it can. ``progress(done, total)`` counts
    the files that are read.
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
    if len(new):
        read = _read_all([listing.root / file for file in table.loc[new, "file"]], progress)
        for column, values in zip(_FACTS, zip(*read, strict=True), strict=True):
            kept = table[column].astype(object)
            kept.loc[new] = list(values)
            table[column] = kept
        table = table.astype({"width": "int64", "height": "int64"})
    if len(new) or len(now) != len(before):
        storage.write_table(path, table)
    return table


def _read_all(paths: list[Path], progress: Progress | None) -> list[tuple[Any, ...]]:
    """Decode files on all cores (Pillow lets go of the interpreter while it decodes)."""
    rows: list[tuple[Any, ...]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for row in pool.map(_read, paths):
                rows.append(row)
                if progress:
                    progress(len(rows), len(paths))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return rows


def _read(path: Path) -> tuple[Any, ...]:
    from covidcore.data.decode import Limits, decode
    from covidcore.data.duplicates import thumbnail
    from covidcore.data.hashes import dhash

    try:
        with path.open("rb") as file:
            data = file.read(Limits().max_bytes + 1)
    except OSError as error:
        return 0, 0, "", "", "", "", b"", f"The file can not be read: {error.strerror}."
    try:
        image = decode(data)
    except DecodeError as error:
        return 0, 0, "", storage.sha256_bytes(data), "", "", b"", str(error)
    height, width = image.pixels.shape
    pixels = storage.sha256_bytes(b"%dx%d:" % (width, height) + image.pixels.tobytes())
    looks = f"{dhash(image.pixels):016x}", thumbnail(image.pixels)
    return width, height, image.mode, storage.sha256_bytes(data), pixels, *looks, ""
