"""How much an answer of a run is worth: read off its own test images, class by class."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from covidcore.evaluation import metrics, operating
from covidcore.evaluation.metrics import IntArray
from covidcore.evaluation.operating import OperatingPoint
from covidcore.proportions import wilson


@dataclass(frozen=True)
class Meaning:
    """What came of one class among the test images, as counts."""

    name: str
    cases: int
    """Images of the class."""
    found: int
    """Of these, how many were answered so."""
    answers: int
    """How often it was the answer, rightly or not."""

    @property
    def recall(self) -> float:
        """Share of the class's images that are found, NaN without any."""
        return self.found / self.cases if self.cases else float("nan")

    @property
    def recall_ci(self) -> tuple[float, float]:
        """Wilson's interval of the recall, of 95 %."""
        return wilson(self.found, self.cases)

    @property
    def precision(self) -> float:
        """Share of the answers that are right, NaN without any."""
        return self.found / self.answers if self.answers else float("nan")

    @property
    def precision_ci(self) -> tuple[float, float]:
        """Wilson's interval of the precision, of 95 %."""
        return wilson(self.found, self.answers)


def matrix_of_test(
    table: pd.DataFrame, classes: Sequence[str], point: OperatingPoint | None = None
) -> IntArray:
    """The confusion matrix of a predictions table's test images, answered as uploads are.

    Raises: DataError where the table is of other classes than ``classes`` or the point.
    """
    rows = operating.applied(table[table["split"] == "test"], classes, point or OperatingPoint())
    return metrics.confusion(rows["label"].tolist(), rows["predicted"].tolist(), classes)


def meanings(matrix: IntArray, classes: Sequence[str]) -> dict[str, Meaning]:
    """Of each class, from ``matrix_of_test``."""
    return {
        name: Meaning(name, int(matrix[at].sum()), int(matrix[at, at]), int(matrix[:, at].sum()))
        for at, name in enumerate(classes)
    }
