"""What an answer is worth is read off the test images, answered as uploads are."""

import math

import numpy as np
import pandas as pd
import pytest

from covidcore.errors import DataError
from covidcore.evaluation.operating import OperatingPoint
from covidcore.evaluation.predictions import build
from covidcore.inference.meaning import matrix_of_test, meanings
from covidcore.proportions import wilson

CLASSES = ("a", "b")


def table() -> pd.DataFrame:
    """Six test images, of which the model is surer and surer that they are "a", and another."""
    shares = np.array([0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.9])
    labels = ["b", "b", "a", "b", "a", "a", "b"]
    rows = pd.DataFrame(
        {
            "file": [f"{at}.png" for at in range(7)],
            "split": ["test"] * 6 + ["val"],
            "label": labels,
            "source": "",
            "group": "",
        }
    )
    return build(rows, np.log(np.stack([shares, 1 - shares], axis=1)), CLASSES)


def test_counts_of_the_test_images() -> None:
    matrix = matrix_of_test(table(), CLASSES)
    assert matrix.tolist() == [[2, 1], [1, 2]]
    meant = meanings(matrix, CLASSES)["a"]
    assert (meant.cases, meant.found, meant.answers) == (3, 2, 3)
    assert meant.recall == meant.precision == pytest.approx(2 / 3)
    assert meant.recall_ci == wilson(2, 3)


def test_at_the_operating_point_of_the_uploads() -> None:
    matrix = matrix_of_test(table(), CLASSES, OperatingPoint({"a": 0.3}))
    meant = meanings(matrix, CLASSES)
    assert (meant["a"].cases, meant["a"].found, meant["a"].answers) == (3, 3, 4)
    assert meant["a"].precision_ci == wilson(3, 4)
    assert meant["b"].answers == 2


def test_a_class_that_is_never_answered_has_no_precision() -> None:
    meant = meanings(np.array([[0, 0], [0, 5]]), CLASSES)["a"]
    assert math.isnan(meant.precision) and math.isnan(meant.recall)
    assert all(math.isnan(end) for end in meant.precision_ci)


def test_thresholds_of_other_classes_are_refused() -> None:
    with pytest.raises(DataError):
        matrix_of_test(table(), CLASSES, OperatingPoint({"c": 0.3}))
