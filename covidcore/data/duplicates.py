"""Which images of a dataset are the same picture: to the pixel, nearly, or nearly and mirrored.

The difference hash alone will not do: radiographs are so alike that most of the 2,905 images of
the first Kaggle release lie within two bits of another patient's. So a pair with close hashes is
held to be a near duplicate only where its 16 x 16 thumbnails agree as well (docs/decisions.md).
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covidcore import storage
from covidcore.data import kept_pairs
from covidcore.data.comparing import NearPairs, Rows, compare, joined
from covidcore.data.facts import Progress

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

THUMBNAIL = 16
"""Pixels a side."""

_REMEMBERED = 2
"""Datasets whose pairs a process remembers."""
_compared: "dict[str, NearPairs]" = {}


def thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """A grey image ``(H, W)`` as 16 x 16 grey levels, row by row: 256 bytes."""
    size = (THUMBNAIL, THUMBNAIL)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BOX).tobytes()


def thumbnails(index: "pd.DataFrame") -> NDArray[np.uint8]:
    """The column thumbnail as grey levels ``(N, 16, 16)``."""
    levels = np.frombuffer(b"".join(index["thumbnail"]), np.uint8)
    return levels.reshape(len(index), THUMBNAIL, THUMBNAIL)


def near_duplicate_groups(index: "pd.DataFrame", kept: "Path | None" = None) -> Rows:
    """A number an image ``(N,)``; images linked by near duplicates, in chains too, share one.

    ``index`` has the columns pixel_sha256, dhash and thumbnail. Exact duplicates are near ones.
    ``kept``: see ``near_duplicate_pairs``.
    """
    # Exact copies first: a thousand of them would be half a million pairs.
    picture, _ = index["pixel_sha256"].factorize()
    distinct = index.drop_duplicates("pixel_sha256")
    pairs = near_duplicate_pairs(distinct, kept=kept)
    groups = connected(len(distinct), pairs.first, pairs.second)
    return np.asarray(groups[picture], dtype=np.int64)


def connected(count: int, first: Rows, second: Rows) -> Rows:
    """A number for each of ``count`` things; those linked, in chains too, share a number."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array(  # type: ignore[no-untyped-call]
        (np.ones(len(first), dtype=np.int8), (first, second)), (count, count)
    )
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def closest(count: int, pairs: NearPairs) -> NearPairs:
    """Of the pairs among ``count`` rows those of highest correlation that link the same groups."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    distances = 2 - pairs.correlation.astype(np.float64)  # above 0: zeros are no links
    links = coo_array(  # type: ignore[no-untyped-call]
        (distances, (pairs.first, pairs.second)), (count, count)
    )
    tree = minimum_spanning_tree(links).tocoo()
    ends = tree.row.astype(np.int64) * count + tree.col
    return pairs.chosen(np.isin(pairs.first * count + pairs.second, ends))


def near_duplicate_pairs(
    index: "pd.DataFrame", progress: Progress | None = None, kept: "Path | None" = None
) -> NearPairs:
    """The rows that are near duplicates of one another, as they are or mirrored.

    ``kept`` is where a dataset's pairs are on disk (``Dataset.near_pairs``): only pictures that
    were never compared are, with all, and the file is brought up to date. All of 21,000 take some
    seconds, in 16 MB beside the thumbnails. What a process has asked for last it remembers, as a
    scan, an audit and a split ask for the same. ``progress(done, total)`` counts rows, twice.
    """
    keys = kept_pairs.keys(index)
    name = storage.sha256_bytes(b"".join(keys))
    found = _compared.get(name)
    if found is None:
        found = _found(index, keys, kept, progress)
        for part in found:
            part.setflags(write=False)
        while len(_compared) >= _REMEMBERED:
            _compared.pop(next(iter(_compared)), None)
        _compared[name] = found
    if progress:
        progress(2 * len(index), 2 * len(index))
    return found


def _found(
    index: "pd.DataFrame", keys: list[bytes], kept: "Path | None", progress: Progress | None
) -> NearPairs:
    """Pairs of rows: those on disk, and those of pictures that are not on disk."""
    several = list(dict.fromkeys(keys))
    number = dict(zip(several, range(len(several)), strict=True))
    pictures = np.array([number[key] for key in keys], dtype=np.int64)
    shown = index.iloc[np.unique(pictures, return_index=True)[1]]
    levels = thumbnails(shown)
    known = kept_pairs.known(kept, several) if kept else kept_pairs.NOTHING
    pairs, new = known.among(several), known.lacks(several)
    if new.any():
        hashes = np.array([int(value, 16) for value in shown["dhash"]], dtype=np.uint64)
        pairs = joined(pairs, compare(levels, hashes, new, progress))
        if kept:
            kept_pairs.keep(kept, kept_pairs.Compared(several, pairs))
    if len(several) == len(keys):
        return pairs
    return _of_rows(pairs, pictures, np.flatnonzero(np.ptp(levels, axis=(1, 2))))


def _of_rows(pairs: NearPairs, pictures: Rows, alike: Rows) -> NearPairs:
    """Pairs of pictures as pairs of the rows that show them; ``pictures`` is one a row ``(N,)``.

    Rows that show one picture are pairs, too, but for pictures of one grey, which are not in
    ``alike``: they correlate with nothing.
    """
    same = NearPairs(alike, alike, np.zeros(len(alike), bool), np.ones(len(alike), np.float32))
    pairs = joined(pairs, same)
    rows, size = np.argsort(pictures, kind="stable"), np.bincount(pictures)
    start = np.cumsum(size) - size
    count = size[pairs.first] * size[pairs.second]
    pair = np.repeat(np.arange(len(count)), count)
    turn = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
    one, two = pairs.first[pair], pairs.second[pair]
    first = rows[start[one] + turn // size[two]]
    second = rows[start[two] + turn % size[two]]
    found = NearPairs(first, second, pairs.mirrored[pair], pairs.correlation[pair])
    return found.chosen((one != two) | (first < second)).sorted()


def count_duplicates(index: "pd.DataFrame", kept: "Path | None" = None) -> dict[str, int]:
    """How many images repeat an earlier one: ``exact`` to the pixel, ``near`` all but exactly.

    ``kept``: see ``near_duplicate_pairs``.
    """
    distinct = index.drop_duplicates("pixel_sha256")
    groups = len(np.unique(near_duplicate_groups(distinct, kept)))
    return {"exact": len(index) - len(distinct), "near": len(distinct) - groups}
