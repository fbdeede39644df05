"""How often intervals of 95 % hold the truth: ``python -m benchmarks.coverage [TESTS]``.

So many test sets (2,000, unless told) are drawn for each row from people whose truth is known, and
it is counted how often the interval holds it. With 2,000 the share itself is known to a percentage
point. Prints one JSON document to standard output and a Markdown table to standard error.
"""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from covidcore.evaluation import compare
from covidcore.evaluation.auc_intervals import auc_intervals
from covidcore.evaluation.intervals import of_matrix
from covidcore.evaluation.metrics import FloatArray, IntArray, class_aucs
from covidcore.evaluation.resampling import bounds, group_counts, resampled
from covidcore.proportions import wilson

TESTS = 2000
ALIKE = 0.5
"""Correlation of the scores of two films of one patient."""

Ends = tuple[float, float]
Found = dict[str, tuple[float, Ends]]
"""Figure -> the truth, and the interval that one test set gives for it."""
Draw = Callable[[np.random.Generator], Found]


class Case(NamedTuple):
    """People, and how to draw a test set of them."""

    people: str
    draw: Draw


class People(NamedTuple):
    """One test set: a number a row."""

    truth: IntArray
    score: FloatArray
    """Normal, with a deviation of 1."""
    groups: list[str]


def main(tests: int = TESTS) -> None:
    """Print the coverage of each case, and how often the truth lies below and above."""
    found = {
        (figure, case.people): shares
        for case in cases()
        for figure, shares in measure(case.draw, tests).items()
    }
    rows = [dict(zip(("figure", "people"), key, strict=True)) | one for key, one in found.items()]
    print(json.dumps({"benchmark": "coverage", "tests": tests, "cases": rows}))
    table = [("figure", "test set", "held", "too high", "too low"), ("---",) * 5]
    for (figure, people), one in sorted(found.items(), key=lambda row: row[0][0]):
        error = 100 * 1.96 * math.sqrt(one["held"] * (1 - one["held"]) / tests)
        held, high, low = (f"{100 * one[key]:.1f}" for key in ("held", "below", "above"))
        table.append((figure, people, f"{held} ± {error:.1f} %", f"{high} %", f"{low} %"))
    for row in table:
        print("|", " | ".join(row), "|", file=sys.stderr)


def measure(draw: Draw, tests: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Of each figure, shares of ``tests`` test sets whose interval holds the truth, and not.

    ``below``: the truth lies below the interval. A set without an interval holds nothing.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for _ in range(tests):
        for figure, (truth, (low, high)) in draw(rng).items():
            drawn[figure].append((truth, low, high))
    found = {}
    for figure, each in drawn.items():
        truth, low, high = np.array(each).T
        kinds = {"held": (low <= truth) & (truth <= high), "below": truth < low}
        kinds["above"] = truth > high
        found[figure] = {name: float(np.mean(kind)) for name, kind in kinds.items()}
    return found


def cases() -> Iterator[Case]:
    """What is promised on the pages, on test sets of the sizes that people have."""
    for images in (44, 240, 580):
        yield Case(f"{images} images", share(images))
    yield Case("580 images", paired(580))
    few, many = (44, 268, 269), (200, 300, 300)
    for images, recalls, films in (
        (few, (0.95, 0.9, 0.85), 1), (few, (0.93, 0.97, 0.96), 1), (few, (0.98, 0.98, 0.98), 1),
        (many, (0.93, 0.97, 0.96), 1), (few, (0.93, 0.97, 0.96), 5), (many, (0.93, 0.97, 0.96), 5),
    ):  # fmt: skip
        said = "/".join(f"{100 * recall:.0f}" for recall in recalls)
        yield Case(f"{_said(images, films)}, recalls {said} %", matrix(images, recalls, films))
    for images in ((44, 536), (200, 380)):
        for films in (1, 5):
            for truth in (0.76, 0.9, 0.98) if films > 1 else (0.9, 0.98):
                yield Case(f"{truth}: {_said(images, films)}", area(truth, images, films))
        yield Case(f"0.98, sick of any degree: {_said(images, 1)}", area(0.98, images, 1, width=2))
        yield Case(
            f"0.96, one sick of 20 looks well: {_said(images, 1)}",
            area(0.96, images, 1, unlike=0.05),
        )
    yield Case(_said(few, 1), macro_area(few))


def _said(images: tuple[int, ...], films: int) -> str:
    return f"{', '.join(map(str, images))} images" + (f", 1-{films} a patient" * (films > 1))


def people(rng: np.random.Generator, images: tuple[int, ...], films: int) -> People:
    """About so many images of each class; each patient has one to ``films``, all of a class.

    The sizes of classes are left to chance, as in a split.
    """
    share = np.array(images) / sum(images)
    if films == 1:
        truth = rng.choice(len(images), sum(images), p=share)
        return People(truth, rng.normal(size=len(truth)), [""] * len(truth))
    count = round(2 * sum(images) / (films + 1))
    each = rng.integers(1, films + 1, count)
    truth = np.repeat(rng.choice(len(images), count, p=share), each)
    patient = np.repeat(np.arange(count), each)
    own, common = rng.normal(size=len(patient)), rng.normal(size=count)[patient]
    score = math.sqrt(ALIKE) * common + math.sqrt(1 - ALIKE) * own
    return People(truth, score, [f"p{at}" for at in patient.tolist()])


def share(images: int) -> Draw:
    """Wilson's interval; the share itself is drawn, as coverage of one goes up and down with it."""

    def draw(rng: np.random.Generator) -> Found:
        truth = float(rng.uniform(0.6, 0.98))
        return {"a share of 60 to 98 %": (truth, wilson(int(rng.binomial(images, truth)), images))}

    return draw


def matrix(images: tuple[int, ...], recalls: tuple[float, ...], films: int) -> Draw:
    """Balanced accuracy and F1 of three classes; who is wrong is called the next class."""
    limits = np.array([NormalDist().inv_cdf(one) for one in recalls])
    size, parts = len(images), np.array(images) / sum(images)
    right, wrong = parts * recalls, parts * (1 - np.array(recalls))
    f1 = 2 * right / (parts + right + np.roll(wrong, 1))
    truths = float(np.mean(recalls)), float(f1.mean()), float(f1[0])

    def draw(rng: np.random.Generator) -> Found:
        truth, score, groups = people(rng, images, films)
        answer = np.where(score < limits[truth], truth, (truth + 1) % size)
        found = of_matrix(truth, answer, groups, size)
        ends = found.balanced_accuracy, found.macro_f1, found.f1[0]
        names = "balanced accuracy", "macro F1", "F1 of the smallest class"
        return dict(zip(names, zip(truths, ends, strict=True), strict=True))

    return draw


def area(
    truth: float, images: tuple[int, int], films: int, *, width: float = 1, unlike: float = 0
) -> Draw:
    """AUC of normal scores; those of the sick are so many times as wide as those of the well.

    ``unlike`` is the share of the sick whose scores are those of the well.
    """
    reached = (truth - unlike / 2) / (1 - unlike)
    shift = math.hypot(1, width) * NormalDist().inv_cdf(reached)

    def draw(rng: np.random.Generator) -> Found:
        side, score, groups = people(rng, images, films)
        moved = np.where(side == 0, width * score + shift, score)
        if unlike:  # the well look well in any case
            moved = np.where(rng.random(len(side)) < unlike, score, moved)
        ends, _ = auc_intervals(moved[:, None], side, groups)
        return {"AUC": (truth, (float(ends[0, 0]), float(ends[0, 1])))}

    return draw


def macro_area(images: tuple[int, ...]) -> Draw:
    """Mean AUC of three classes whose scores are of equal quality."""

    def drawn(rng: np.random.Generator, count: int) -> tuple[FloatArray, IntArray]:
        truth = rng.choice(3, count, p=np.array(images) / sum(images))
        return rng.normal(size=(count, 3)) + 1.8 * np.eye(3)[truth], truth

    # No formula: measured on so many that its own error is a hundredth of an interval.
    known = float(class_aucs(*drawn(np.random.default_rng(1), 2_000_000)).mean())

    def draw(rng: np.random.Generator) -> Found:
        scores, truth = drawn(rng, sum(images))
        _, (low, high) = auc_intervals(scores, truth, [""] * len(truth))
        return {f"macro AUC of {known:.2f}": (known, (float(low), float(high)))}

    return draw


def paired(images: int) -> Draw:
    """Second less first of two runs that are right on 95 and 93 %, mostly on the same images."""
    both, only_first, only_second = 0.92, 0.03, 0.01

    def draw(rng: np.random.Generator) -> Found:
        p = [both, only_first, only_second, 1 - both - only_first - only_second]
        kind = rng.choice(4, images, p=p).astype(np.int64)
        drawn = resampled(
            group_counts(kind, 4, [""] * images), compare.RESAMPLES, int(rng.integers(1 << 30))
        )
        low, high = bounds((drawn[:, 2] - drawn[:, 1]) / images)
        difference = only_second - only_first
        return {"difference of two accuracies": (difference, (float(low), float(high)))}

    return draw


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
