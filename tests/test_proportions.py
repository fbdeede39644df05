"""Differences and means of shares: published values, coverage, what can not be computed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidcore.errors import DataError
from covidcore.proportions import (
    mean_of_proportions,
    mover,
    mover_mean,
    newcombe,
    wilson,
    wilson_share,
)

SHARES = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Newcombe 1998, table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((10, 10, 0, 20), 0.6791, 1.0000),
        ((10, 10, 0, 10), 0.6075, 1.0000),
        ((5, 56, 0, 29), -0.0381, 0.1926),
    ],
)
def test_newcombe_gives_the_published_values(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    assert newcombe(*counts) == pytest.approx((low, high), abs=6e-5)


@given(SHARES, SHARES)
def test_newcombe_holds_the_difference_and_turns_with_it(
    one: tuple[int, int], two: tuple[int, int]
) -> None:
    low, high = newcombe(*one, *two)
    assert -1 - 1e-12 <= low <= one[0] / one[1] - two[0] / two[1] <= high <= 1 + 1e-12
    assert low < high
    assert newcombe(*two, *one) == pytest.approx((-high, -low), abs=1e-9)


def test_newcombe_covers_the_truth_about_as_often_as_it_says() -> None:
    draws = np.random.default_rng(2)
    for first, of_first, second, of_second in ((0.97, 550, 0.2, 300), (0.9, 60, 0.95, 400)):
        pairs = zip(
            draws.binomial(of_first, first, 3000), draws.binomial(of_second, second, 3000),
            strict=True,
        )  # fmt: skip
        bounds = [newcombe(int(a), of_first, int(b), of_second) for a, b in pairs]
        assert 0.935 <= np.mean([low <= first - second <= high for low, high in bounds]) <= 0.975


def test_what_has_no_images_is_not_computed() -> None:
    assert all(math.isnan(bound) for bound in newcombe(0, 0, 3, 4))
    assert all(math.isnan(bound) for bound in newcombe(3, 4, 0, 0))
    assert all(math.isnan(value) for value in mean_of_proportions([(3, 4), (0, 0)]))
    assert all(math.isnan(value) for value in mean_of_proportions([]))
    with pytest.raises(DataError, match="5 successes can not come from 4 trials"):
        newcombe(5, 4, 1, 1)


def test_mover_of_two_shares_is_newcombe() -> None:
    bounds = mover(0.8, wilson(56, 70), 0.6, wilson(48, 80))
    assert bounds == pytest.approx(newcombe(56, 70, 48, 80))


def test_the_mean_of_one_share_is_that_share_and_of_several_is_surer() -> None:
    mean, low, high = mean_of_proportions([(45, 50)])
    assert (mean, low, high) == pytest.approx((0.9, *wilson(45, 50)))
    both, lower, higher = mean_of_proportions([(45, 50), (45, 50)])
    assert both == pytest.approx(0.9)
    assert higher - lower == pytest.approx((high - low) / math.sqrt(2))


def test_the_mean_of_shares_covers_the_truth() -> None:
    draws = np.random.default_rng(3)
    truths, trials = (0.7, 0.95, 0.9), (44, 270, 260)
    counts = zip(
        *(draws.binomial(n, p, 3000).tolist() for p, n in zip(truths, trials, strict=True)),
        strict=True,
    )
    hits = 0
    for row in counts:
        _, low, high = mean_of_proportions(list(zip(row, trials, strict=True)))
        hits += low <= sum(truths) / 3 <= high
    assert 0.935 <= hits / 3000 <= 0.975


def test_wilson_of_trials_that_are_not_whole() -> None:
    assert wilson_share(0.9, 50) == pytest.approx(wilson(45, 50))
    low, high = wilson_share(0.9, 17.5)
    assert wilson(9, 10)[0] < low < wilson(18, 20)[0] and high > wilson(18, 20)[1]
    assert wilson_share(1, 0.5)[1] == 1
    for share, trials in ((1.1, 5), (0.5, 0), (math.nan, 5)):
        with pytest.raises(DataError, match="does not exist"):
            wilson_share(share, trials)


def test_the_mean_of_figures_that_go_together_is_no_surer_than_one() -> None:
    ends = [wilson(45, 50)] * 2
    assert mover_mean([0.9, 0.9], ends, [[1, 1], [1, 1]]) == pytest.approx(ends[0])
    alone = mover_mean([0.9, 0.9], ends)
    assert mover_mean([0.9, 0.9], ends, [[1, 0], [0, 1]]) == pytest.approx(alone)
    opposite = mover_mean([0.9, 0.9], ends, [[1, -1], [-1, 1]])
    assert opposite == pytest.approx((0.9, 0.9))
    assert all(math.isnan(end) for end in mover_mean([], []))
