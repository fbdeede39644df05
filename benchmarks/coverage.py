"""How often intervals of 95 % hold the truth: ``python -m benchmarks.coverage [TESTS]``.

So many test sets (4,000, unless told) are drawn for each figure from people whose truth is known,
and it is counted how often the interval holds it. With 4,000, a method that keeps its promise lands
between 94.3 and 95.7 % in 19 cases of 20. Prints one JSON document to standard output and a
Markdown table to standard error.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from covidcore.evaluation import compare, curves, intervals
from covidcore.evaluation.metrics import FloatArray, IntArray, class_aucs
from covidcore.evaluation.resampling import bounds, group_counts, resampled
from covidcore.proportions import wilson

TESTS = 4000
_RESAMPLES = 500
"""Resamples of each bootstrap; Weibull's places hold what is promised with any number."""

Ends = tuple[float, float]
Draw = Callable[[np.random.Generator], tuple[float, Ends]]
"""One test set: the truth, and the interval that is given for it."""


class Case(NamedTuple):
    """A figure, the people it is measured on, and how to draw a test set of them."""

    figure: str
    people: str
    draw: Draw


def main(tests: int = TESTS) -> None:
    """Print the coverage of each case, and how often the truth lies below and above."""
    found = {f"{case.figure}, {case.people}": measure(case.draw, tests) for case in cases()}
    print(json.dumps({"benchmark": "coverage", "tests": tests, "cases": found}))
    rows = [("figure", "held", "below", "above"), ("---",) * 4]
    rows += [
        (name, *(f"{one[key]:.1%}" for key in ("held", "below", "above")))
        for name, one in found.items()
    ]
    for row in rows:
        print("|", " | ".join(row), "|", file=sys.stderr)


def measure(draw: Draw, tests: int, seed: int = 0) -> dict[str, float]:
    """Shares of ``tests`` test sets whose interval holds the truth, lies above it, and below it.

    ``below``: the truth lies below the interval. A set without an interval holds nothing.
    """
    rng = np.random.default_rng(seed)
    drawn = [draw(rng) for _ in range(tests)]
    return {
        "held": float(np.mean([low <= truth <= high for truth, (low, high) in drawn])),
        "below": float(np.mean([truth < low for truth, (low, _) in drawn])),
        "above": float(np.mean([truth > high for truth, (_, high) in drawn])),
    }


def cases() -> Iterator[Case]:
    """What is promised on the pages, on test sets of the sizes that people have."""
    for images in (44, 240, 580):
        yield Case("Wilson, a share of 60 to 98 %", f"{images} images", share(images))
    yield Case("balanced accuracy", "900 images of 3 classes", balanced((300, 300, 300)))
    yield Case("balanced accuracy", "44, 268 and 269 images", balanced((44, 268, 269)))
    for truth in (0.76, 0.9, 0.98):
        for sick, well, films in ((290, 290, 1), (290, 290, 4), (44, 536, 1)):
            people = f"{sick} against {well} images" + (f", {films} a patient" if films > 1 else "")
            yield Case(f"AUC of {truth}", people, area(truth, sick, well, films))
    yield Case("macro AUC", "44, 268 and 269 images", macro_area((44, 268, 269)))
    yield Case("difference of two accuracies", "580 images", paired(580))


def share(images: int) -> Draw:
    """Wilson's interval; the share itself is drawn, as coverage of one goes up and down with it."""

    def draw(rng: np.random.Generator) -> tuple[float, Ends]:
        truth = float(rng.uniform(0.6, 0.98))
        return truth, wilson(int(rng.binomial(images, truth)), images)

    return draw


def balanced(images: tuple[int, ...]) -> Draw:
    """Balanced accuracy of classes with recalls of 95, 90 and 85 %."""
    recalls = np.array([0.95, 0.9, 0.85])

    def draw(rng: np.random.Generator) -> tuple[float, Ends]:
        truth = rng.choice(3, sum(images), p=np.array(images) / sum(images))
        right = rng.random(len(truth)) < recalls[truth]
        answer = np.where(right, truth, (truth + 1) % 3)
        found = intervals.bootstrap(
            truth,
            answer,
            [""] * len(truth),
            3,
            resamples=_RESAMPLES,
            seed=int(rng.integers(1 << 30)),
        )
        return float(recalls.mean()), found["balanced_accuracy"]

    return draw


def area(truth: float, sick: int, well: int, films: int) -> Draw:
    """AUC of normal scores; ``films`` of one patient are alike."""
    shift = math.sqrt(2) * NormalDist().inv_cdf(truth)

    def draw(rng: np.random.Generator) -> tuple[float, Ends]:
        side = np.repeat(rng.random((sick + well) // films) < sick / (sick + well), films)
        score = np.repeat(rng.normal(size=len(side) // films), films) + shift * side
        ends, _ = _areas(np.stack([-score, score], axis=1), side.astype(np.int64), films, rng)
        return truth, (float(ends[1, 0]), float(ends[1, 1]))

    return draw


def macro_area(images: tuple[int, ...]) -> Draw:
    """Mean AUC of three classes whose scores are of equal quality."""

    def drawn(rng: np.random.Generator, count: int) -> tuple[FloatArray, IntArray]:
        truth = rng.choice(3, count, p=np.array(images) / sum(images))
        return rng.normal(size=(count, 3)) + 1.8 * np.eye(3)[truth], truth

    # No formula: measured on so many that its own error is a hundredth of an interval.
    known = float(class_aucs(*drawn(np.random.default_rng(1), 2_000_000)).mean())

    def draw(rng: np.random.Generator) -> tuple[float, Ends]:
        _, (low, high) = _areas(*drawn(rng, sum(images)), 1, rng)
        return known, (float(low), float(high))

    return draw


def _areas(
    scores: FloatArray, truth: IntArray, films: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    groups = [f"p{at // films}" for at in range(len(truth))]
    seed = int(rng.integers(1 << 30))
    return curves.auc_intervals(scores, truth, groups, resamples=_RESAMPLES, seed=seed)


def paired(images: int) -> Draw:
    """Second less first of two runs that are right on 95 and 93 %, mostly on the same images."""
    both, only_first, only_second = 0.92, 0.03, 0.01

    def draw(rng: np.random.Generator) -> tuple[float, Ends]:
        p = [both, only_first, only_second, 1 - both - only_first - only_second]
        kind = rng.choice(4, images, p=p).astype(np.int64)
        drawn = resampled(
            group_counts(kind, 4, [""] * images), compare.RESAMPLES, int(rng.integers(1 << 30))
        )
        low, high = bounds((drawn[:, 2] - drawn[:, 1]) / images)
        return only_second - only_first, (float(low), float(high))

    return draw


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
