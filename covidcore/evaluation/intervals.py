"""How far a figure of a confusion matrix may be from the truth, given how few images it is of.

Wilson's interval takes images as independent. The means over classes do not: films of one patient
count for as many witnesses as their answers differ (`influence.design_effects`).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from covidcore.errors import DataError
from covidcore.evaluation.influence import correlations, design_effects
from covidcore.evaluation.metrics import FloatArray, IntArray
from covidcore.evaluation.resampling import group_codes
from covidcore.proportions import check_confidence, mover_mean, wilson_share
from covidcore.proportions import wilson as wilson  # offered from here too

Interval = tuple[float, float]

UNKNOWN: Interval = (math.nan, math.nan)


class MatrixIntervals(NamedTuple):
    """Intervals of what is not a share of images, from one confusion matrix."""

    balanced_accuracy: Interval
    macro_f1: Interval
    f1: list[Interval]
    """One a class; NaN bounds for a class without images."""


def of_matrix(
    truth: IntArray,
    predicted: IntArray,
    groups: Sequence[str],
    classes: int,
    *,
    confidence: float = 0.95,
) -> MatrixIntervals:
    """Intervals of balanced accuracy, macro F1 and the F1 of each class.

    Recalls have Wilson's interval, with as many images as they are worth. So has F1, as F / (2 - F)
    is a share: of the images that are of the class or were called so, those that are both (Hand,
    Christen & Kirielle 2021). Means are put together from these (`proportions.mover_mean`).

    ``truth`` and ``predicted`` are class positions ``(N,)``; a row whose group is ``""`` is a
    group of its own. Classes without images are left out of means. NaN bounds with fewer than two
    groups: one patient says nothing about the next. Raises: DataError where the lengths differ.
    """
    check_confidence(confidence)
    if not len(truth) == len(predicted) == len(groups):
        raise DataError(
            f"{len(truth)} truths, {len(predicted)} answers and {len(groups)} groups do not match."
        )
    codes, nothing = group_codes(groups), [UNKNOWN] * classes
    if codes.max(initial=0) < 1:
        return MatrixIntervals(UNKNOWN, UNKNOWN, nothing)
    there = np.flatnonzero(np.bincount(truth, minlength=classes))
    of_class, called = (side[:, None] == there for side in (truth, predicted))
    both = of_class & called
    recalls = _shares(both, of_class, codes, confidence)
    overlaps = _shares(both, of_class | called, codes, confidence)
    f1 = [(_f1(low), _f1(high)) for low, high in overlaps.ends]
    # F1 rises with the overlap, so influences on the one go together as those on the other do.
    # Recalls of classes that share no patient are independent, whatever is unknown of one.
    return MatrixIntervals(
        mover_mean(
            recalls.shares, recalls.ends, correlations(recalls.influence, codes, 0).tolist()
        ),
        mover_mean(
            [_f1(share) for share in overlaps.shares],
            f1,
            correlations(overlaps.influence, codes, 1).tolist(),
        ),
        [dict(zip(there.tolist(), f1, strict=True)).get(at, UNKNOWN) for at in range(classes)],
    )


class _Shares(NamedTuple):
    shares: list[float]
    ends: list[Interval]
    influence: FloatArray


def _shares(
    hit: npt.NDArray[np.bool_], counted: npt.NDArray[np.bool_], codes: IntArray, confidence: float
) -> _Shares:
    """Shares of the counted images ``(N, K)`` that are hits, Wilson's ends, and influences."""
    images = counted.sum(axis=0)
    shares = hit.sum(axis=0) / images
    influence = np.where(counted, hit - shares, 0.0) / images
    worth = images / design_effects(influence, counted, codes)
    ends = [
        wilson_share(share, trials, confidence)
        for share, trials in zip(shares.tolist(), worth.tolist(), strict=True)
    ]
    return _Shares(shares.tolist(), ends, influence)


def _f1(overlap: float) -> float:
    """F1 of the share of images, of the class or called so, that are both."""
    return 2 * overlap / (1 + overlap)


def pair(ends: FloatArray) -> Interval:
    """The last two numbers as a tuple."""
    low, high = ends
    return float(low), float(high)
