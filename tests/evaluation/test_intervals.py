"""Intervals: known values, coverage, groups, determinism, speed."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidcore.errors import DataError
from covidcore.evaluation.intervals import bootstrap, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (549, 580, 0.925134, 0.962093),  # the original write-up
        (230, 240, 0.925013, 0.977213),
        (229, 240, 0.919806, 0.974218),
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
    ],
)
def test_wilson_gives_the_published_values(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-6)


def test_wilson_of_no_trials_is_nan_and_nonsense_is_refused():
    assert all(math.isnan(bound) for bound in wilson(0, 0))
    with pytest.raises(DataError, match="11 successes can not come from 10 trials"):
        wilson(11, 10)
    with pytest.raises(DataError, match="confidence of 95"):
        wilson(1, 10, confidence=95)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_stays_inside_and_is_symmetric(pair):
    successes, trials = pair
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    mirrored = wilson(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_wilson_covers_the_truth_as_often_as_it_says():
    # Coverage of any one share goes up and down with it, as counts are whole: so over many shares.
    rng = np.random.default_rng(1)
    for trials in (50, 240, 580):
        truths = rng.uniform(0.6, 0.98, 6000)
        bounds = [wilson(int(k), trials) for k in rng.binomial(trials, truths)]
        covered = np.mean([low <= p <= high for p, (low, high) in zip(truths, bounds, strict=True)])
        assert 0.94 <= covered <= 0.96


def test_the_bootstrap_covers_the_truth_as_often_as_it_says():
    rng, recalls, runs = np.random.default_rng(0), np.array([0.85, 0.8, 0.7]), 700
    hits = 0
    for seed in range(runs):
        truth = rng.integers(0, 3, 900)
        right = rng.random(900) < recalls[truth]
        answers = np.where(right, truth, (truth + 1) % 3)
        low, high = bootstrap(truth, answers, [""] * 900, 3, resamples=500, seed=seed)[
            "balanced_accuracy"
        ]
        hits += low <= recalls.mean() <= high
    assert 0.94 <= hits / runs <= 0.96


def cohort(people, films, seed):
    """Each person is right or wrong as a whole: films of one person are no new evidence."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, 3, people), films)
    right = np.repeat(rng.random(people) < 0.8, films)
    predicted = np.where(right, truth, (truth + 1) % 3)
    return truth, predicted, [f"p{at}" for at in np.repeat(np.arange(people), films)]


def width(bounds):
    return bounds[1] - bounds[0]


def test_groups_widen_the_interval_where_their_images_go_together():
    truth, predicted, groups = cohort(people=150, films=4, seed=0)
    grouped = bootstrap(truth, predicted, groups, 3)
    single = bootstrap(truth, predicted, [""] * len(truth), 3)
    for name in ("balanced_accuracy", "macro_f1"):
        # Four films that agree are one witness: sqrt(4) times as wide.
        assert width(grouped[name]) == pytest.approx(2 * width(single[name]), rel=0.15)


def test_a_group_of_one_and_no_group_are_the_same():
    truth, predicted, _ = cohort(people=80, films=1, seed=2)
    named = [f"p{at}" for at in range(80)]
    assert bootstrap(truth, predicted, named, 3) == bootstrap(truth, predicted, [""] * 80, 3)


def test_the_same_seed_gives_the_same_bounds_and_another_one_others():
    truth, predicted, groups = cohort(people=60, films=2, seed=3)
    first = bootstrap(truth, predicted, groups, 3, seed=5)
    assert first == bootstrap(truth, predicted, groups, 3, seed=5)
    assert first != bootstrap(truth, predicted, groups, 3, seed=6)
    wider = bootstrap(truth, predicted, groups, 3, seed=5, confidence=0.99)
    assert width(wider["macro_f1"]) > width(first["macro_f1"])


def test_it_agrees_with_drawing_groups_one_by_one():
    truth, predicted, groups = cohort(people=40, films=3, seed=4)
    members = [np.flatnonzero(np.array(groups) == name) for name in sorted(set(groups))]
    rng, values = np.random.default_rng(0), []
    for _ in range(2000):
        rows = np.concatenate([members[at] for at in rng.integers(0, 40, 40)])
        hits = truth[rows] == predicted[rows]
        values.append(np.mean([hits[truth[rows] == c].mean() for c in np.unique(truth[rows])]))
    slow = np.quantile(values, [0.025, 0.975])
    fast = bootstrap(truth, predicted, groups, 3)["balanced_accuracy"]
    assert fast == pytest.approx(slow, abs=0.02)


def test_degenerate_samples():
    truth = np.array([0, 1, 2, 0])
    assert bootstrap(truth, truth, [""] * 4, 3)["macro_f1"] == (1.0, 1.0)
    for rows in (truth[:0], truth):
        alone = bootstrap(rows, rows, ["p"] * len(rows), 3)
        assert all(math.isnan(bound) for bounds in alone.values() for bound in bounds)
    absent = bootstrap(np.array([0, 0, 1]), np.array([0, 1, 1]), [""] * 3, 5)
    assert all(0 <= bound <= 1 for bounds in absent.values() for bound in bounds)
    with pytest.raises(DataError, match="do not match"):
        bootstrap(truth, truth, ["p"], 3)


def test_thousands_of_resamples_of_thousands_of_groups_take_well_under_a_second():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 5000)
    predicted = np.where(rng.random(5000) < 0.9, truth, rng.integers(0, 3, 5000))
    groups = [f"p{at % 4500}" for at in range(5000)]
    start = time.process_time()
    bootstrap(truth, predicted, groups, 3, resamples=4000)
    assert time.process_time() - start < 1
