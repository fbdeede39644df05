"""Where to draw the line: thresholds by class, what an error costs, how common the disease is.

Without thresholds the answer is the most probable class. Of the classes whose probability reaches
their threshold, the answer is the one that exceeds it by the largest factor; where none does, the
most probable class without a threshold, or of all classes if all have one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from covidcore.errors import DataError
from covidcore.evaluation import metrics
from covidcore.evaluation.metrics import FloatArray, IntArray
from covidcore.evaluation.predictive import check_prevalence, predictive_values
from covidcore.proportions import wilson
from covidcore.wording import percent

VERSION = 1
STEP = 0.005
"""Between the thresholds that are tried for the cheapest."""


@dataclass(frozen=True)
class OperatingPoint:
    """How a run answers, and for which use that was chosen. Probabilities are calibrated ones."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Class -> probability from which it is answered, above 0 and at most 1; not every class."""
    positive: str = ""
    """The class that is looked for."""
    prevalence: float | None = None
    """Share of it among the people it is looked for in; None: as among the images."""
    miss_cost: float = 1.0
    """What a missed case costs, in false alarms."""

    def __post_init__(self) -> None:
        """Raises: DataError for a number that can not be meant."""
        for name, value in self.thresholds.items():
            if not 0 < value <= 1:
                raise DataError(f"A threshold of {value} for {name} is not above 0 and at most 1.")
        if self.prevalence is not None:
            check_prevalence(self.prevalence)
        if not 0 < self.miss_cost < math.inf:
            raise DataError(f"A miss has to cost more than no false alarm, not {self.miss_cost}.")

    def limits(self, classes: Sequence[str]) -> FloatArray:
        """Thresholds in class order, ``(C,)``, NaN where a class has none.

        Raises: DataError for a name that is not a class.
        """
        metrics.class_positions([*self.thresholds, *filter(None, [self.positive])], classes)
        return np.array([self.thresholds.get(name, math.nan) for name in classes])

    def __str__(self) -> str:
        """The thresholds in words; empty where there are none."""
        return ", ".join(f"{name} from {percent(at)} on" for name, at in self.thresholds.items())

    def to_json(self) -> dict[str, Any]:
        """What ``from_json`` reads."""
        return {
            "version": VERSION,
            "thresholds": dict(self.thresholds),
            "positive": self.positive,
            "prevalence": self.prevalence,
            "miss_cost": self.miss_cost,
        }

    @classmethod
    def from_json(cls, document: Any, classes: Sequence[str]) -> "OperatingPoint":
        """Read a stored operating point, trusting nothing in it.

        Raises: DataError where it is none of ours, or does not go with the classes.
        """
        try:
            if document["version"] != VERSION:
                raise ValueError
            prevalence = document["prevalence"]
            point = cls(
                {str(name): float(value) for name, value in document["thresholds"].items()},
                str(document["positive"]),
                None if prevalence is None else float(prevalence),
                float(document["miss_cost"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError("It is not an operating point of this version.") from error
        point.limits(classes)
        return point


def decide(probabilities: FloatArray, limits: FloatArray) -> IntArray:
    """The answer to each row of ``(N, C)`` as a class position; ``limits`` is ``(C,)``, NaN: none.

    Of equals the first class.
    """
    bound = ~np.isnan(limits)
    if not bound.any():
        return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
    factor = np.where(bound, probabilities / np.where(bound, limits, 1.0), 0.0)
    free = probabilities if bound.all() else np.where(bound, -1.0, probabilities)
    # Not factor >= 1: 0.3 / 0.3 may be rounded, a comparison is not.
    reached = (probabilities >= np.where(bound, limits, 2.0)).any(axis=1)
    answers = np.where(reached, factor.argmax(axis=1), free.argmax(axis=1))
    return np.asarray(answers, dtype=np.int64)


def applied(table: pd.DataFrame, classes: Sequence[str], point: OperatingPoint) -> pd.DataFrame:
    """The predictions table as it would be with these thresholds: predicted and correct change."""
    limits = point.limits(classes)
    answer = decide(probabilities(table, classes), limits)
    names = np.asarray(classes, dtype=object)[answer]
    return table.assign(predicted=names, correct=names == table["label"].to_numpy())


def probabilities(table: pd.DataFrame, classes: Sequence[str]) -> FloatArray:
    """Calibrated probabilities ``(N, C)`` of a predictions table.

    Raises: DataError where it is of other classes.
    """
    columns = [f"p:{name}" for name in classes]
    absent = [name for name in columns if name not in table.columns]
    if absent:
        raise DataError(f"The predictions have no column {absent[0]!r}: they are of other classes.")
    return table[columns].to_numpy(dtype=np.float64)


def screening(
    matrix: IntArray, at: int, prevalence: float | None = None, miss_cost: float = 1.0
) -> dict[str, Any]:
    """One class against the rest, for people of whom the share ``prevalence`` has it.

    ``matrix`` is a confusion matrix, ``at`` the class's position. Returns sensitivity and
    specificity with Wilson's intervals, ppv and npv with those of ``predictive_values``, and
    ``cost``: what misses and false alarms among 1,000 people cost, in false alarms. Without a
    prevalence it is the class's share among the images. NaN where a side has no images.
    """
    hits = int(matrix[at, at])
    misses, alarms = int(matrix[at].sum()) - hits, int(matrix[:, at].sum()) - hits
    rest = int(matrix.sum()) - hits - misses - alarms
    of_class, others = hits + misses, alarms + rest
    share = prevalence
    if share is None:
        share = of_class / (of_class + others) if of_class and others else math.nan
    values = predictive_values((hits, of_class), (rest, others), share)
    sensitivity = hits / of_class if of_class else math.nan
    specificity = rest / others if others else math.nan
    missed, alarmed = share * (1 - sensitivity), (1 - share) * (1 - specificity)
    return {
        "n": of_class,
        "others": others,
        "prevalence": share,
        "sensitivity": sensitivity,
        "sensitivity_ci": list(wilson(hits, of_class)),
        "specificity": specificity,
        "specificity_ci": list(wilson(rest, others)),
        "ppv": values["ppv"],
        "ppv_ci": list(values["ppv_ci"]),
        "npv": values["npv"],
        "npv_ci": list(values["npv_ci"]),
        "misses": 1000 * missed,
        "false_alarms": 1000 * alarmed,
        "cost": 1000 * (missed * miss_cost + alarmed),
    }


def costs(table: pd.DataFrame, classes: Sequence[str], point: OperatingPoint) -> pd.DataFrame:
    """What each threshold of the class looked for would cost on the validation images.

    The other classes keep theirs. Columns threshold and cost (of 1,000 people, in false alarms).
    Test images are never looked at: a threshold chosen on them would look better than it is.
    Raises: DataError where validation images of the class, or of the others, are missing.
    """
    rows = table[table["split"] == "val"]
    at = int(metrics.class_positions([point.positive], classes)[0])
    truth = metrics.class_positions(rows["label"], classes) == at
    if not truth.any() or truth.all():
        raise DataError(
            f"A threshold can not be chosen: the validation images do not hold both "
            f"{point.positive} and others."
        )
    share = float(truth.mean()) if point.prevalence is None else point.prevalence
    values, limits = probabilities(rows, classes), point.limits(classes)
    tried = np.arange(1, round(1 / STEP)) * STEP
    found = np.empty(len(tried))
    for place, threshold in enumerate(tried):
        limits[at] = threshold
        called = decide(values, limits) == at
        misses, alarms = (~called[truth]).mean(), called[~truth].mean()
        found[place] = 1000 * (share * misses * point.miss_cost + (1 - share) * alarms)
    return pd.DataFrame({"threshold": np.round(tried, 3), "cost": found})


def cheapest(table: pd.DataFrame, classes: Sequence[str], point: OperatingPoint) -> float:
    """The threshold of least cost on the validation images; of equals the one in the middle."""
    tried = costs(table, classes, point)
    least = np.flatnonzero(np.isclose(tried["cost"], tried["cost"].min(), rtol=1e-12, atol=1e-9))
    return float(tried["threshold"][least[len(least) // 2]])
