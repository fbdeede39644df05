"""Which images of a dataset are the same picture: to the pixel, nearly, or nearly and mirrored.

The difference hash alone will not do: radiographs are so alike that most of the 2,905 images of
the first Kaggle release lie within two bits of another patient's. So a pair with close hashes is
held to be a near duplicate only where its 16 x 16 thumbnails agree as well (docs/decisions.md).
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covidcore import storage
from covidcore.data.facts import Progress
from covidcore.data.hashes import dhash

if TYPE_CHECKING:
    import pandas as pd

Looks = NDArray[np.floating[Any]]

HASH_DISTANCE = 10
"""Bits of 64 in which the difference hashes of near duplicates may differ."""
CORRELATION = 0.985
"""Least correlation of their thumbnails; survives JPEG at quality 50, resizing and exposure."""
THUMBNAIL = 16
"""Pixels a side."""

_REMEMBERED = 2
"""Datasets whose pairs a process remembers."""
_BLOCK = 1 << 22
"""Correlations held at once: 16 MB."""


_compared: "dict[str, NearPairs]" = {}


class NearPairs(NamedTuple):
    """Pairs of rows, ``first < second``, each array ``(P,)``, in order of ``first``."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    """Whether they agree only when one of them is mirrored, left to right."""
    correlation: Looks
    """Of the thumbnails, one of them mirrored where ``mirrored``."""


def thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """A grey image ``(H, W)`` as 16 x 16 grey levels, row by row: 256 bytes."""
    size = (THUMBNAIL, THUMBNAIL)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BOX).tobytes()


def thumbnails(index: "pd.DataFrame") -> NDArray[np.uint8]:
    """The column thumbnail as grey levels ``(N, 16, 16)``."""
    levels = np.frombuffer(b"".join(index["thumbnail"]), np.uint8)
    return levels.reshape(len(index), THUMBNAIL, THUMBNAIL)


def standardised(levels: NDArray[np.number[Any]]) -> Looks:
    """Rows ``(N, ...)`` as vectors ``(N, D)`` of mean 0 and length 1: products are correlations.

    A row of one grey becomes zeros and correlates with nothing.
    """
    looks: Looks = levels.reshape(len(levels), -1).astype(np.float32)
    looks -= looks.mean(axis=1, keepdims=True)
    looks /= np.maximum(np.sqrt(np.square(looks).sum(axis=1, keepdims=True)), 1e-6)
    return looks


def near_duplicate_groups(index: "pd.DataFrame") -> NDArray[np.int64]:
    """A number an image ``(N,)``; images linked by near duplicates, in chains too, share one.

    ``index`` has the columns pixel_sha256, dhash and thumbnail. Exact duplicates are near ones.
    """
    # Exact copies first: a thousand of them would be half a million pairs.
    picture, _ = index["pixel_sha256"].factorize()
    distinct = index.drop_duplicates("pixel_sha256")
    pairs = near_duplicate_pairs(distinct)
    groups = connected(len(distinct), pairs.first, pairs.second)
    return np.asarray(groups[picture], dtype=np.int64)


def connected(count: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
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
    kept = np.isin(pairs.first * count + pairs.second, tree.row.astype(np.int64) * count + tree.col)
    first, second, mirrored, correlation = pairs
    return NearPairs(first[kept], second[kept], mirrored[kept], correlation[kept])


def near_duplicate_pairs(index: "pd.DataFrame", progress: Progress | None = None) -> NearPairs:
    """The rows that are near duplicates of one another, as they are or mirrored.

    A pair that agrees both ways is not called mirrored. All pairs are compared: 21,000 images in
    some seconds, in 16 MB beside the thumbnails; what a process has compared last it remembers, as
    a scan, an audit and a split ask for the same. ``progress(done, total)`` counts rows, twice.
    """
    key = storage.sha256_bytes(b"".join([*index["thumbnail"], *map(str.encode, index["dhash"])]))
    found = _compared.get(key)
    if found is None:
        found = _compare(index, progress)
        for part in found:
            part.setflags(write=False)
        while len(_compared) >= _REMEMBERED:
            _compared.pop(next(iter(_compared)), None)
        _compared[key] = found
    elif progress:
        progress(2 * len(index), 2 * len(index))
    return found


def _compare(index: "pd.DataFrame", progress: Progress | None) -> NearPairs:
    levels = thumbnails(index)
    looks = standardised(levels)
    hashes = np.array([int(value, 16) for value in index["dhash"]], dtype=np.uint64)
    upright = _candidates(looks, looks, _half(progress, 0))
    close = np.bitwise_count(hashes[upright[0]] ^ hashes[upright[1]]) <= HASH_DISTANCE
    upright = _chosen(upright, close)
    turned = _candidates(standardised(levels[:, :, ::-1]), looks, _half(progress, 1))
    turned = _chosen(turned, ~np.isin(_keys(turned, len(index)), _keys(upright, len(index))))
    turned = _chosen(turned, _mirrored_hashes_are_close(levels, turned))
    mirrored = np.repeat([False, True], [len(upright[0]), len(turned[0])])
    first, second = (np.concatenate([upright[at], turned[at]]) for at in (0, 1))
    likeness = np.concatenate([upright[2], turned[2]])
    order = np.lexsort((second, first))
    return NearPairs(first[order], second[order], mirrored[order], likeness[order])


_Candidates = tuple[NDArray[np.int64], NDArray[np.int64], Looks]


def _half(progress: Progress | None, which: int) -> Progress | None:
    """For the first or the second of two passes over all rows."""
    if progress is None:
        return None
    return lambda done, total: progress(which * total + done, 2 * total)


def _candidates(rows: Looks, columns: Looks, progress: Progress | None) -> _Candidates:
    """Pairs ``i < j`` whose looks ``rows[i]`` and ``columns[j]`` correlate, and how much.

    Not the hashes first: within 5 bits lie 5 % of all pairs of radiographs, and a product of
    matrices is as fast as comparing hashes.
    """
    none = np.zeros(0, np.int64)
    found: list[_Candidates] = [(none, none, np.zeros(0, np.float32))]
    start, total = 0, len(rows)
    while start < total:
        stop = min(total, start + max(1, _BLOCK // (total - start)))
        block = rows[start:stop] @ columns[start:].T
        i, j = np.nonzero(block >= CORRELATION)
        later = i < j
        found.append((i[later] + start, j[later] + start, block[i[later], j[later]]))
        start = stop
        if progress:
            progress(stop, total)
    first, second = (np.concatenate([part[at] for part in found]) for at in (0, 1))
    return first, second, np.concatenate([part[2] for part in found])


def _chosen(pairs: _Candidates, kept: NDArray[np.bool_]) -> _Candidates:
    first, second, likeness = pairs
    return first[kept], second[kept], likeness[kept]


def _keys(pairs: _Candidates, count: int) -> NDArray[np.int64]:
    return pairs[0] * count + pairs[1]


def _mirrored_hashes_are_close(levels: NDArray[np.uint8], pairs: _Candidates) -> NDArray[np.bool_]:
    """Compare hashes of the thumbnails, as the mirrored images' own are not kept in the index."""
    first = {int(i): dhash(levels[i, :, ::-1]) for i in np.unique(pairs[0])}
    second = {int(j): dhash(levels[j]) for j in np.unique(pairs[1])}
    close = [
        (first[int(i)] ^ second[int(j)]).bit_count() <= HASH_DISTANCE
        for i, j in zip(pairs[0], pairs[1], strict=True)
    ]
    return np.array(close, dtype=bool)


def count_duplicates(index: "pd.DataFrame") -> dict[str, int]:
    """How many images repeat an earlier one: ``exact`` to the pixel, ``near`` all but exactly."""
    distinct = index.drop_duplicates("pixel_sha256")
    groups = len(np.unique(near_duplicate_groups(distinct)))
    return {"exact": len(index) - len(distinct), "near": len(distinct) - groups}
