"""Which pictures are near duplicates: an answer of two pictures alone.

What is compared with what else, in which order or in which pieces changes nothing, so that answers
can be kept and put together (`kept_pairs`).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covidcore.data.facts import Progress
from covidcore.data.hashes import dhash

Looks = NDArray[np.floating[Any]]
Levels = NDArray[np.uint8]
"""Thumbnails ``(N, 16, 16)``."""
Rows = NDArray[np.int64]

HASH_DISTANCE = 10
"""Bits of 64 in which the difference hashes of near duplicates may differ."""
CORRELATION = 0.985
"""Least correlation of their thumbnails; survives JPEG at quality 50, resizing and exposure."""
VERSION = 1
"""Of the rule beside these two; a change compares everything anew."""

_MARGIN = 1e-4
"""More than a product of two standardised thumbnails in float32 can be wrong by (2e-5)."""
_BLOCK = 1 << 22
"""Correlations held at once: 16 MB."""
_PAIRS = 1 << 14
"""Pairs looked at once: 16 MB for each of the two."""


class NearPairs(NamedTuple):
    """Pairs of rows, ``first < second``, each array ``(P,)``, in order of ``first``."""

    first: Rows
    second: Rows
    mirrored: NDArray[np.bool_]
    """Whether they agree only when one of them is mirrored, left to right."""
    correlation: Looks
    """Of the thumbnails, one of them mirrored where ``mirrored``."""

    def sorted(self) -> "NearPairs":
        """The same pairs, each from the lower row to the higher one, in order."""
        first, second = np.minimum(*self[:2]), np.maximum(*self[:2])
        order = np.lexsort((second, first))
        return NearPairs(first[order], second[order], self.mirrored[order], self.correlation[order])

    def chosen(self, kept: NDArray[np.bool_]) -> "NearPairs":
        """The pairs that are ``kept`` ``(P,)``."""
        first, second, mirrored, correlation = self
        return NearPairs(first[kept], second[kept], mirrored[kept], correlation[kept])


def standardised(levels: NDArray[np.number[Any]]) -> Looks:
    """Rows ``(N, ...)`` as vectors ``(N, D)`` of mean 0 and length 1: products are correlations.

    A row of one grey becomes zeros and correlates with nothing.
    """
    looks = _flat(levels)
    looks -= looks.mean(axis=1, keepdims=True)
    looks /= np.maximum(np.sqrt(np.square(looks).sum(axis=1, keepdims=True)), 1e-6)
    return looks


def compare(
    levels: Levels, hashes: NDArray[np.uint64], new: NDArray[np.bool_], progress: Progress | None
) -> NearPairs:
    """The pairs of which one or both are ``new`` ``(N,)``, as they are or mirrored.

    ``levels`` are thumbnails, ``hashes`` difference hashes ``(N,)`` of the images. A pair that
    agrees both ways is not called mirrored. ``progress(done, total)`` counts new rows, twice.
    """
    order = np.concatenate([np.flatnonzero(new), np.flatnonzero(~new)])
    count, looks = int(new.sum()), standardised(levels[order])
    upright = _candidates(looks[:count], looks, _half(progress, 0))
    first, second = (order[part] for part in upright)
    likeness, near = near_upright(levels, hashes, first, second)
    straight = NearPairs(first, second, np.zeros(len(first), bool), likeness).chosen(near).sorted()
    mirror = standardised(levels[order[:count], :, ::-1])
    first, second = (order[part] for part in _candidates(mirror, looks, _half(progress, 1)))
    likeness, near = near_mirrored(levels, first, second)
    turned = NearPairs(first, second, np.ones(len(first), bool), likeness).chosen(near).sorted()
    known = np.isin(_keys(turned, len(levels)), _keys(straight, len(levels)))
    return joined(straight, turned.chosen(~known))


def joined(*parts: NearPairs) -> NearPairs:
    """All pairs of several lists, in order."""
    first, second, mirrored, correlation = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    return NearPairs(first, second, mirrored, correlation).sorted()


def near_upright(
    levels: Levels, hashes: NDArray[np.uint64], first: Rows, second: Rows
) -> tuple[Looks, NDArray[np.bool_]]:
    """Correlations of pairs of rows ``(P,)``, and whether they are near duplicates as they are."""
    likeness = _correlations(levels, levels, first, second)
    close = np.bitwise_count(hashes[first] ^ hashes[second]) <= HASH_DISTANCE
    return likeness.astype(np.float32), (likeness >= CORRELATION) & close


def near_mirrored(levels: Levels, first: Rows, second: Rows) -> tuple[Looks, NDArray[np.bool_]]:
    """The same of pairs one of which is mirrored.

    Hashes are of the thumbnails, as the mirrored images' own are not kept. Which of the two is
    mirrored can matter by a few bits, where neighbours are of one grey: the closer way counts.
    """
    turned = levels[:, :, ::-1]
    likeness = _correlations(turned, levels, first, second)
    rows, at = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, two = at[: len(first)], at[len(first) :]
    as_is = np.array([dhash(levels[row]) for row in rows], dtype=np.uint64)
    mirror = np.array([dhash(turned[row]) for row in rows], dtype=np.uint64)
    bits = np.minimum(
        np.bitwise_count(mirror[one] ^ as_is[two]), np.bitwise_count(as_is[one] ^ mirror[two])
    )
    return likeness.astype(np.float32), (likeness >= CORRELATION) & (bits <= HASH_DISTANCE)


def _correlations(some: Levels, others: Levels, first: Rows, second: Rows) -> NDArray[np.float64]:
    """Correlations ``(P,)`` of ``some[first]`` and ``others[second]``; 0 where one is of one grey.

    ``some`` are ``others``, mirrored or not. The same to the last bit for two pictures in whatever
    company: 256 products of grey levels add up to less than 2**24, so that float32 holds every sum
    on the way, in any order.
    """
    a, b = _flat(some), _flat(others)
    pixels, totals = b.shape[1], b.sum(axis=1, dtype=np.float64)
    spreads = pixels * np.einsum("ij,ij->i", b, b).astype(np.float64) - totals * totals
    products = np.zeros(len(first))
    for start in range(0, len(first), _PAIRS):
        part = slice(start, start + _PAIRS)
        products[part] = np.einsum("ij,ij->i", a[first[part]], b[second[part]])
    together = pixels * products - totals[first] * totals[second]
    spread = np.sqrt(spreads[first] * spreads[second])
    found = np.zeros(len(first))
    np.divide(together, spread, out=found, where=spread > 0)
    return found


def _candidates(rows: Looks, columns: Looks, progress: Progress | None) -> tuple[Rows, Rows]:
    """Pairs ``i < j`` whose looks ``rows[i]`` and ``columns[j]`` may correlate enough.

    Not the hashes first: within 5 bits lie 5 % of all pairs of radiographs, and a product of
    matrices is as fast as comparing hashes.
    """
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    start = 0
    while start < len(rows):
        stop = min(len(rows), start + max(1, _BLOCK // (len(columns) - start)))
        block = rows[start:stop] @ columns[start:].T
        i, j = np.nonzero(block >= CORRELATION - _MARGIN)
        later = i < j
        found.append((i[later] + start, j[later] + start))
        start = stop
        if progress:
            progress(stop, len(rows))
    first, second = (np.concatenate(part) for part in zip(*found, strict=True))
    return first, second


def _flat(levels: NDArray[np.number[Any]]) -> NDArray[np.float32]:
    """Rows ``(N, ...)``, of which there may be none, as vectors ``(N, D)``."""
    return levels.reshape(len(levels), math.prod(levels.shape[1:])).astype(np.float32)


def _half(progress: Progress | None, which: int) -> Progress | None:
    """For the first or the second of two passes over all rows."""
    if progress is None:
        return None
    return lambda done, total: progress(which * total + done, 2 * total)


def _keys(pairs: NearPairs, count: int) -> Rows:
    return pairs.first * count + pairs.second
