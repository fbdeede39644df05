"""Answers as a table, and as a CSV that a spreadsheet opens as text."""

import csv
import io
from typing import Any

import pandas as pd
import pytest

from covidcore.evaluation.operating import OperatingPoint
from covidcore.inference.meaning import Meaning
from covidcore.inference.table import as_csv, as_table, outcome
from covidcore.proportions import wilson

CLASSES = ("a", "=b")


def answer(file: str, **changes: Any) -> dict[str, Any]:
    return {
        "file": file,
        "answer": "a",
        "refused": None,
        "reason": None,
        "probabilities": {"a": 0.75, "=b": 0.25},
        "warnings": [],
        "near_training_image": None,
        "milliseconds": 1.5,
        **changes,
    }


REFUSED = {"answer": None, "refused": "blank", "reason": "It is blank.", "probabilities": {}}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_one_row_a_file_in_order() -> None:
    table = as_table([answer("one.png"), answer("two.png", **REFUSED)], CLASSES)
    assert list(table.columns) == [
        *("file", "answer", "probability", "refused", "reason", "p:a", "p:=b", "warnings"),
        *("near_training_image", "recall", "recall_low", "recall_high"),
        *("precision", "precision_low", "precision_high", "run", "thresholds", "milliseconds"),
    ]
    assert list(table["file"]) == ["one.png", "two.png"]
    assert table["p:a"].iloc[0] == table["probability"].iloc[0] == 0.75
    assert pd.isna(table["p:a"].iloc[1]) and pd.isna(table["probability"].iloc[1])


def test_what_an_answer_is_worth_stands_beside_it() -> None:
    meant = {"a": Meaning("a", cases=20, found=18, answers=24)}
    point = OperatingPoint({"a": 0.3})
    said = [answer("one", warnings=["Mind.", "This."]), answer("two", **REFUSED)]
    first, second = rows(as_csv(as_table(said, CLASSES, meant, "0f", point)))
    assert float(first["recall"]) == 0.9 and float(first["precision"]) == 0.75
    assert float(first["recall_low"]) == pytest.approx(wilson(18, 20)[0])
    assert float(first["precision_high"]) == pytest.approx(wilson(18, 24)[1])
    assert (first["run"], first["thresholds"]) == ("0f", "a from 30.0 % on")
    assert first["warnings"] == "Mind. This."
    assert second["recall"] == second["precision_low"] == ""


def test_outcomes_are_classes_and_reasons() -> None:
    assert outcome(answer("x")) == "a"
    refused = {**REFUSED, "refused": "outside_training_data"}
    assert outcome(answer("x", **refused)) == "refused: outside training data"


def test_what_does_not_exist_is_empty() -> None:
    first, second = rows(as_csv(as_table([answer("one"), answer("two", **REFUSED)], CLASSES)))
    assert (first["refused"], first["reason"], first["p:=b"]) == ("", "", "0.25")
    assert (second["answer"], second["p:a"], second["refused"]) == ("", "", "blank")


@pytest.mark.parametrize(
    "name",
    [
        "=cmd|' /C calc'!A0",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        '=HYPERLINK("http://x")',
        "=1,2",
        "x\r=1",
        "x\n=1",
    ],
)
def test_no_cell_is_a_formula(name: str) -> None:
    text = as_csv(as_table([answer(name, answer=name)], CLASSES))
    for row in csv.reader(io.StringIO(text, newline="")):
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert len(rows(text)) == 1
    assert rows(text)[0]["answer"].lstrip("'") == name


def test_columns_named_by_classes_are_no_formulas_either() -> None:
    text = as_csv(pd.DataFrame({"=1+1": [1], "plain": ["x"]}))
    assert text.splitlines()[0] == "'=1+1,plain"


def test_names_stay_what_they_are_otherwise() -> None:
    name = 'Ünïcode, "quoted" <b>'
    assert rows(as_csv(as_table([answer(name)], CLASSES)))[0]["file"] == name


def test_no_answers_are_an_empty_table() -> None:
    assert as_table([], CLASSES).empty
    assert as_csv(as_table([], CLASSES)).strip() == ""
