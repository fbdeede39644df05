"""Curves and their areas: scikit-learn's on any scores, NaN where a side is empty, bands."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covidcore.evaluation.curves import GRID, curves

scored = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=1, max_size=50)


def one_curve(positive, scores, **options):
    """The curve of the second of two classes."""
    shares = np.stack([1 - scores, scores], axis=1)
    return curves(shares, positive.astype(np.int64), [""] * len(scores), **options)[1]


def cohort(images=400, films=1, shift=1.5, seed=0):
    """Truths, scores of two classes, and groups of so many like films each."""
    rng = np.random.default_rng(seed)
    people = images // films
    truth = np.repeat(rng.integers(0, 2, people), films)
    score = np.repeat(rng.normal(size=people), films) + shift * truth
    groups = [f"p{at}" for at in np.repeat(np.arange(people), films)]
    return truth, np.stack([-score, score], axis=1), groups


@settings(deadline=None, max_examples=100)
@given(scored)
def test_areas_and_points_are_those_of_scikit_learn(rows):
    from sklearn import metrics as reference

    positive = np.array([side == 0 for side, _ in rows])
    scores = np.array([score / 6 for _, score in rows])
    found = one_curve(positive, scores, resamples=2)
    assert found.n == positive.sum()
    if positive.all() or not positive.any():
        assert math.isnan(found.auc) and math.isnan(found.average_precision)
        assert len(found.roc) == len(found.precision_recall) == 0
        assert np.isnan(found.roc_band).all() and np.isnan(found.auc_ci).all()
        return
    assert found.auc == pytest.approx(reference.roc_auc_score(positive, scores))
    expected = reference.average_precision_score(positive, scores)
    assert found.average_precision == pytest.approx(expected)
    false, true, _ = reference.roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(found.roc[:, :2], np.stack([false, true], axis=1))
    precision, recall, limits = reference.precision_recall_curve(positive, scores)
    ours = found.precision_recall[::-1]
    np.testing.assert_allclose(ours[:, 2], limits)
    np.testing.assert_allclose(ours[:, 1], precision[:-1])
    np.testing.assert_allclose(ours[:, 0], recall[:-1])


def test_the_same_seed_gives_the_same_bands_and_one_group_gives_none():
    truth, scores, groups = cohort(images=60)
    first, again = (curves(scores, truth, groups, resamples=50)[1] for _ in range(2))
    np.testing.assert_array_equal(first.roc_band, again.roc_band)
    assert first.average_precision_ci == again.average_precision_ci
    other = curves(scores, truth, groups, resamples=50, seed=1)[1]
    assert first.average_precision_ci != other.average_precision_ci
    assert first.auc_ci == other.auc_ci  # which draws nothing
    alone = curves(scores, truth, ["p"] * 60)[1]
    assert math.isnan(alone.auc_ci[0]) and np.isnan(alone.roc_band).all()
    assert not math.isnan(alone.auc)


def test_bands_hold_the_curve_and_rise():
    truth, scores, groups = cohort()
    found = curves(scores, truth, groups)[1]
    low, high = found.roc_band.T
    assert (np.diff(low) >= 0).all() and (np.diff(high) >= 0).all()
    at = np.searchsorted(found.roc[:, 0], GRID, "right") - 1
    curve = found.roc[at, 1]
    assert ((low <= curve + 1e-9) & (curve <= high + 1e-9)).mean() > 0.98
    low, high = found.precision_band.T
    assert (low <= high).all() and high.max() <= 1 and low.min() >= 0


def test_a_perfect_ranking():
    truth = np.repeat([0, 1], 20)
    shares = np.stack([1.0 - truth, truth * 1.0], axis=1)
    found = curves(shares, truth, [""] * 40, resamples=20)[1]
    assert found.auc == found.average_precision == 1
    assert (found.roc_band == 1).all() and (found.precision_band == 1).all()
