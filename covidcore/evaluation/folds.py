"""Repeated cross-validation: who is tested when, and how far figures spread over it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidcore.data.audit_baselines import folds
from covidcore.errors import DataError
from covidcore.evaluation import metrics
from covidcore.evaluation.metrics import IntArray

_RESAMPLES = 2000
FOLDS, REPEATS = (2, 20), (1, 50)
"""The least and the most of each."""


def deal(
    truth: IntArray, groups: IntArray, count: int, repeats: int, seed: int, classes: Sequence[str]
) -> IntArray:
    """The fold of each image in each repeat ``(R, N)``: groups whole, every class in every fold.

    ``truth`` and ``groups`` are numbers ``(N,)``. Raises: DataError for numbers that are too small
    or too large, and where a class has too few groups.
    """
    for name, value, (least, most) in (("folds", count, FOLDS), ("repeats", repeats, REPEATS)):
        if not least <= value <= most:
            raise DataError(f"{name} is {value}; it must lie between {least} and {most}.")
    _, first = np.unique(groups, return_index=True)
    of_class = np.bincount(truth[first], minlength=len(classes))
    if of_class.min() < count:
        at = int(of_class.argmin())
        raise DataError(
            f"Class “{classes[at]}” has {of_class[at]} groups of images that belong together: too "
            f"few for {count} folds."
        )
    return np.stack([folds(truth, groups, count, _mixed(seed, turn)) for turn in range(repeats)])


def _mixed(seed: int, turn: int) -> int:
    return int(np.random.SeedSequence([seed, turn]).generate_state(1)[0])


def spread(
    truth: IntArray, answers: IntArray, fold: IntArray, classes: Sequence[str]
) -> dict[str, Any]:
    """How accuracy and recalls vary over folds and repeats.

    ``answers`` and ``fold`` are ``(R, N)``. accuracy is the mean over repeats; repeats: of each;
    per_fold: of each fold of each repeat; std: their deviation; ci: 95 %, see ``corrected``.
    per_class: recall, its deviation over repeats, n.
    """
    count = int(fold.max()) + 1
    right = answers == truth
    each = [
        right[turn][fold[turn] == at].mean() for turn in range(len(fold)) for at in range(count)
    ]
    repeats = right.mean(axis=1)
    recalls = np.array(
        [
            [right[turn][truth == at].mean() for at in range(len(classes))]
            for turn in range(len(fold))
        ]
    )
    balanced = metrics.mean_defined(recalls)
    return {
        "accuracy": float(repeats.mean()),
        "ci": list(corrected(each, count)),
        "std": float(np.std(each, ddof=1)),
        "repeats": repeats.tolist(),
        "per_fold": [float(value) for value in each],
        "balanced_accuracy": float(balanced.mean()),
        "per_class": {
            name: {
                "n": int((truth == at).sum()),
                "recall": float(recalls[:, at].mean()),
                "std": float(np.std(recalls[:, at], ddof=1)) if len(recalls) > 1 else math.nan,
            }
            for at, name in enumerate(classes)
        },
    }


def corrected(values: Sequence[float], count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of the mean of ``values`` of repeated cross-validation in ``count`` folds.

    Folds share most of their training images, so their deviation alone makes too narrow an
    interval, the more so the more often they are repeated: the variance is multiplied by
    (1 / len(values) + 1 / (count - 1)) in place of 1 / len(values). Kept inside [0, 1].
    Source: Nadeau & Bengio 2003; for repeats, Bouckaert & Frank 2004.
    """
    from scipy.special import stdtrit

    found = np.asarray(values, dtype=np.float64)
    error = math.sqrt(found.var(ddof=1) * (1 / len(found) + 1 / (count - 1)))
    half = float(stdtrit(len(found) - 1, (1 + confidence) / 2)) * error  # Student's t
    mean = float(found.mean())
    return max(0.0, mean - half), min(1.0, mean + half)


def bought(
    truth: IntArray, leaky: IntArray, honest: IntArray, groups: IntArray, seed: int = 0
) -> dict[str, Any]:
    """How much better the same images are answered where their likes may be in training.

    ``leaky`` and ``honest`` are answers ``(R, N)`` under folds that divide ``groups`` and that do
    not. Paired by image: the mean over repeats of one less that of the other; the interval draws
    groups, seeded. ``related`` is the same of the images that are not alone in their group, which
    alone can leak. NaN where there are none.
    """
    gain = (leaky == truth).mean(axis=0) - (honest == truth).mean(axis=0)
    _, place, size = np.unique(groups, return_inverse=True, return_counts=True)
    related = size[place] > 1
    return {
        **_mean_by_groups(gain, place, seed),
        "related": _mean_by_groups(gain[related], place[related], seed),
    }


def _mean_by_groups(values: NDArray[np.float64], groups: IntArray, seed: int) -> dict[str, Any]:
    if not len(values):
        return {"n": 0, "groups": 0, "difference": math.nan, "ci": [math.nan, math.nan]}
    _, place = np.unique(groups, return_inverse=True)
    totals, sizes = np.bincount(place, weights=values), np.bincount(place)
    draws = np.random.default_rng(seed).multinomial(
        len(sizes), np.full(len(sizes), 1 / len(sizes)), size=_RESAMPLES
    )
    means = (draws @ totals) / (draws @ sizes)
    low, high = np.quantile(means, [0.025, 0.975])
    return {
        "n": len(values),
        "groups": len(sizes),
        "difference": float(values.mean()),
        "ci": [float(low), float(high)],
    }
