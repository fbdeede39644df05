"""Intervals of shares and of their means: known values, groups, what can not be told."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covidcore.errors import DataError
from covidcore.evaluation import metrics
from covidcore.evaluation.intervals import of_matrix, wilson
from covidcore.proportions import mean_of_proportions


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


def cohort(people, films, seed):
    """Each person is right or wrong as a whole: films of one person are no new evidence."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, 3, people), films)
    right = np.repeat(rng.random(people) < 0.8, films)
    predicted = np.where(right, truth, (truth + 1) % 3)
    return truth, predicted, [f"p{at}" for at in np.repeat(np.arange(people), films)]


def width(bounds):
    return bounds[1] - bounds[0]


def test_films_that_agree_are_one_witness():
    truth, predicted, groups = cohort(people=150, films=4, seed=0)
    grouped = of_matrix(truth, predicted, groups, 3)
    single = of_matrix(truth, predicted, [""] * len(truth), 3)
    for name in ("balanced_accuracy", "macro_f1"):
        # Four films that agree are one witness: sqrt(4) times as wide.
        ratio = width(getattr(grouped, name)) / width(getattr(single, name))
        assert ratio == pytest.approx(2, rel=0.1)


def test_films_that_have_nothing_in_common_are_as_many_witnesses():
    rng = np.random.default_rng(1)
    truth = np.repeat(rng.integers(0, 3, 2000), 2)
    predicted = np.where(rng.random(4000) < 0.8, truth, (truth + 1) % 3)
    groups = [f"p{at}" for at in np.repeat(np.arange(2000), 2)]
    grouped, single = (of_matrix(truth, predicted, of, 3) for of in (groups, [""] * 4000))
    assert width(grouped.macro_f1) == pytest.approx(width(single.macro_f1), rel=0.05)


def test_a_group_of_one_and_no_group_are_the_same():
    truth, predicted, _ = cohort(people=80, films=1, seed=2)
    named = [f"p{at}" for at in range(80)]
    assert of_matrix(truth, predicted, named, 3) == of_matrix(truth, predicted, [""] * 80, 3)


def test_a_higher_confidence_is_wider():
    truth, predicted, groups = cohort(people=60, films=2, seed=3)
    plain = of_matrix(truth, predicted, groups, 3)
    wider = of_matrix(truth, predicted, groups, 3, confidence=0.99)
    assert width(wider.macro_f1) > width(plain.macro_f1)
    with pytest.raises(DataError, match="confidence of 95"):
        of_matrix(truth, predicted, groups, 3, confidence=95)


def test_balanced_accuracy_is_put_together_from_wilsons_intervals():
    # Zou & Donner 2008: each end as far as the distances of the parts' ends, squared and added.
    truth = np.repeat([0, 1, 2], [44, 268, 269])
    predicted = truth.copy()
    predicted[:3], predicted[100:108] = 1, 0
    found = of_matrix(truth, predicted, [""] * 581, 3)
    _, low, high = mean_of_proportions([(41, 44), (260, 268), (269, 269)])
    assert found.balanced_accuracy == pytest.approx((low, high))


def test_f1_has_the_interval_of_what_it_shares():
    # 41 images are of the class and called so; 3 and 8 are one of both.
    truth = np.repeat([0, 1], [44, 300])
    predicted = truth.copy()
    predicted[:3], predicted[100:108] = 1, 0
    low, high = wilson(41, 52)
    found = of_matrix(truth, predicted, [""] * 344, 2).f1[0]
    assert found == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["", "a", "b", "c"])),
        min_size=2,
        max_size=40,
    )
)
def test_intervals_hold_their_figures_and_stay_between_0_and_1(rows):
    truth, predicted = (np.array([row[at] for row in rows]) for at in (0, 1))
    groups = [row[2] for row in rows]
    found = of_matrix(truth, predicted, groups, 4)
    matrix = np.bincount(truth * 4 + predicted, minlength=16).reshape(4, 4)
    if len(set(groups)) == 1 and groups[0]:
        assert all(math.isnan(end) for ends in (*found[:2], *found.f1) for end in ends)
        return
    figures = (metrics.balanced_accuracy(matrix), metrics.macro_f1(matrix), *metrics.f1(matrix))
    for value, (low, high) in zip(figures, (*found[:2], *found.f1), strict=True):
        if math.isnan(value):  # a class without images has no figure, and no interval
            assert math.isnan(low) and math.isnan(high)
        else:
            assert -1e-9 <= low <= value + 1e-9 and value - 1e-9 <= high <= 1 + 1e-9
            assert high - low > 0.01


def test_without_errors_the_upper_end_is_certain_and_the_lower_is_not():
    truth = np.array([0, 1, 2, 0])
    found = of_matrix(truth, truth, [""] * 4, 3)
    assert found.macro_f1[1] == found.balanced_accuracy[1] == 1
    assert found.macro_f1[0] < 0.7 and found.balanced_accuracy[0] < 0.7
    # Where nobody was wrong, films of one patient may all be the same: fewer witnesses.
    many = np.repeat(truth, 5)
    named = [f"p{at}" for at in np.repeat(np.arange(4), 5)]
    assert of_matrix(many, many, named, 3).macro_f1 == pytest.approx(found.macro_f1)


def test_what_can_not_be_told_is_nan():
    truth = np.array([0, 1, 2, 0])
    for rows in (truth[:0], truth):
        alone = of_matrix(rows, rows, ["p"] * len(rows), 3)
        assert all(math.isnan(end) for ends in (*alone[:2], *alone.f1) for end in ends)
    absent = of_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), [""] * 3, 5)
    assert all(math.isnan(end) for ends in absent.f1[2:] for end in ends)
    assert not any(math.isnan(end) for ends in (*absent[:2], *absent.f1[:2]) for end in ends)
    with pytest.raises(DataError, match="do not match"):
        of_matrix(truth, truth, ["p"], 3)


def test_the_f1_of_two_classes_go_together_so_their_mean_is_hardly_surer():
    # Every error lowers both: as independent figures their mean would be 0.71 times as wide.
    truth = np.repeat([0, 1], 100)
    predicted = truth.copy()
    predicted[:10], predicted[100:110] = 1, 0
    found = of_matrix(truth, predicted, [""] * 200, 2)
    assert width(found.macro_f1) > 0.9 * width(found.f1[0])
