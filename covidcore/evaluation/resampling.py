"""The bootstrap over groups: draw whole groups (patients) with replacement, reduce each draw.

Two films of one patient do not count as two witnesses, so groups are drawn, never images. Source:
Efron 1979; Field & Welsh 2007 (cluster bootstrap).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from covidcore.errors import DataError
from covidcore.evaluation.metrics import FloatArray, IntArray
from covidcore.proportions import check_confidence

Weights = npt.NDArray[np.float32]

_CELLS_A_CHUNK = 2_000_000  # numbers held at once: 16 MB


def group_codes(groups: Sequence[str]) -> IntArray:
    """A number from 0 for each row's group, ``(N,)``; a row whose group is ``""`` is its own."""
    names = np.asarray(groups, dtype=object)
    codes = np.array(pd.factorize(names)[0], dtype=np.int64)
    alone = np.flatnonzero(names == "")
    codes[alone] = len(names) + np.arange(len(alone))  # numbers that no named group can have
    _, codes = np.unique(codes, return_inverse=True)
    return np.asarray(codes, dtype=np.int64)


def group_counts(cells: IntArray, size: int, groups: Sequence[str]) -> IntArray:
    """How many rows of each group fall into each cell, ``(G, size)``.

    ``cells`` holds each row's cell from 0 to ``size - 1``, ``(N,)``: for a confusion matrix,
    ``truth * C + answer``. Raises: DataError where the lengths differ.
    """
    if len(cells) != len(groups):
        raise DataError(f"{len(cells)} answers and {len(groups)} groups do not match.")
    codes = group_codes(groups)
    count = int(codes.max(initial=-1)) + 1
    return np.bincount(codes * size + cells, minlength=count * size).reshape(count, size)


def resampled(per_group: IntArray, resamples: int, seed: int) -> FloatArray:
    """Sums over groups drawn with replacement, ``(resamples, size)``, of ``group_counts``.

    Most groups are alike (one image, right answer), so it is enough to draw how often each *kind*
    of group comes up: the same distribution, for a hundredth of the work.
    """
    rng = np.random.default_rng(seed)
    kinds, members = np.unique(per_group, axis=0, return_counts=True)
    drawn, shares = len(per_group), members / len(per_group)
    sums = np.empty((resamples, per_group.shape[1]))
    chunk = max(1, _CELLS_A_CHUNK // len(kinds))
    for start in range(0, resamples, chunk):
        part = sums[start : start + chunk]
        part[:] = rng.multinomial(drawn, shares, size=len(part)).astype(np.float64) @ kinds
    return sums


def weights(codes: IntArray, resamples: int, seed: int) -> Iterator[Weights]:
    """How often each row is in each resample: arrays ``(N, b)`` whose ``b`` add up.

    For figures that need every score, such as an AUC; ``codes`` are those of ``group_codes``.
    """
    rng = np.random.default_rng(seed)
    count = int(codes.max(initial=-1)) + 1
    chunk = max(1, _CELLS_A_CHUNK // max(len(codes), 1))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = rng.integers(0, count, (size, count)) + np.arange(size)[:, None] * count
        often = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        yield np.ascontiguousarray(often.T, dtype=np.float32)[codes]


def bounds(values: npt.ArrayLike, confidence: float = 0.95) -> FloatArray:
    """Percentile interval over the first axis: ``(B, ...)`` -> ``(..., 2)``.

    A resample in which a figure does not exist (NaN) is left out of that figure's interval; NaN
    where it exists in none. Raises: DataError where the confidence is no proportion.
    """
    check_confidence(confidence)
    table = np.asarray(values, dtype=np.float64)
    tail = (1 - confidence) / 2
    result: FloatArray = np.full((*table.shape[1:], 2), np.nan)
    known = ~np.isnan(table).all(axis=0)
    if known.any():
        chosen = table[:, known] if table.ndim > 1 else table
        measure = np.nanquantile if np.isnan(chosen).any() else np.quantile
        # Weibull's places: of B draws, so many lie outside on average as the confidence promises.
        ends = measure(chosen, [tail, 1 - tail], axis=0, method="weibull")
        result[known] = np.moveaxis(ends, 0, -1)
    return result
