"""Operating points against closed forms: the rule, predictive values, costs, what is stored."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidcore.errors import DataError
from covidcore.evaluation import operating, predictions
from covidcore.evaluation.operating import OperatingPoint, decide
from covidcore.evaluation.predictive import predictive_values
from covidcore.proportions import wilson

CLASSES = ("COVID-19", "NORMAL", "Viral Pneumonia")
NONE = np.full(3, math.nan)


@pytest.mark.parametrize(("prevalence", "ppv"), [(0.24, 0.857), (0.05, 0.5), (0.01, 0.161)])
def test_predictive_values_of_a_good_test_fall_with_the_prevalence(prevalence, ppv):
    found = predictive_values((95, 100), (95, 100), prevalence)
    assert found["ppv"] == pytest.approx(ppv, abs=5e-4)
    assert found["npv"] == pytest.approx(
        0.95 * (1 - prevalence) / (0.95 * (1 - prevalence) + 0.05 * prevalence)
    )
    assert found["ppv_ci"][0] < found["ppv"] < found["ppv_ci"][1]
    assert found["npv_ci"][0] < found["npv"] < found["npv_ci"][1]


def test_the_interval_is_mercaldo_s_logit():
    found = predictive_values((80, 100), (180, 200), 0.1)
    # logit PPV = log(0.1 * 0.8 / (0.9 * 0.1)); its variance 0.2 / 80 + 0.9 / (0.1 * 200)
    middle, half = math.log(0.08 / 0.09), 1.959964 * math.sqrt(0.2 / 80 + 0.9 / 20)
    expected = [1 / (1 + math.exp(-end)) for end in (middle - half, middle + half)]
    assert found["ppv_ci"] == pytest.approx(expected, abs=1e-6)


def test_where_all_or_none_are_found_the_interval_still_says_something():
    found = predictive_values((50, 50), (100, 100), 0.05)
    assert found["ppv"] == found["npv"] == 1
    assert found["ppv_ci"][1] == 1 and 0.4 < found["ppv_ci"][0] < 0.9
    nothing = predictive_values((0, 50), (100, 100), 0.05)
    assert math.isnan(nothing["ppv"]) and nothing["npv"] == pytest.approx(0.95)
    assert math.isnan(predictive_values((0, 0), (9, 10), 0.1)["ppv"])
    for wrong in (0.0, 1.0, 24.0, math.nan):
        with pytest.raises(DataError, match="prevalence of"):
            predictive_values((5, 10), (9, 10), wrong)


def test_mercaldo_s_interval_covers_as_often_as_it_says():
    rng, prevalence, runs = np.random.default_rng(0), 0.1, 4000
    truth = 0.85 * prevalence / (0.85 * prevalence + 0.1 * 0.9)
    bounds = [
        predictive_values((int(a), 150), (int(b), 300), prevalence)["ppv_ci"]
        for a, b in zip(rng.binomial(150, 0.85, runs), rng.binomial(300, 0.9, runs), strict=True)
    ]
    assert 0.94 <= np.mean([low <= truth <= high for low, high in bounds]) <= 0.96


shares = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(
    lambda row: np.array(row) / sum(row)
)
limits_of = st.lists(st.one_of(st.just(math.nan), st.floats(0.05, 1)), min_size=3, max_size=3)


@given(shares, limits_of)
def test_the_rule_in_words(row, limits):
    reached = [at for at in range(3) if row[at] >= limits[at]]
    if reached:
        expected = max(reached, key=lambda at: row[at] / limits[at])
    else:
        free = [at for at in range(3) if math.isnan(limits[at])] or [0, 1, 2]
        expected = max(free, key=lambda at: row[at])
    assert decide(row[None], np.array(limits))[0] == expected


def test_the_rule_in_examples():
    row = np.array([[0.3, 0.6, 0.1]])
    assert decide(row, NONE)[0] == 1
    assert decide(row, np.array([0.3, math.nan, math.nan]))[0] == 0
    assert decide(row, np.array([0.31, math.nan, math.nan]))[0] == 1
    assert decide(row, np.array([math.nan, 0.7, math.nan]))[0] == 0  # the best that has none
    assert decide(row, np.array([0.2, 0.3, math.nan]))[0] == 1  # twice its threshold
    assert decide(row, np.array([0.9, 0.9, 0.9]))[0] == 1  # none is reached
    assert len(decide(np.zeros((0, 3)), NONE)) == 0


def table_of(rows, split="test"):
    """Rows of (truth, probabilities)."""
    truth, chances = zip(*rows, strict=True)
    given = pd.DataFrame(
        {
            "file": [f"{split}-{at}" for at in range(len(rows))],
            "split": split,
            "label": truth,
            "source": "",
            "group": "",
        }
    )
    return predictions.build(given, np.log(np.array(chances)), CLASSES)


def test_thresholds_change_the_answers_of_the_table_and_nothing_else():
    table = table_of([("COVID-19", (0.3, 0.6, 0.1)), ("NORMAL", (0.1, 0.8, 0.1))])
    moved = operating.applied(table, CLASSES, OperatingPoint({"COVID-19": 0.25}))
    assert table["predicted"].tolist() == ["NORMAL", "NORMAL"]
    assert moved["predicted"].tolist() == ["COVID-19", "NORMAL"]
    assert moved["correct"].tolist() == [True, True]
    rest = [name for name in table if name not in ("predicted", "correct")]
    pd.testing.assert_frame_equal(table[rest], moved[rest])
    same = operating.applied(table, CLASSES, OperatingPoint())
    pd.testing.assert_frame_equal(same, table, check_dtype=False)


def test_screening_reads_one_class_off_the_matrix():
    matrix = np.array([[40, 8, 2], [5, 90, 5], [0, 10, 40]])
    found = operating.screening(matrix, 0, 0.05, miss_cost=10)
    assert (found["n"], found["others"]) == (50, 150)
    assert found["sensitivity"] == 0.8 and found["specificity"] == pytest.approx(145 / 150)
    assert found["sensitivity_ci"] == list(wilson(40, 50))
    assert found["specificity_ci"] == list(wilson(145, 150))
    assert found["ppv"] == pytest.approx(0.8 * 0.05 / (0.8 * 0.05 + 5 / 150 * 0.95))
    assert found["misses"] == pytest.approx(1000 * 0.05 * 0.2)
    assert found["cost"] == pytest.approx(10 * found["misses"] + found["false_alarms"])
    here = operating.screening(matrix, 0)
    assert here["prevalence"] == 0.25 and here["ppv"] == pytest.approx(40 / 45)
    absent = operating.screening(np.array([[0, 0], [1, 9]]), 0)
    assert math.isnan(absent["sensitivity"]) and math.isnan(absent["ppv"])
    assert absent["specificity"] == 0.9


def chances(p):
    return (p, 1 - p - 0.01, 0.01)


def test_the_cheapest_threshold_is_chosen_on_validation_images_and_follows_the_costs():
    cases = [("COVID-19", chances(p)) for p in (0.15, 0.35, 0.55, 0.75)]
    others = [("NORMAL", chances(p)) for p in (0.05, 0.1, 0.3, 0.5, 0.6)]
    # On the test images any threshold but 0.98 would be worse.
    test = table_of([("COVID-19", chances(0.985)), ("NORMAL", chances(0.97))])
    table = pd.concat([table_of(cases + others, "val"), test])
    cheap = operating.cheapest(table, CLASSES, OperatingPoint({}, "COVID-19", miss_cost=0.1))
    dear = operating.cheapest(table, CLASSES, OperatingPoint({}, "COVID-19", miss_cost=50))
    assert 0.6 < cheap <= 0.75 and 0.1 < dear <= 0.15
    assert cheap == pytest.approx(0.68, abs=0.01)  # in the middle of those that cost the same
    rare = OperatingPoint({}, "COVID-19", prevalence=0.01)
    assert operating.cheapest(table, CLASSES, rare) == cheap
    tried = operating.costs(table, CLASSES, rare)
    at = tried.set_index("threshold")["cost"]
    assert at[0.4] == pytest.approx(1000 * (0.01 * 0.5 + 0.99 * 0.4))
    with pytest.raises(DataError, match="do not hold both COVID-19 and others"):
        operating.cheapest(table_of(cases, "val"), CLASSES, rare)


def test_what_is_stored_is_read_back_and_nothing_else_is_taken():
    point = OperatingPoint({"COVID-19": 0.3}, "COVID-19", 0.05, 10)
    assert OperatingPoint.from_json(point.to_json(), CLASSES) == point
    assert str(point) == "COVID-19 from 30.0 % on" and str(OperatingPoint()) == ""
    good = point.to_json()
    for wrong in (
        None,
        [],
        {},
        {**good, "version": 2},
        {**good, "thresholds": [0.3]},
        {**good, "thresholds": {"COVID-19": "high"}},
        {**good, "thresholds": {"COVID-19": 0}},
        {**good, "thresholds": {"COVID-19": math.nan}},
        {**good, "thresholds": {"cat": 0.3}},
        {**good, "positive": "cat"},
        {**good, "prevalence": 5},
        {**good, "miss_cost": 0},
        {**good, "miss_cost": math.inf},
    ):
        with pytest.raises(DataError):
            OperatingPoint.from_json(wrong, CLASSES)
