"""The leak ledger: counts by hand, images of several kinds, what can not be computed."""

import math

import pandas as pd
import pytest

from covidcore.errors import DataError
from covidcore.evaluation.leakage import ledger
from covidcore.proportions import newcombe, wilson

ROWS = pd.DataFrame({"file": list("abcdef"), "correct": [True, True, True, False, False, True]})
KNOWN = pd.DataFrame(
    {
        "file": list("fedcba"),  # in another order
        "exact": [False, False, False, False, False, True],
        "near": [False, False, False, True, True, False],
        "patient": [False, False, False, False, True, True],
    }
)


def test_each_kind_is_counted_with_and_without() -> None:
    found = {one["kind"]: one for one in ledger(ROWS, KNOWN)}
    assert list(found) == ["exact", "near", "patient", "any"]
    assert found["near"]["with"] == {
        "n": 2, "right": 2, "accuracy": 1.0, "ci": list(wilson(2, 2)),
    }  # fmt: skip
    assert found["near"]["without"]["n"] == 4
    assert found["near"]["without"]["right"] == 2
    assert found["near"]["difference"] == 0.5
    assert found["near"]["ci"] == list(newcombe(2, 2, 2, 4))
    assert (found["any"]["with"]["n"], found["any"]["with"]["right"]) == (3, 3)
    assert (found["any"]["without"]["n"], found["any"]["without"]["right"]) == (3, 1)


def test_a_kind_that_does_not_occur_has_no_accuracy() -> None:
    none = KNOWN.assign(exact=False, near=False, patient=False)
    for one in ledger(ROWS, none):
        assert one["with"]["n"] == 0
        assert math.isnan(one["with"]["accuracy"])
        assert math.isnan(one["difference"])
        assert one["without"]["accuracy"] == pytest.approx(4 / 6)


def test_flags_of_other_images_are_refused() -> None:
    with pytest.raises(DataError, match="another split"):
        ledger(ROWS, KNOWN[KNOWN["file"] != "c"])
