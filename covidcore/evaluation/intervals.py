"""How far a figure may be from the truth, given how few images it was counted on.

Wilson's interval takes images as independent. The bootstrap does not: it draws whole groups
(patients), so that two films of one patient do not count as two witnesses.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from covidcore.errors import DataError
from covidcore.evaluation.metrics import FloatArray, IntArray, f1, mean_defined, recall
from covidcore.proportions import check_confidence
from covidcore.proportions import wilson as wilson  # offered from here too

_CELLS_A_CHUNK = 2_000_000  # draws held at once: 16 MB


def bootstrap(
    truth: IntArray,
    predicted: IntArray,
    groups: Sequence[str],
    classes: int,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of ``balanced_accuracy`` and ``macro_f1``, drawing whole groups.

    ``truth`` and ``predicted`` are class positions ``(N,)``; a row whose group is ``""`` is a
    group of its own. A class that is missing from a resample is left out of that resample's mean.
    NaN bounds with fewer than two groups: one patient says nothing about the next. Where no answer
    is wrong the interval is (1, 1), which is too narrow; Wilson's is not. Source: Efron 1979;
    Field & Welsh 2007 (cluster bootstrap).
    """
    check_confidence(confidence)
    per_group = _group_matrices(truth, predicted, groups, classes)
    if len(per_group) < 2:
        return {"balanced_accuracy": (math.nan, math.nan), "macro_f1": (math.nan, math.nan)}
    stacks = _resampled(per_group, resamples, np.random.default_rng(seed))
    matrices = stacks.reshape(resamples, classes, classes)
    tail = (1 - confidence) / 2
    return {
        "balanced_accuracy": _bounds(mean_defined(recall(matrices)), tail),
        "macro_f1": _bounds(mean_defined(f1(matrices)), tail),
    }


def _group_matrices(
    truth: IntArray, predicted: IntArray, groups: Sequence[str], classes: int
) -> IntArray:
    """One flattened confusion matrix a group, ``(G, C * C)``."""
    names = np.asarray(groups, dtype=object)
    if not len(truth) == len(predicted) == len(names):
        raise DataError(
            f"{len(truth)} truths, {len(predicted)} answers and {len(names)} groups do not match."
        )
    codes = np.array(pd.factorize(names)[0], dtype=np.int64)
    alone = np.flatnonzero(names == "")
    codes[alone] = len(names) + np.arange(len(alone))  # numbers that no named group can have
    present, codes = np.unique(codes, return_inverse=True)
    size = classes * classes
    flat = codes * size + truth * classes + predicted
    return np.bincount(flat, minlength=len(present) * size).reshape(len(present), size)


def _resampled(per_group: IntArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """Sums over groups drawn with replacement, ``(resamples, C * C)``.

    Most groups are alike (one image, right answer), so it is enough to draw how often each *kind*
    of group comes up: the same distribution, for a hundredth of the work.
    """
    kinds, members = np.unique(per_group, axis=0, return_counts=True)
    drawn, shares = len(per_group), members / len(per_group)
    sums = np.empty((resamples, per_group.shape[1]))
    chunk = max(1, _CELLS_A_CHUNK // len(kinds))
    for start in range(0, resamples, chunk):
        part = sums[start : start + chunk]
        part[:] = rng.multinomial(drawn, shares, size=len(part)).astype(np.float64) @ kinds
    return sums


def _bounds(values: FloatArray, tail: float) -> tuple[float, float]:
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
