"""ROC and precision-recall curves of one class against the rest, with bands over groups.

A curve is a step function of the threshold; ties in the scores are one step. A band is pointwise:
at each place of a fixed grid, the percentiles over resamples. Intervals of areas are not: see
`auc_intervals`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from covidcore.evaluation.auc_intervals import auc_intervals
from covidcore.evaluation.intervals import Interval, pair
from covidcore.evaluation.metrics import FloatArray, IntArray
from covidcore.evaluation.resampling import bounds, group_codes, weights

GRID: FloatArray = np.linspace(0, 1, 101)
"""Places of the bands: false-positive rates of a ROC, recalls of a precision-recall curve."""
RESAMPLES = 1000

Floats = npt.NDArray[np.floating[Any]]


class Ranking(NamedTuple):
    """Scores from the highest to the lowest: what a threshold sees."""

    order: IntArray
    """Rows by falling score, ``(N,)``."""
    ends: IntArray
    """Places in ``order`` at which a run of equal scores ends, ``(K,)``."""
    positive: Floats
    """1 where the row, in that order, is of the class, ``(N, 1)``."""


class Swept(NamedTuple):
    """Weighted counts above each threshold, ``(K, b)``, the lowest threshold last."""

    true: Floats
    false: Floats


@dataclass(frozen=True)
class Curve:
    """One class against the rest; arrays of points from the strictest threshold on."""

    n: int
    """Images of the class."""
    auc: float
    auc_ci: tuple[float, float]
    average_precision: float
    average_precision_ci: tuple[float, float]
    roc: FloatArray
    """False-positive rate, true-positive rate, threshold: ``(K + 1, 3)``, from (0, 0)."""
    precision_recall: FloatArray
    """Recall, precision, threshold: ``(K, 3)``."""
    roc_band: FloatArray
    """Least and greatest true-positive rate at each place of ``GRID``, ``(101, 2)``."""
    precision_band: FloatArray
    """Least and greatest precision at each recall of ``GRID``, ``(101, 2)``."""


def rank(positive: npt.NDArray[np.bool_], scores: FloatArray) -> Ranking:
    """Sort ``(N,)`` scores, the highest first."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True)) if len(order) else order
    return Ranking(order, ends, positive[order].astype(np.float32)[:, None])


def sweep(ranking: Ranking, often: Floats) -> Swept:
    """Count what lies above each threshold; ``often`` ``(N, b)`` says how often each row counts.

    Counts below 16 million are exact in 32 bits.
    """
    sorted_ = often[ranking.order]
    true = np.cumsum(sorted_ * ranking.positive, axis=0)[ranking.ends]
    every = np.cumsum(sorted_, axis=0)[ranking.ends]
    return Swept(true, every - true)


def areas(swept: Swept) -> FloatArray:
    """Area under each ROC curve, ``(b,)``; NaN where a side is empty. A tie counts half."""
    true, false = swept
    if not len(true):
        return np.full(true.shape[1], np.nan)
    sums = true.copy()  # twice the mean height of each step
    sums[1:] += true[:-1]
    steps = false.copy()
    steps[1:] -= false[:-1]
    doubled = np.einsum("kb,kb->b", steps, sums, dtype=np.float64)
    return _share(doubled, 2.0 * true[-1].astype(np.float64) * false[-1])


def average_precisions(swept: Swept) -> FloatArray:
    """Precision averaged over the class's images, ``(b,)``; NaN where there are none.

    Not interpolated, as scikit-learn's. Source: Davis & Goadrich 2006.
    """
    true, false = swept
    if not len(true):
        return np.full(true.shape[1], np.nan)
    found = true.copy()
    found[1:] -= true[:-1]
    precision = true / np.maximum(true + false, 1)
    return _share(np.einsum("kb,kb->b", found, precision, dtype=np.float64), true[-1])


def curves(
    probabilities: FloatArray,
    truth: IntArray,
    groups: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Curve]:
    """Both curves of each class, with their bands, from ``(N, C)`` and positions ``(N,)``.

    Where a class has all images or none there is no curve: NaN, and no points. Bands are NaN with
    fewer than two groups.
    """
    codes = group_codes(groups)
    sides = [(truth == at, probabilities[:, at]) for at in range(probabilities.shape[1])]
    rankings = [rank(*side) for side in sides]
    drawn: list[list[tuple[FloatArray, ...]]] = [[] for _ in sides]
    if codes.max(initial=0) >= 1:
        for often in weights(codes, resamples, seed):
            for parts, ranking in zip(drawn, rankings, strict=True):
                swept = sweep(ranking, often)
                parts.append((average_precisions(swept), *_on_grid(swept)))
    of_areas, _ = auc_intervals(probabilities, truth, groups, confidence=confidence)
    return [
        _curve(*side, ranking, parts, pair(of_area), confidence)
        for side, ranking, parts, of_area in zip(sides, rankings, drawn, of_areas, strict=True)
    ]


def _curve(
    positive: npt.NDArray[np.bool_],
    scores: FloatArray,
    ranking: Ranking,
    drawn: list[tuple[FloatArray, ...]],
    auc_ci: Interval,
    confidence: float,
) -> Curve:
    once = sweep(ranking, np.ones((len(scores), 1)))
    whole = bool(positive.any() and not positive.all())
    none, nowhere = np.full(1, np.nan), np.full((1, len(GRID)), np.nan)
    parts = drawn if drawn and whole else [(none, nowhere, nowhere)]
    joined = (np.concatenate(part) for part in zip(*parts, strict=True))
    precision, rates, precisions = (bounds(part, confidence) for part in joined)
    thresholds = scores[ranking.order][ranking.ends][:, None]
    return Curve(
        n=int(positive.sum()),
        auc=float(areas(once)[0]),
        auc_ci=auc_ci,
        average_precision=float(average_precisions(once)[0]) if whole else math.nan,
        average_precision_ci=pair(precision),
        roc=_roc_points(once, thresholds) if whole else np.zeros((0, 3)),
        precision_recall=_precision_points(once, thresholds) if whole else np.zeros((0, 3)),
        roc_band=rates,
        precision_band=precisions,
    )


def _roc_points(once: Swept, thresholds: FloatArray) -> FloatArray:
    true, false = (counts.astype(np.float64) for counts in once)
    points = np.hstack([false / false[-1], true / true[-1], thresholds])
    return np.vstack([[0.0, 0.0, np.inf], points])


def _precision_points(once: Swept, thresholds: FloatArray) -> FloatArray:
    true, false = (counts.astype(np.float64) for counts in once)
    return np.hstack([true / true[-1], true / (true + false), thresholds])


def _on_grid(swept: Swept) -> tuple[FloatArray, FloatArray]:
    """True-positive rates and precisions at the places of ``GRID``, each ``(b, 101)``.

    The highest true-positive rate whose false-positive rate is not above the place; the precision
    at the strictest threshold that reaches the recall. NaN where a resample lacks a side.
    """
    columns = swept.true.shape[1]
    rates, precisions = np.full((2, columns, len(GRID)), np.nan)
    true, false = np.ascontiguousarray(swept.true.T), np.ascontiguousarray(swept.false.T)
    for at in range(columns):
        hits, alarms = true[at], false[at]
        if not hits[-1] or not alarms[-1]:
            continue
        # Counts are whole numbers; a thousandth keeps rounding from moving a place.
        place = np.searchsorted(alarms, (GRID * alarms[-1] + 1e-3).astype(np.float32), "right")
        rates[at] = np.append(np.float32(0), hits)[place] / hits[-1]
        reached = np.searchsorted(hits, (GRID * hits[-1] - 1e-3).astype(np.float32), "left")
        first = np.maximum(reached, np.searchsorted(hits, np.float32(0), "right"))
        precisions[at] = hits[first] / (hits[first] + alarms[first])
    return rates, precisions


def _share(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    top, bottom = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    out: FloatArray = np.full(np.shape(top), np.nan)
    return np.divide(top, bottom, out=out, where=bottom > 0)
