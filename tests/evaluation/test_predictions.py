"""The predictions table, the contract's `evaluate`, and the images behind a cell."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest

from covidcore import storage
from covidcore.errors import DataError
from covidcore.evaluation import calibration, predictions
from covidcore.proportions import wilson

CLASSES = ("COVID-19", "NORMAL", "Viral Pneumonia")

CONTRACT = """{"run", "dataset", "split", "n", "classes", "confusion": [[...]] rows are the truth,
"accuracy", "accuracy_ci": [lo, hi], "balanced_accuracy", "balanced_accuracy_ci", "macro_f1",
"macro_f1_ci", "auc_macro", "loss", "temperature", "ece", "ece_uncalibrated",
"source_only_accuracy", "per_class": {name: {"n", "recall", "recall_ci", "specificity",
"precision", "precision_ci", "f1", "auc"}}}"""


def rows(labels, split="test", source="a hospital", group=""):
    return pd.DataFrame(
        {
            "file": [f"{label}/{at}.png" for at, label in enumerate(labels)],
            "split": split,
            "label": labels,
            "source": source,
            "group": group,
        }
    )


def table_of(truth, answered, **columns):
    logits = 4.0 * np.eye(len(CLASSES))[[CLASSES.index(name) for name in answered]]
    return predictions.build(rows(truth, **columns), logits, CLASSES)


def evaluated(table, **options):
    return predictions.evaluate(table, CLASSES, run="r1", dataset="d1", **options)


def test_the_table_has_the_agreed_columns_and_survives_the_disk(tmp_path):
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]], dtype=np.float32)
    table = predictions.build(rows(["COVID-19", "Viral Pneumonia"]), logits, CLASSES, 2.0)
    assert list(table) == [
        *("file", "split", "label", "predicted", "correct", "loss", "source", "group"),
        *(f"logit:{name}" for name in CLASSES),
        *(f"p:{name}" for name in CLASSES),
    ]
    assert table["predicted"].tolist() == ["COVID-19", "NORMAL"]
    assert table["correct"].tolist() == [True, False]
    shares = table[[f"p:{name}" for name in CLASSES]].to_numpy()
    np.testing.assert_allclose(shares, calibration.softmax(logits, 2.0))
    raw = calibration.softmax(logits)
    np.testing.assert_allclose(table["loss"], -np.log([raw[0, 0], raw[1, 2]]))
    storage.write_table(tmp_path / "p.parquet", table)
    stored = storage.read_table(tmp_path / "p.parquet")
    assert storage.plain(evaluated(stored)) == storage.plain(evaluated(table))


def test_what_does_not_fit_is_refused():
    good = rows(["NORMAL"])
    with pytest.raises(DataError, match="do not fit 1 images of 3 classes"):
        predictions.build(good, np.zeros((2, 3)), CLASSES)
    with pytest.raises(DataError, match="not a number"):
        predictions.build(good, [[math.nan, 0, 0]], CLASSES)
    with pytest.raises(DataError, match="'cat' is not one of"):
        predictions.build(rows(["cat"]), np.zeros((1, 3)), CLASSES)
    with pytest.raises(DataError, match="lack the column 'source'"):
        predictions.build(good.drop(columns="source"), np.zeros((1, 3)), CLASSES)


def test_the_keys_are_those_of_the_contract_in_order():
    head, per_class = CONTRACT.split('"per_class"')
    result = evaluated(table_of(["COVID-19", "NORMAL"], ["COVID-19", "COVID-19"]))
    agreed = [*re.findall(r'"(\w+)"', head), "per_class"]
    assert list(result) == [*agreed, "auc_macro_ci"]
    assert list(result["per_class"]) == list(CLASSES)
    for figures in result["per_class"].values():
        agreed = re.findall(r'"(\w+)"', per_class)
        assert list(figures) == [*agreed, "specificity_ci", "f1_ci", "auc_ci"]


def test_229_of_240():
    truth = ["COVID-19"] * 40 + ["NORMAL"] * 100 + ["Viral Pneumonia"] * 100
    answered = list(truth)
    answered[40:47], answered[140:144] = ["Viral Pneumonia"] * 7, ["NORMAL"] * 4
    result = evaluated(table_of(truth, answered))
    assert result["n"] == 240
    assert result["confusion"] == [[40, 0, 0], [0, 93, 7], [0, 4, 96]]
    assert result["accuracy"] == 229 / 240
    assert result["accuracy_ci"] == pytest.approx([0.919806, 0.974218], abs=1e-6)
    assert result["balanced_accuracy"] == pytest.approx((1 + 0.93 + 0.96) / 3)
    assert result["per_class"]["COVID-19"]["recall_ci"][1] == 1.0
    assert result["per_class"]["NORMAL"]["precision"] == 93 / 97
    assert result["per_class"]["NORMAL"]["specificity_ci"] == list(wilson(136, 140))
    for figures in result["per_class"].values():
        for name in ("f1", "auc", "specificity"):
            low, high = figures[f"{name}_ci"]
            assert low <= figures[name] <= high
    for name in ("balanced_accuracy", "macro_f1"):
        low, high = result[f"{name}_ci"]
        assert low < result[name] < high
    assert result == evaluated(table_of(truth, answered))


def test_only_the_rows_of_the_split_count_and_an_empty_one_is_an_error():
    table = pd.concat(
        [table_of(["NORMAL"] * 3, ["NORMAL"] * 3, split="val"), table_of(["NORMAL"], ["COVID-19"])]
    )
    assert evaluated(table, split="val")["accuracy"] == 1
    assert evaluated(table)["accuracy"] == 0
    with pytest.raises(
        DataError, match=r"no predictions for the split .train.. Splits with images: test, val"
    ):
        evaluated(table, split="train")
    with pytest.raises(DataError, match="other classes"):
        predictions.evaluate(table, ("cat",), run="r", dataset="d")


def test_absent_classes_are_nan_here_and_null_in_json():
    result = evaluated(table_of(["NORMAL"] * 4, ["NORMAL"] * 3 + ["COVID-19"]))
    covid = result["per_class"]["COVID-19"]
    assert all(math.isnan(covid[name]) for name in ("recall", "f1", "auc"))
    assert covid["n"] == 0 and covid["precision"] == 0
    assert math.isnan(result["auc_macro"])
    written = json.loads(storage.canonical_json(result))
    assert written["per_class"]["COVID-19"]["recall_ci"] == [None, None]


def test_a_temperature_changes_the_calibration_and_nothing_else():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    logits = rng.normal(0, 4, (300, 3)) + 4 * np.eye(3)[truth]
    table = predictions.build(rows([CLASSES[at] for at in truth]), logits, CLASSES)
    best = calibration.fit_temperature(*predictions.arrays(table, CLASSES))
    raw, mended = evaluated(table), evaluated(table, temperature=best)
    assert raw["ece"] == raw["ece_uncalibrated"] == mended["ece_uncalibrated"] > mended["ece"]
    assert mended["temperature"] == best
    same = ("accuracy", "confusion", "loss", "macro_f1_ci")
    assert [raw[name] for name in same] == [mended[name] for name in same]
    assert raw["loss"] == pytest.approx(table["loss"].mean())


def test_the_rule_that_knows_only_the_source():
    table = rows(["COVID-19"] * 3 + ["NORMAL"] * 4, source=["x", "x", "y", "y", "y", "y", ""])
    assert predictions.source_only_accuracy(table) == 6 / 7
    assert math.isnan(predictions.source_only_accuracy(table.assign(source="")))
    assert math.isnan(predictions.source_only_accuracy(table[:0]))


def test_a_cell_lists_its_images_the_most_surprising_first():
    logits = [[1, 2, 0], [1, 9, 0], [5, 0, 0], [1, 4, 0]]
    table = predictions.build(rows(["COVID-19"] * 4, group="p1"), logits, CLASSES)
    images = predictions.cell(table, "COVID-19", "NORMAL")
    assert list(images) == ["file", "p_true", "p_predicted", "loss", "source", "group"]
    assert images["file"].tolist() == ["COVID-19/1.png", "COVID-19/3.png", "COVID-19/0.png"]
    assert images["loss"].is_monotonic_decreasing
    assert (images["p_predicted"] > images["p_true"]).all()
    assert predictions.cell(table, "NORMAL", "COVID-19").empty
    assert predictions.cell(table, "COVID-19", "NORMAL", split="val").empty
    with pytest.raises(DataError, match="'cat' is not a class"):
        predictions.cell(table, "cat", "NORMAL")
