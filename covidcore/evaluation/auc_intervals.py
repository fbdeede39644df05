"""Intervals of areas under ROC curves that hold what they promise near 1, and with few cases.

The spread of an area that is nearly 1 can not be read off a few dozen cases: where they happen to
be in order it seems to be nothing. So it is taken from what it would be if the true area were at
the interval's end (a score interval, as Wilson's), for two normal distributions of equal width; and
where the images at hand spread wider than that at the area found, it is widened by as much.
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from covidcore.evaluation.influence import correlations, design_effects, variances
from covidcore.evaluation.metrics import FloatArray, IntArray
from covidcore.evaluation.resampling import group_codes
from covidcore.proportions import check_confidence, mover_mean

_FURTHEST = 8.0
"""Deviations of a normal distribution beyond which nothing is left of it in 64 bits."""
_HALVINGS = 40
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


def auc_intervals(
    probabilities: FloatArray,
    truth: IntArray,
    groups: Sequence[str],
    *,
    confidence: float = 0.95,
) -> tuple[FloatArray, FloatArray]:
    """Intervals of each class's AUC against the rest ``(C, 2)``, and of their mean ``(2,)``.

    ``probabilities`` is ``(N, C)``, ``truth`` holds positions ``(N,)``. Films of one patient count
    for as many witnesses as their places differ. NaN with fewer than two groups, and for a class
    with all images or none.

    Source: Newcombe 2006 (solving for the area), with Bamber's (1975) variance for normal scores in
    place of exponential ones; DeLong 1988 and Obuchowski 1997 for the spread at hand; Zou & Donner
    2008 for the mean.
    """
    check_confidence(confidence)
    codes = group_codes(groups)
    positive = np.asarray(truth)[:, None] == np.arange(probabilities.shape[1])
    there = np.flatnonzero(positive.any(axis=0) & ~positive.all(axis=0))
    ends = np.full((probabilities.shape[1], 2), np.nan)
    if codes.max(initial=0) < 1 or not len(there):
        return ends, np.full(2, np.nan)
    positive = positive[:, there]
    places = np.stack(
        [_places(positive[:, at], probabilities[:, one]) for at, one in enumerate(there)], axis=1
    )
    cases, others = positive.sum(axis=0), (~positive).sum(axis=0)
    areas = np.where(positive, places, 0).sum(axis=0) / cases
    apart = places - areas
    sides = np.where(positive, apart / cases, 0), np.where(positive, 0, apart / others)
    effects = [
        design_effects(side, counted, codes)
        for side, counted in zip(sides, (positive, ~positive), strict=True)
    ]
    worth = [np.maximum(n / by, 1) for n, by in zip((cases, others), effects, strict=True)]
    seen = variances(sides[0], positive, effects[0]) + variances(sides[1], ~positive, effects[1])
    ends[there] = _score_interval(areas, worth[0], worth[1], seen, confidence)
    # Areas of which one has no spread are taken to go together, as those of two classes do.
    together = correlations(sides[0] + sides[1], codes, 1)
    return ends, np.array(mover_mean(areas.tolist(), ends[there].tolist(), together.tolist()))


def _places(positive: npt.NDArray[np.bool_], scores: FloatArray) -> FloatArray:
    """For each image the share of the other side that it is in order with, ``(N,)``."""
    result = np.empty(len(scores))
    for side, sign in ((positive, 1), (~positive, -1)):
        values, against = sign * scores[side], np.sort(sign * scores[~side])
        below, upto = (np.searchsorted(against, values, where) for where in ("left", "right"))
        result[side] = (below + upto) / (2 * len(against))
    return result


def _score_interval(
    areas: FloatArray, cases: FloatArray, others: FloatArray, seen: FloatArray, confidence: float
) -> FloatArray:
    """``(K, 2)``: the areas of which those found are no further off than chance has it.

    ``cases`` and ``others`` are effective numbers, ``seen`` the variances of the images at hand.
    """
    from scipy.special import ndtr, ndtri

    found = np.clip(ndtri(areas), -_FURTHEST, _FURTHEST)
    expected = _variance(found, cases, others)
    wider = np.maximum(seen / np.where(expected > 0, expected, np.inf), 1)
    reach = NormalDist().inv_cdf((1 + confidence) / 2)
    near, far = np.stack([found, found]), np.full((2, len(found)), [[-_FURTHEST], [_FURTHEST]])
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        limit = reach**2 * wider * _variance(middle, cases, others)
        inside = (areas - ndtr(middle)) ** 2 <= limit
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    low, high = ndtr(near)
    low, high = np.where(areas == 0, 0, low), np.where(areas == 1, 1, high)
    return np.stack([np.minimum(low, areas), np.maximum(high, areas)], axis=1)


def _variance(probit: FloatArray, cases: FloatArray, others: FloatArray) -> FloatArray:
    """Of an area, for scores normal with equal width; ``probit`` is the true one's, ``(..., K)``.

    At a probit of 0 it is Mann and Whitney's (m + n + 1) / 12mn. Two pairs that share an image are
    both in order as often as two normal numbers correlated by 1/2 are below the probit: the
    covariance is Plackett's (1954) integral over the correlation r = sin t.
    """
    from scipy.special import ndtr

    angles = (_NODES + 1) * np.pi / 12
    heights = np.exp(-(probit[..., None] ** 2) / (1 + np.sin(angles)))
    shared = (heights @ _WEIGHTS) / 24
    pairs = ndtr(probit) * ndtr(-probit) + (cases + others - 2) * shared
    result: FloatArray = pairs / (cases * others)
    return result
