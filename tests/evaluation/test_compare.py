"""Two runs on the same images: exact tests, paired intervals, and when nothing is said."""

import numpy as np
import pandas as pd
import pytest

from covidcore.errors import DataError
from covidcore.evaluation import compare, predictions
from covidcore.evaluation.compare import SAME, mcnemar

CLASSES = ("COVID-19", "NORMAL", "Viral Pneumonia")


def table_of(wrong, images=240, names=None, groups=None, split="test"):
    """Predictions about images in turn of each class; those in ``wrong`` are answered wrongly."""
    truth = np.arange(images) % 3
    answer = np.where(np.isin(np.arange(images), list(wrong)), (truth + 1) % 3, truth)
    rows = pd.DataFrame(
        {
            "file": names or [f"{at}.png" for at in range(images)],
            "split": split,
            "label": [CLASSES[at] for at in truth],
            "source": "",
            "group": groups or "",
        }
    )
    return predictions.build(rows, 3.0 * np.eye(3)[answer], CLASSES)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 10), (0, 6), (40, 41), (12, 60)])
def test_mcnemar_is_the_exact_binomial_test(first, second):
    from scipy.stats import binomtest

    total = first + second
    expected = binomtest(first, total, 0.5).pvalue if total else 1.0
    assert mcnemar(first, second) == mcnemar(second, first) == pytest.approx(expected)


def test_229_against_230_of_240_can_not_be_told_apart():
    document = compare.compare({"a": table_of(range(11)), "b": table_of(range(5, 15))}, CLASSES)
    (pair,) = document["pairs"]
    assert [one["right"] for one in document["runs"]] == [229, 230]
    assert document["n"] == pair["n"] == 240
    assert pair["accuracy"]["difference"] == pytest.approx(1 / 240)
    low, high = pair["accuracy"]["ci"]
    assert low < 0 < high
    assert pair["verdict"] == SAME and pair["better"] is None
    assert [one["rank"] for one in document["runs"]] == [1, 1]  # a tie is shown as one


def test_a_clear_difference_is_told_and_who_is_better():
    tables = {"worse": table_of(range(40)), "better": table_of(range(10))}
    document = compare.compare(tables, CLASSES)
    (pair,) = document["pairs"]
    assert (pair["only_first"], pair["only_second"]) == (0, 30)
    assert (pair["both"], pair["neither"]) == (200, 10)
    assert pair["better"] == "better" and pair["verdict"] == "better is better"
    assert pair["accuracy"]["ci"][0] > 0
    assert [one["rank"] for one in document["runs"]] == [2, 1]
    turned = compare.compare(dict(reversed(tables.items())), CLASSES)["pairs"][0]
    assert turned["better"] == "better"
    assert turned["accuracy"]["difference"] == -pair["accuracy"]["difference"]


def test_four_images_prove_nothing_though_the_bootstrap_would_say_so():
    (pair,) = compare.compare({"a": table_of(range(4)), "b": table_of(())}, CLASSES)["pairs"]
    assert pair["accuracy"]["ci"][0] > 0
    assert pair["mcnemar_p"] == 0.125
    assert pair["verdict"] == SAME


def test_one_patient_with_many_films_proves_nothing():
    groups = ["p"] * 12 + [f"q{at}" for at in range(228)]
    tables = {"a": table_of(range(12), groups=groups), "b": table_of((), groups=groups)}
    (pair,) = compare.compare(tables, CLASSES)["pairs"]
    assert pair["mcnemar_p"] < 0.001
    assert pair["accuracy"]["ci"][0] == 0
    assert pair["verdict"] == SAME


def test_the_paired_interval_is_that_of_drawing_images_one_by_one():
    a, b = table_of(range(30)), table_of(range(20, 40))
    (pair,) = compare.compare({"a": a, "b": b}, CLASSES)["pairs"]
    gain = b["correct"].to_numpy().astype(int) - a["correct"].to_numpy().astype(int)
    rng = np.random.default_rng(0)
    values = [gain[rng.integers(0, 240, 240)].mean() for _ in range(4000)]
    assert pair["accuracy"]["ci"] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.005)
    low, high = pair["macro_f1"]["ci"]
    assert low < pair["macro_f1"]["difference"] < high


def test_paired_intervals_cover_as_often_as_they_say():
    rng, runs, images = np.random.default_rng(1), 1000, 900
    rows = pd.DataFrame({"label": ["a"] * images, "group": ""})
    hits = 0
    for seed in range(runs):
        first = rng.random(images) < 0.15
        second = np.where(rng.random(images) < 0.5, first, rng.random(images) < 0.25)
        rows["answer:x"], rows["answer:y"] = (np.where(w, "b", "a") for w in (first, second))
        found = compare.difference(rows, ("a", "b"), "x", "y", resamples=500, seed=seed)
        low, high = found["accuracy"]["ci"]
        hits += low <= -0.05 <= high
    assert 0.94 <= hits / runs <= 0.96


def test_only_images_that_all_were_tested_on_count():
    names = [f"{at}.png" for at in range(120, 360)]
    a, b = table_of((), names=names), table_of(())
    document = compare.compare({"a": a, "b": b}, CLASSES)
    assert document["n"] == 120
    assert [one["test_images"] for one in document["runs"]] == [240, 240]
    other = b.assign(
        label=b["label"].map(dict(zip(CLASSES, CLASSES[1:] + CLASSES[:1], strict=True)))
    )
    with pytest.raises(DataError, match="no test image in common"):
        compare.paired({"a": a, "b": other}, CLASSES)  # other truths are other questions
    with pytest.raises(DataError, match="no test image in common"):
        compare.paired({"a": a, "b": b.assign(split="val")}, CLASSES)
    with pytest.raises(DataError, match="name two runs"):
        compare.paired({"a": a}, CLASSES)


def test_disagreements_are_the_widest_apart_first():
    rows = compare.paired({"a": table_of((0, 1, 2)), "b": table_of((2, 3))}, CLASSES)
    rows.loc[rows["file"] == "1.png", "p:a"] = 0.001
    found = compare.disagreements(rows, "a", "b")
    assert sorted(found["file"]) == ["0.png", "1.png", "3.png"]
    assert found["file"][0] == "1.png"
    assert dict(zip(found["file"], found["right"], strict=True)) == {
        "0.png": "second", "1.png": "second", "3.png": "first",
    }  # fmt: skip
    assert compare.disagreements(rows, "a", "a").empty
