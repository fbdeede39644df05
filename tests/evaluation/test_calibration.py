"""Temperature and reliability against planted truth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covidcore.errors import DataError
from covidcore.evaluation.calibration import ece, fit_temperature, reliability, softmax
from covidcore.evaluation.metrics import mean_cross_entropy


def planted(temperature, images=40_000, seed=0):
    """Truths drawn from softmax(logits / temperature): that temperature is the right one."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (images, 3)) * temperature
    edges = softmax(logits, temperature).cumsum(axis=1)
    return logits, (rng.random((images, 1)) > edges[:, :2]).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 1.7, 6.0])
def test_a_planted_temperature_is_found(temperature):
    logits, truth = planted(temperature)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.03)


def test_it_is_the_least_loss_and_mends_over_confidence():
    logits, truth = planted(3.0, images=5000)
    best = fit_temperature(logits, truth)
    for other in (best * 0.97, best * 1.03):
        assert mean_cross_entropy(logits / best, truth) < mean_cross_entropy(logits / other, truth)
    assert ece(softmax(logits, best), truth) < 0.03 < ece(softmax(logits), truth)


def test_without_a_least_nothing_is_changed():
    logits = np.array([[3.0, 1.0], [0.0, 0.5]])
    assert fit_temperature(logits, np.array([0, 1])) == 1.0
    assert fit_temperature(np.zeros((4, 3)), np.array([0, 1, 2, 2])) == 1.0


def test_a_temperature_stays_within_its_bounds():
    sure = np.array([[9.0, 0.0], [9.0, 0.0]])
    assert fit_temperature(sure, np.array([1, 1])) == 20.0
    faint = np.vstack([np.tile([1e-3, 0.0], (999, 1)), [[1e-3, 0.0]]])
    assert fit_temperature(faint, np.r_[np.zeros(999, int), 1]) == 0.05
    with pytest.raises(DataError, match="without validation images"):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int))


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3), min_size=1, max_size=9),
    st.floats(0.05, 20),
)
def test_softmax_sums_to_one_and_keeps_the_order(rows, temperature):
    shares = softmax(rows, temperature)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    logits = np.array(rows)
    highest = np.take_along_axis(shares, logits.argmax(axis=1)[:, None], axis=1)
    assert (highest >= shares).all()


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(DataError, match="not above 0"):
        softmax([[1.0, 2.0]], 0)


def answers(confidences, right):
    table = np.column_stack([confidences, 1 - np.asarray(confidences)])
    return table, np.where(right, 0, 1)


def test_perfectly_calibrated_bins_have_no_error():
    table, truth = answers([0.8] * 5 + [0.6] * 5, [1, 1, 1, 1, 0, 1, 1, 1, 0, 0])
    assert ece(table, truth) == pytest.approx(0)


def test_the_error_is_the_weighted_gap():
    table, truth = answers([0.9] * 4 + [0.6] * 6, [1, 1, 0, 0] + [1] * 6)
    assert ece(table, truth) == pytest.approx(0.4 * 0.4 + 0.6 * 0.4)


def test_reliability_has_a_row_a_bin_and_nan_in_empty_ones():
    table, truth = answers([0.9, 0.9, 1.0], [1, 0, 1])
    rows = reliability(table, truth, bins=10)
    assert list(rows) == ["bin_low", "bin_high", "n", "confidence", "accuracy"]
    assert rows["n"].tolist() == [0] * 8 + [2, 1]
    assert rows["confidence"].tolist()[8:] == pytest.approx([0.9, 1.0])
    assert rows["accuracy"].tolist()[8:] == [0.5, 1.0]
    assert rows.loc[:7, ["confidence", "accuracy"]].isna().all(axis=None)


def test_of_no_images_there_is_no_error_to_tell():
    table, truth = np.zeros((0, 3)), np.zeros(0, dtype=int)
    assert math.isnan(ece(table, truth))
    assert reliability(table, truth)["n"].sum() == 0
    with pytest.raises(DataError, match="0 bins"):
        reliability(table, truth, bins=0)
