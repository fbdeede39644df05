"""How far a figure may be from the truth, given how few images it was counted on.

Wilson's interval takes images as independent. The bootstrap does not: it draws whole groups
(patients), so that two films of one patient do not count as two witnesses.
"""

import math
from collections.abc import Sequence

from covidcore.errors import DataError
from covidcore.evaluation import metrics
from covidcore.evaluation.metrics import FloatArray, IntArray
from covidcore.evaluation.resampling import bounds, group_counts, resampled
from covidcore.proportions import check_confidence
from covidcore.proportions import wilson as wilson  # offered from here too

Interval = tuple[float, float]

UNKNOWN: Interval = (math.nan, math.nan)


def resampled_matrices(
    truth: IntArray,
    predicted: IntArray,
    groups: Sequence[str],
    classes: int,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> FloatArray | None:
    """Confusion matrices ``(resamples, C, C)`` of groups drawn with replacement.

    ``truth`` and ``predicted`` are class positions ``(N,)``; a row whose group is ``""`` is a
    group of its own. None with fewer than two groups: one patient says nothing about the next.
    Raises: DataError where the lengths differ.
    """
    if not len(truth) == len(predicted) == len(groups):
        raise DataError(
            f"{len(truth)} truths, {len(predicted)} answers and {len(groups)} groups do not match."
        )
    per_group = group_counts(truth * classes + predicted, classes * classes, groups)
    if len(per_group) < 2:
        return None
    return resampled(per_group, resamples, seed).reshape(resamples, classes, classes)


def bootstrap(
    truth: IntArray,
    predicted: IntArray,
    groups: Sequence[str],
    classes: int,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile intervals of ``balanced_accuracy`` and ``macro_f1``, drawing whole groups.

    A class that is missing from a resample is left out of that resample's mean. NaN bounds with
    fewer than two groups. Where no answer is wrong the interval is (1, 1), which is too narrow;
    Wilson's is not.
    """
    check_confidence(confidence)
    drawn = resampled_matrices(truth, predicted, groups, classes, resamples=resamples, seed=seed)
    return of_means(drawn, confidence)


def of_means(drawn: FloatArray | None, confidence: float = 0.95) -> dict[str, Interval]:
    """Intervals of ``balanced_accuracy`` and ``macro_f1`` from ``resampled_matrices``."""
    if drawn is None:
        return {"balanced_accuracy": UNKNOWN, "macro_f1": UNKNOWN}
    return {
        "balanced_accuracy": pair(bounds(metrics.mean_defined(metrics.recall(drawn)), confidence)),
        "macro_f1": pair(bounds(metrics.mean_defined(metrics.f1(drawn)), confidence)),
    }


def of_f1(drawn: FloatArray | None, classes: int, confidence: float = 0.95) -> list[Interval]:
    """Interval of each class's F1 from ``resampled_matrices``."""
    if drawn is None:
        return [UNKNOWN] * classes
    return [pair(ends) for ends in bounds(metrics.f1(drawn), confidence)]


def pair(ends: FloatArray) -> Interval:
    """The last two numbers as a tuple."""
    low, high = ends
    return float(low), float(high)
