"""Intervals of areas under curves: closed forms, groups, what can not be told."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covidcore.errors import DataError
from covidcore.evaluation import metrics
from covidcore.evaluation.auc_intervals import auc_intervals
from covidcore.evaluation.curves import curves


def interval(sick, well, groups=None, **options):
    """Of the first class, whose scores are ``sick``."""
    scores = np.concatenate([sick, well]).astype(float)
    truth = np.repeat([0, 1], [len(sick), len(well)])
    ends, _ = auc_intervals(scores[:, None], truth, groups or [""] * len(truth), **options)
    return tuple(ends[0])


def ordered(sick, well, area):
    """Scores of two normal distributions at their own quantiles, so many of each."""
    shift = math.sqrt(2) * NormalDist().inv_cdf(area)
    return (
        np.array([NormalDist(mu).inv_cdf((at + 0.5) / count) for at in range(count)])
        for count, mu in ((sick, shift), (well, 0))
    )


def test_an_area_of_chance_has_the_variance_of_mann_and_whitney():
    # From 1/2 as far as the end is: (m + n + 1) / 12mn there, to the first order.
    low, high = interval(*ordered(400, 400, 0.5))
    assert low + high == pytest.approx(1, abs=1e-6)
    half = NormalDist().inv_cdf(0.975) * math.sqrt(801 / (12 * 400 * 400))
    assert (high - low) / 2 == pytest.approx(half, rel=0.01)


def test_the_ends_are_where_the_area_found_is_just_possible():
    # Independent of the integral: Owen's T gives how often two pairs that share an image are right.
    from scipy.special import owens_t

    sick, well = ordered(60, 300, 0.95)
    area = metrics.auc(np.repeat([True, False], [60, 300]), np.concatenate([sick, well]))
    for end in interval(sick, well):
        probit = NormalDist().inv_cdf(end)
        both = end - 2 * owens_t(probit, 1 / math.sqrt(3))
        variance = (end * (1 - end) + 358 * (both - end**2)) / (60 * 300)
        assert abs(area - end) == pytest.approx(1.959964 * math.sqrt(variance), rel=0.02)


def test_scores_that_spread_wider_than_expected_widen_it():
    sick, well = ordered(100, 100, 0.9)
    odd = np.concatenate([sick[:90] + 3, well[45:55] - 3])  # nine in ten certain, one in ten missed
    area = metrics.auc(np.repeat([True, False], 100), np.concatenate([odd, well]))
    alike = ordered(100, 100, area)
    wide, narrow = (high - low for low, high in (interval(odd, well), interval(*alike)))
    assert wide > 1.3 * narrow


def test_it_is_about_that_of_drawing_images_one_by_one():
    rng = np.random.default_rng(1)
    sick, well = rng.normal(1.5, 1, 200), rng.normal(0, 1, 200)
    drawn = []
    for _ in range(600):
        rows = rng.choice(sick, 200), rng.choice(well, 200)
        drawn.append(metrics.auc(np.repeat([True, False], 200), np.concatenate(rows)))
    assert interval(sick, well) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)


def test_films_of_one_patient_are_one_witness():
    rng = np.random.default_rng(0)
    sick, well = (np.repeat(rng.normal(mu, 1, 100), 4) for mu in (1.5, 0))
    groups = [f"p{at}" for at in np.repeat(np.arange(200), 4)]
    once = interval(sick[::4], well[::4])
    assert np.ptp(interval(sick, well, groups)) == pytest.approx(np.ptp(once), rel=0.05)
    assert np.ptp(interval(sick, well)) == pytest.approx(np.ptp(once) / 2, rel=0.1)


def test_a_perfect_ranking_is_not_certain_and_less_so_of_few_patients():
    sick, well = np.full(40, 1.0), np.zeros(100)
    low, high = interval(sick, well)
    assert high == 1 and 0.9 < low < 0.999
    assert interval(-sick, well) == pytest.approx((0, 1 - low))
    groups = [f"s{at // 5}" for at in range(40)] + [f"w{at // 5}" for at in range(100)]
    assert interval(sick, well, groups) == pytest.approx(interval(sick[::5], well[::5]))
    one_patient = ["s"] * 40 + [""] * 100
    assert interval(sick, well, one_patient) == pytest.approx(interval(sick[:1], well))


scored = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 9), st.sampled_from(["", "a", "b"])),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(scored)
def test_it_holds_its_figure_and_stays_between_0_and_1(rows):
    truth, groups = np.array([row[0] for row in rows]), [row[2] for row in rows]
    score = np.array([row[1] / 9 for row in rows])
    shares = np.stack([score, 1 - score, score**2], axis=1)
    ends, macro = auc_intervals(shares, truth, groups)
    areas = metrics.class_aucs(shares, truth)
    if len(set(groups)) == 1 and (groups[0] or len(groups) == 1):
        assert np.isnan(ends).all() and np.isnan(macro).all()
        return
    assert (np.isnan(ends).any(axis=1) == np.isnan(areas)).all()
    known = ~np.isnan(areas)
    assert (ends[known, 0] >= 0).all() and (ends[known, 1] <= 1).all()
    assert (ends[known, 0] <= areas[known] + 1e-9).all()
    assert (areas[known] <= ends[known, 1] + 1e-9).all()
    assert (np.diff(ends[known]) > 0.01).all()
    if known.any():
        low, high = macro
        assert -1e-9 <= low <= areas[known].mean() + 1e-9
        assert areas[known].mean() - 1e-9 <= high <= 1 + 1e-9


def test_the_mean_of_two_classes_is_either_and_a_class_without_images_is_left_out():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 40)
    score = rng.normal(size=80) - 1.5 * truth
    three = np.stack([score, -score, np.zeros(80)], axis=1)
    ends, macro = auc_intervals(three, truth, [""] * 80)
    np.testing.assert_allclose(ends[0], ends[1])
    np.testing.assert_allclose(macro, ends[0])
    assert np.isnan(ends[2]).all()


def test_what_can_not_be_told_is_nan_and_nonsense_is_refused():
    empty, macro = auc_intervals(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), [])
    assert np.isnan(empty).all() and np.isnan(macro).all()
    truth, shares = np.array([0, 1, 0]), np.eye(2)[[0, 1, 1]]
    one_group, macro = auc_intervals(shares, truth, ["p"] * 3)
    assert np.isnan(one_group).all() and np.isnan(macro).all()
    with pytest.raises(DataError, match="confidence of 2"):
        auc_intervals(shares, truth, [""] * 3, confidence=2)


def test_a_curve_has_the_same_interval():
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1], 30)
    score = rng.normal(size=60) + truth
    shares = np.stack([-score, score], axis=1)
    ends, _ = auc_intervals(shares, truth, [""] * 60)
    assert curves(shares, truth, [""] * 60, resamples=10)[1].auc_ci == pytest.approx(tuple(ends[1]))
