"""Folds: groups stay whole, figures by hand, intervals, what leakage buys where it is planted."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covidcore.errors import DataError
from covidcore.evaluation.folds import bought, corrected, deal, spread

CLASSES = ("a", "b", "c")


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Classes and groups ``(N,)``: groups of one class and of several, five of each class alone."""
    size = draw(st.integers(0, 60))
    truth = draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    groups = draw(st.lists(st.integers(0, 25), min_size=size, max_size=size))
    truth += [at for at in range(3) for _ in range(5)]
    groups += list(range(100, 115))
    return np.array(truth, dtype=np.int64), np.array(groups, dtype=np.int64)


@settings(max_examples=150, deadline=None)
@given(cohorts(), st.integers(2, 5), st.integers(1, 4), st.integers(0, 9))
def test_folds_never_divide_a_group(
    cohort: tuple[np.ndarray, np.ndarray], count: int, repeats: int, seed: int
) -> None:
    truth, groups = cohort
    fold = deal(truth, groups, count, repeats, seed, CLASSES)
    assert fold.shape == (repeats, len(truth))
    for turn in fold:
        assert set(turn.tolist()) == set(range(count))
        for group in np.unique(groups):
            assert len(np.unique(turn[groups == group])) == 1
        for at in range(count):  # every class is learned, whatever is left out
            assert set(truth[turn != at].tolist()) == {0, 1, 2}


def test_folds_differ_between_repeats_and_not_between_calls() -> None:
    truth, groups = np.repeat([0, 1, 2], 20), np.arange(60)
    fold = deal(truth, groups, 5, 3, 7, CLASSES)
    assert (fold == deal(truth, groups, 5, 3, 7, CLASSES)).all()
    assert (fold[0] != fold[1]).any()
    assert (fold != deal(truth, groups, 5, 3, 8, CLASSES)).any()
    assert all(np.bincount(turn).tolist() == [12] * 5 for turn in fold)


@pytest.mark.parametrize(
    ("count", "repeats", "sentence"),
    [
        (1, 5, "folds is 1; it must lie between 2 and 20."),
        (21, 5, "folds is 21; it must lie between 2 and 20."),
        (5, 0, "repeats is 0; it must lie between 1 and 50."),
        (5, 1, "Class “c” has 4 groups of images that belong together: too few for 5 folds."),
    ],
)
def test_what_can_not_be_dealt_is_told(count: int, repeats: int, sentence: str) -> None:
    truth, groups = np.repeat([0, 1, 2], 8), np.arange(24)
    groups[20:] = 19  # of the third class four groups are left
    with pytest.raises(DataError) as error:
        deal(truth, groups, count, repeats, 0, CLASSES)
    assert str(error.value) == sentence


def test_the_spread_by_hand() -> None:
    truth = np.array([0, 0, 1, 1])
    fold = np.array([[0, 1, 0, 1], [0, 1, 1, 0]])
    answers = np.array([[0, 1, 1, 1], [0, 0, 1, 0]])
    found = spread(truth, answers, fold, ("a", "b"))
    assert found["repeats"] == [0.75, 0.75]
    assert found["per_fold"] == [1.0, 0.5, 0.5, 1.0]
    assert found["accuracy"] == 0.75
    assert found["std"] == pytest.approx(np.std([1, 0.5, 0.5, 1], ddof=1))
    assert found["per_class"]["a"] == {
        "n": 2, "recall": 0.75, "std": pytest.approx(np.std([0.5, 1], ddof=1)),
    }  # fmt: skip
    assert found["balanced_accuracy"] == pytest.approx(0.75)


def test_one_repeat_has_no_spread_of_repeats() -> None:
    found = spread(np.array([0, 1]), np.array([[0, 1]]), np.array([[0, 1]]), ("a", "b"))
    assert math.isnan(found["per_class"]["a"]["std"])


def test_the_corrected_interval_is_the_published_one() -> None:
    values = [0.9, 0.92, 0.95, 0.91, 0.93, 0.9, 0.94, 0.92, 0.91, 0.95]
    low, high = corrected(values, 5)
    error = np.std(values, ddof=1) * math.sqrt(1 / 10 + 1 / 4)
    assert (low, high) == pytest.approx((np.mean(values) - 2.262157 * error,
                                         np.mean(values) + 2.262157 * error), abs=1e-6)  # fmt: skip
    assert corrected([1.0, 0.9, 1.0, 1.0, 1.0], 5)[1] == 1.0


def test_repeats_alone_do_not_make_it_narrow() -> None:
    """The same folds a hundred times over are no news."""
    once = np.random.default_rng(0).normal(0.9, 0.02, 25)
    narrow = np.diff(corrected(np.tile(once, 100), 5))[0]
    wide = np.diff(corrected(once, 5))[0]
    assert 0.8 * wide < narrow <= wide


def test_what_leakage_buys_is_found_where_it_was_planted() -> None:
    rng = np.random.default_rng(4)
    groups = np.concatenate([np.arange(300), 300 + np.repeat(np.arange(50), 2)])
    truth = rng.integers(0, 3, 400)
    honest = np.where(rng.random((5, 400)) < 0.8, truth, (truth + 1) % 3)
    leaky = honest.copy()
    leaky[:, 300:] = truth[300:]  # who has a relative is always answered right
    found = bought(truth, leaky, honest, groups)
    assert found["n"] == 400
    assert found["related"]["n"] == 100
    assert found["related"]["groups"] == 50
    low, high = found["related"]["ci"]
    assert 0.15 < low < found["related"]["difference"] < high < 0.25
    assert found["difference"] == pytest.approx(found["related"]["difference"] / 4)
    assert bought(truth, leaky, honest, groups) == found  # seeded


def test_without_relatives_nothing_can_leak() -> None:
    truth = np.zeros(10, dtype=np.int64)
    found = bought(truth, truth[None], truth[None], np.arange(10))
    assert found["difference"] == 0
    assert found["related"]["n"] == 0
    assert math.isnan(found["related"]["difference"])


def test_two_films_of_a_patient_are_one_witness() -> None:
    """The interval is as wide with every image twice as without."""
    rng = np.random.default_rng(5)
    truth = np.zeros(200, dtype=np.int64)
    honest = (rng.random((1, 200)) < 0.2).astype(np.int64)
    once = bought(truth, truth[None], honest, np.arange(200))
    twice = bought(
        np.repeat(truth, 2), np.repeat(truth, 2)[None], np.repeat(honest, 2, axis=1),
        np.repeat(np.arange(200), 2),
    )  # fmt: skip
    assert np.diff(twice["ci"]) == pytest.approx(np.diff(once["ci"]), rel=0.15)
