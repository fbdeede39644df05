"""Intervals of areas under curves hold the truth as often as they say: 3 of their own errors wide.

`benchmarks/coverage.py` measures the same, and other figures, with ten times as many test sets.
"""

import math
from statistics import NormalDist

import numpy as np
import pytest

from covidcore.evaluation.curves import auc_intervals, curves
from covidcore.evaluation.resampling import logit_bounds

TESTS = 400
ERROR = 3 * math.sqrt(0.95 * 0.05 / TESTS)


@pytest.mark.parametrize(
    ("truth", "sick", "well", "films"),
    [(0.8, 150, 150, 1), (0.9, 160, 160, 4), (0.98, 150, 150, 1), (0.98, 40, 260, 1)],
)
def test_intervals_of_areas_hold_the_truth(truth: float, sick: int, well: int, films: int) -> None:
    shift = math.sqrt(2) * NormalDist().inv_cdf(truth)  # of two normal distributions
    rng, held = np.random.default_rng(5), 0
    people, share = (sick + well) // films, sick / (sick + well)
    groups = [f"p{at}" for at in np.repeat(np.arange(people), films)]
    for seed in range(TESTS):
        side = np.repeat(rng.random(people) < share, films)
        score = np.repeat(rng.normal(size=people), films) + shift * side
        scores, truths = np.stack([-score, score], axis=1), side.astype(np.int64)
        ends, _ = auc_intervals(scores, truths, groups, resamples=150, seed=seed)
        held += ends[1, 0] <= truth <= ends[1, 1]
    assert abs(held / TESTS - 0.95) <= ERROR


def test_an_interval_holds_its_figure_and_stays_between_0_and_1() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 30)
    for shift in (-9.0, 0.0, 2.0, 9.0):  # all pairs wrong, chance, good, all pairs right
        score = rng.normal(size=60) + shift * truth
        shares = np.stack([-score, score], axis=1)
        one = curves(shares, truth, [""] * 60, resamples=60)[1]
        assert 0 <= one.auc_ci[0] <= one.auc <= one.auc_ci[1] <= 1
        ends, _ = auc_intervals(shares, truth, [""] * 60, resamples=60)
        assert one.auc_ci == pytest.approx(tuple(ends[1]))


def test_what_does_not_exist_has_no_interval() -> None:
    values = np.array([[0.9, np.nan, np.nan], [0.8, np.nan, 0.7]])
    found = logit_bounds(values, [0.85, np.nan, 0.7], [0.01] * 3)
    assert not np.isnan(found[0]).any() and np.isnan(found[1:]).all()
