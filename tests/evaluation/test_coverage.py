"""Intervals hold the truth as often as they say, within 3 of the errors of so few test sets.

`benchmarks/coverage.py` measures the same, and more, with ten times as many.
"""

import math
from statistics import NormalDist

import numpy as np
import pytest

from covidcore.evaluation.auc_intervals import auc_intervals
from covidcore.evaluation.intervals import of_matrix

TESTS = 250
ERROR = 3 * math.sqrt(0.95 * 0.05 / TESTS)


def patients(rng: np.random.Generator, parts: tuple[int, ...], films: int):
    """Classes of about so many images, and each image's patient, of one to ``films`` images."""
    people = round(2 * sum(parts) / (films + 1))
    each = rng.integers(1, films + 1, people)
    truth = rng.choice(len(parts), people, p=np.array(parts) / sum(parts))
    return np.repeat(truth, each), np.repeat(np.arange(people), each)


@pytest.mark.parametrize(
    ("truth", "sick", "well", "films"),
    [(0.76, 40, 260, 1), (0.98, 44, 260, 1), (0.9, 160, 160, 5), (0.98, 60, 260, 5)],
)
def test_intervals_of_areas_hold_the_truth(truth: float, sick: int, well: int, films: int) -> None:
    shift = math.sqrt(2) * NormalDist().inv_cdf(truth)  # of two normal distributions
    rng, held = np.random.default_rng(5), 0
    for _ in range(TESTS):
        side, person = patients(rng, (well, sick), films)
        score = rng.normal(size=person[-1] + 1)[person] + shift * side
        scores = np.stack([-score, score], axis=1)
        ends, _ = auc_intervals(scores, side, [f"p{at}" for at in person])
        held += ends[1, 0] <= truth <= ends[1, 1]
    assert abs(held / TESTS - 0.95) <= ERROR


@pytest.mark.parametrize(("parts", "films"), [((44, 268, 269), 1), ((200, 200, 200), 5)])
def test_intervals_of_means_hold_the_truth(parts: tuple[int, ...], films: int) -> None:
    recalls = np.array([0.93, 0.97, 0.96])
    share = np.array(parts) / sum(parts)
    right, wrong = share * recalls, share * (1 - recalls)
    f1 = (2 * right / (share + right + np.roll(wrong, 1))).mean()
    rng, held = np.random.default_rng(6), {"balanced_accuracy": 0, "macro_f1": 0}
    for _ in range(TESTS):
        truth, person = patients(rng, parts, films)
        hits = rng.random(person[-1] + 1)[person] < recalls[truth]
        answer = np.where(hits, truth, (truth + 1) % 3)
        found = of_matrix(truth, answer, [f"p{at}" for at in person], 3)
        for name, value in (("balanced_accuracy", recalls.mean()), ("macro_f1", f1)):
            low, high = getattr(found, name)
            held[name] += low <= value <= high
    for name, count in held.items():
        assert abs(count / TESTS - 0.95) <= ERROR, name
