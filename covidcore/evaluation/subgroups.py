"""The same figures for parts of the test images: by source, by size, by whatever the index says.

A part may be small, and a run that is right on ten of ten is not a run that is always right there:
every figure has its interval, and parts of fewer than ``SMALL`` images are marked.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from covidcore.errors import DataError
from covidcore.evaluation import metrics
from covidcore.evaluation.intervals import of_matrix
from covidcore.proportions import wilson

SMALL = 20
"""Images under which a part says next to nothing: Wilson's interval is then 30 points and more."""
_MOST = 20
"""Parts beyond which a column is no grouping but a name."""
_BANDS = 4
UNKNOWN = "unknown"

# Names, hashes and pixels: each image has its own.
_NOT_GROUPS = {"file", "group", "sha256", "pixel_sha256", "dhash", "thumbnail", "mask", "split"}
_BANDED = {"longer side": "pixels", "file size": "bytes"}


def groupings(index: pd.DataFrame) -> dict[str, "pd.Series"]:
    """Ways to part a dataset's images: name -> value of each row, by file.

    Every column of the index with 2 to 20 values, besides what tells images apart; numbers with
    more values are parted into four bands of as many images each. Width and height count as one,
    the longer side. A way that would make a single part is left out.
    """
    table = index.set_index("file")
    columns: dict[str, pd.Series[Any]] = {
        str(name): table[name] for name in table if name not in _NOT_GROUPS
    }
    if {"width", "height"} <= set(columns):
        columns["longer side"] = table[["width", "height"]].max(axis=1)
        del columns["width"], columns["height"]
    if "bytes" in columns:
        columns["file size"] = columns.pop("bytes")
    if "group" in table and (table["group"] != "").any():
        columns["patient"] = table["group"].ne("").map({True: "known", False: UNKNOWN})
    parted = {name: _parts(values, _BANDED.get(name, "")) for name, values in columns.items()}
    return {name: values for name, values in parted.items() if 2 <= values.nunique() <= _MOST}


def by(rows: pd.DataFrame, values: pd.Series, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Figures of each part, in the order of their names (bands: of their numbers).

    ``rows`` are predictions of one split; ``values`` says the part of each file. Keys: value, n,
    small, right, accuracy, accuracy_ci (Wilson), balanced_accuracy, balanced_accuracy_ci (over
    groups), and recall: class -> ``{n, value, ci}``, NaN where the part has none of it.
    Raises: DataError where no row has a value.
    """
    part_of = rows["file"].map(values).fillna(UNKNOWN)
    if rows.empty or (part_of == UNKNOWN).all():
        raise DataError("None of these images is in the dataset's index.")
    return [_figures(value, rows[part_of == value], classes) for value in _ordered(part_of)]


def _figures(value: str, rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    truth = metrics.class_positions(rows["label"], classes)
    answer = metrics.class_positions(rows["predicted"], classes)
    size = len(classes)
    matrix = np.bincount(truth * size + answer, minlength=size * size).reshape(size, size)
    right, total = int(np.trace(matrix)), int(matrix.sum())
    means = of_matrix(truth, answer, rows["group"].tolist(), size)
    recall, images = metrics.recall(matrix), matrix.sum(axis=1)
    return {
        "value": value,
        "n": total,
        "small": total < SMALL,
        "right": right,
        "accuracy": right / total,
        "accuracy_ci": list(wilson(right, total)),
        "balanced_accuracy": metrics.balanced_accuracy(matrix),
        "balanced_accuracy_ci": list(means.balanced_accuracy),
        "recall": {
            name: {
                "n": int(images[at]),
                "value": float(recall[at]),
                "ci": list(wilson(int(matrix[at, at]), int(images[at]))),
            }
            for at, name in enumerate(classes)
        },
    }


def _parts(values: "pd.Series[Any]", unit: str) -> "pd.Series[str]":
    """Values as text; numbers of many values as bands."""
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > _BANDS:
        edges = np.unique(np.quantile(values.dropna(), np.linspace(0, 1, _BANDS + 1)))
        if len(edges) < 3:
            return pd.Series(UNKNOWN, index=values.index)
        place = np.clip(np.searchsorted(edges, values, side="right"), 1, len(edges) - 1)
        names = np.array(
            [f"{low:,.0f} to {high:,.0f} {unit}".strip() for low, high in pairwise(edges)]
        )
        return pd.Series(names[place - 1], index=values.index).where(values.notna(), UNKNOWN)
    if pd.api.types.is_numeric_dtype(values) and unit:
        return values.map(lambda value: f"{value:,.0f} {unit}")
    text = values.fillna("").astype(str).str.strip()
    return text.where(text != "", UNKNOWN)


def _ordered(parts: "pd.Series[str]") -> list[str]:
    """By the first number where all begin with one, else by name; what is unknown comes last."""

    def key(value: str) -> tuple[bool, float, str]:
        first = value.split(" ")[0].replace(",", "")
        number = float(first) if first.replace(".", "", 1).isdigit() else float("inf")
        return value == UNKNOWN, number, value

    return sorted(set(parts), key=key)
