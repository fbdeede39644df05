"""Near duplicates on disk: two pictures that were compared once are not compared again.

Beside a dataset's index is a file of pictures that were all compared with one another, and of the
pairs found. A picture is known by what the answer depends on, so any dataset of the home can take
from any other's file: that of the same folder before one image was added, changed or moved, of a
part of it, of two that were joined. A file that is missing, damaged or of another rule is made
again; without room on the disk there is none.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from covidcore import storage
from covidcore.data import comparing
from covidcore.data.comparing import NearPairs, Rows
from covidcore.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_KEY = 16
"""Bytes a picture: enough for no two of them ever to be mixed up."""
_MOST = 1 << 22
"""Pairs that are kept, 55 MB of them; who has more has thousands of copies of one picture."""
_LOOKED_AT = 8
"""Other datasets, the latest ones, in which pictures are looked for."""
_NO_PAIRS = NearPairs(
    np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0, np.float32)
)


class Compared(NamedTuple):
    """Pictures that were all compared with one another."""

    pictures: Sequence[bytes]
    """A key each, no two the same."""
    pairs: NearPairs
    """Their rows are places in ``pictures``."""

    def among(self, keys: Sequence[bytes]) -> NearPairs:
        """The pairs whose pictures are both in ``keys``, as rows of these."""
        row_of = {key: row for row, key in enumerate(keys)}
        rows = np.array([row_of.get(key, -1) for key in self.pictures], dtype=np.int64)
        there = (rows[self.pairs.first] >= 0) & (rows[self.pairs.second] >= 0)
        first, second, mirrored, correlation = self.pairs.chosen(there)
        return NearPairs(rows[first], rows[second], mirrored, correlation).sorted()

    def lacks(self, keys: Sequence[bytes]) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Which of ``keys`` ``(N,)`` were not compared."""
        there = set(self.pictures)
        return np.array([key not in there for key in keys], dtype=bool)


NOTHING = Compared((), _NO_PAIRS)


def keys(index: "pd.DataFrame") -> list[bytes]:
    """A key a row: of the thumbnail, the difference hash, and the rule by which they are judged."""
    rule = storage.canonical_json(
        [comparing.VERSION, comparing.HASH_DISTANCE, comparing.CORRELATION]
    )
    looks = zip(index["thumbnail"], index["dhash"], strict=True)
    return [
        hashlib.sha256(b"%b:%b:%b" % (rule, dhash.encode(), thumbnail)).digest()[:_KEY]
        for thumbnail, dhash in looks
    ]


def known(path: Path, wanted: Sequence[bytes]) -> Compared:
    """Of the pictures ``wanted`` those in ``path``; where some are missing, in the file of any
    dataset that has most of them.
    """
    best = _read(path)
    lacking = int(best.lacks(wanted).sum())
    for other in _beside(path) if lacking else ():
        found = _read(other)
        lacks = int(found.lacks(wanted).sum())
        if lacks < lacking:
            best, lacking = found, lacks
    return best


def keep(path: Path, compared: Compared) -> None:
    """Write what was compared, where the disk has room."""
    if len(compared.pairs.first) > _MOST:
        return
    first, second, mirrored, correlation = compared.pairs
    with contextlib.suppress(DataError), storage.replacing(path) as file:
        np.savez(
            file,
            pictures=np.frombuffer(b"".join(compared.pictures), np.uint8).reshape(-1, _KEY),
            first=first.astype(np.int32),
            second=second.astype(np.int32),
            mirrored=mirrored,
            correlation=correlation,
        )


def _beside(path: Path) -> list[Path]:
    """The files of other datasets of the home, the latest first."""
    found: list[tuple[int, Path]] = []
    for other in path.parent.parent.glob(f"*/{path.name}"):
        with contextlib.suppress(OSError):
            if other != path:
                found.append((other.stat().st_mtime_ns, other))
    return [other for _, other in sorted(found, reverse=True)[:_LOOKED_AT]]


def _read(path: Path) -> Compared:
    """What a file holds; nothing where it is missing or damaged (zip has a check sum a part)."""
    try:
        with np.load(path, allow_pickle=False) as parts:
            pictures = [key.tobytes() for key in parts["pictures"]]
            pairs = NearPairs(
                _places(parts["first"], len(pictures)),
                _places(parts["second"], len(pictures)),
                parts["mirrored"].astype(bool),
                parts["correlation"].astype(np.float32),
            )
    except Exception:  # as with parquet, damage raises many kinds
        return NOTHING
    whole = len({len(part) for part in pairs}) == 1 and len(set(pictures)) == len(pictures)
    return Compared(pictures, pairs) if whole else NOTHING


def _places(numbers: "np.ndarray[tuple[int, ...], np.dtype[np.int32]]", count: int) -> Rows:
    """Raises: IndexError for a number that is none of ``count`` pictures'."""
    places = numbers.astype(np.int64)
    if len(places) and not 0 <= places.min() <= places.max() < count:
        raise IndexError(count)
    return places
