"""The predictions table, one row an image, and everything that is read off it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from covidcore.errors import DataError
from covidcore.evaluation import calibration, intervals, metrics
from covidcore.evaluation.auc_intervals import auc_intervals
from covidcore.evaluation.metrics import FloatArray, IntArray

_GIVEN = ("file", "split", "label", "source", "group")


def build(
    rows: pd.DataFrame, logits: npt.ArrayLike, classes: Sequence[str], temperature: float = 1.0
) -> pd.DataFrame:
    """Join index rows with a network's ``(N, C)`` logits, row by row.

    ``rows`` has the columns file, split, label, source, group. Adds predicted, correct, loss (of
    the raw logits, nats), ``logit:<class>`` and ``p:<class>`` (softmax at ``temperature``).
    Raises: DataError where shapes do not fit, a label is no class or a logit is not finite.
    """
    missing = [name for name in _GIVEN if name not in rows.columns]
    if missing:
        raise DataError(f"The rows to predict lack the column {missing[0]!r}.")
    values = np.asarray(logits, dtype=np.float64)
    if values.shape != (len(rows), len(classes)):
        raise DataError(
            f"Logits of shape {values.shape} do not fit {len(rows)} images of "
            f"{len(classes)} classes."
        )
    if not np.isfinite(values).all():
        raise DataError("The network gave a value that is not a number. Train it again.")
    truth = metrics.class_positions(rows["label"], classes)
    answer = values.argmax(axis=1)
    given = {name: rows[name].fillna("").astype(str).to_numpy() for name in _GIVEN}
    probabilities = calibration.softmax(values, temperature)
    return pd.DataFrame(
        {
            **{name: given[name] for name in ("file", "split", "label")},
            "predicted": np.asarray(classes, dtype=object)[answer],
            "correct": answer == truth,
            "loss": metrics.cross_entropy(values, truth),
            **{name: given[name] for name in ("source", "group")},
            **{f"logit:{name}": values[:, at] for at, name in enumerate(classes)},
            **{f"p:{name}": probabilities[:, at] for at, name in enumerate(classes)},
        }
    )


def arrays(
    table: pd.DataFrame, classes: Sequence[str], split: str = "test"
) -> tuple[FloatArray, IntArray]:
    """Raw logits ``(N, C)`` and true positions ``(N,)`` of one split.

    Raises: DataError when the split is empty or the table is of other classes.
    """
    rows = _rows(table, split)
    columns = [f"logit:{name}" for name in classes]
    absent = [name for name in columns if name not in rows.columns]
    if absent:
        raise DataError(f"The predictions have no column {absent[0]!r}: they are of other classes.")
    logits = rows[columns].to_numpy(dtype=np.float64)
    return logits, metrics.class_positions(rows["label"], classes)


def evaluate(
    table: pd.DataFrame,
    classes: Sequence[str],
    *,
    run: str,
    dataset: str,
    split: str = "test",
    temperature: float = 1.0,
) -> dict[str, Any]:
    """The figures of one split: the JSON of the contract's ``evaluate``, with NaN left as NaN.

    ``loss`` and ``ece_uncalibrated`` are of the raw logits; ``ece`` and the AUCs of the softmax at
    ``temperature``. Intervals are of 95 %: Wilson's for proportions, else over groups
    (`intervals.of_matrix`, `auc_intervals`). Beyond the contract: ``auc_macro_ci``, and
    specificity_ci, f1_ci and auc_ci of a class.
    Raises: DataError when the split is empty.
    """
    logits, truth = arrays(table, classes, split)
    rows = _rows(table, split)
    answer = metrics.class_positions(rows["predicted"], classes)
    matrix = metrics.confusion(rows["label"].tolist(), rows["predicted"].tolist(), classes)
    groups = rows["group"].tolist()
    means = intervals.of_matrix(truth, answer, groups, len(classes))
    probabilities = calibration.softmax(logits, temperature)
    aucs = metrics.class_aucs(probabilities, truth)
    auc_ends, macro_ends = auc_intervals(probabilities, truth, groups)
    per_class = _per_class(matrix, classes, aucs)
    ends = zip(means.f1, auc_ends, strict=True)
    for figures, (f1_ends, of_auc) in zip(per_class.values(), ends, strict=True):
        figures |= {"f1_ci": list(f1_ends), "auc_ci": list(intervals.pair(of_auc))}
    hits, total = int(np.trace(matrix)), int(matrix.sum())
    return {
        "run": run,
        "dataset": dataset,
        "split": split,
        "n": total,
        "classes": list(classes),
        "confusion": matrix.tolist(),
        "accuracy": metrics.accuracy(matrix),
        "accuracy_ci": list(intervals.wilson(hits, total)),
        "balanced_accuracy": metrics.balanced_accuracy(matrix),
        "balanced_accuracy_ci": list(means.balanced_accuracy),
        "macro_f1": metrics.macro_f1(matrix),
        "macro_f1_ci": list(means.macro_f1),
        "auc_macro": float(metrics.mean_defined(aucs)),
        "loss": metrics.mean_cross_entropy(logits, truth),
        "temperature": float(temperature),
        "ece": calibration.ece(probabilities, truth),
        "ece_uncalibrated": calibration.ece(calibration.softmax(logits), truth),
        "source_only_accuracy": source_only_accuracy(rows),
        "per_class": per_class,
        "auc_macro_ci": list(intervals.pair(macro_ends)),
    }


def source_only_accuracy(rows: pd.DataFrame) -> float:
    """Accuracy of a rule that never sees an image: answer the majority class of its source.

    The majorities are counted on the very rows it is scored on (columns source, label), so this is
    the best that any rule by source could do there. Images of unknown source (``""``) count as one
    more source. NaN when no source is known.
    """
    if not len(rows) or (rows["source"] == "").all():
        return float("nan")
    counts = pd.crosstab(rows["source"], rows["label"])
    return float(counts.max(axis=1).sum() / len(rows))


def cell(table: pd.DataFrame, truth: str, predicted: str, split: str = "test") -> pd.DataFrame:
    """The images behind one cell of the matrix, the most surprising (highest loss) first.

    Columns file, p_true, p_predicted, loss, source, group; an empty cell has no rows.
    Raises: DataError for a name that is not a class of the table.
    """
    for name in (truth, predicted):
        if f"p:{name}" not in table.columns:
            raise DataError(f"{name!r} is not a class of these predictions.")
    chosen = (
        (table["split"] == split) & (table["label"] == truth) & (table["predicted"] == predicted)
    )
    rows = table[chosen].sort_values(["loss", "file"], ascending=[False, True], ignore_index=True)
    return pd.DataFrame(
        {
            "file": rows["file"],
            "p_true": rows[f"p:{truth}"],
            "p_predicted": rows[f"p:{predicted}"],
            "loss": rows["loss"],
            "source": rows["source"],
            "group": rows["group"],
        }
    )


def _rows(table: pd.DataFrame, split: str) -> pd.DataFrame:
    rows = table[table["split"] == split]
    if rows.empty:
        known = ", ".join(sorted(set(table["split"]))) or "none"
        raise DataError(
            f"There are no predictions for the split {split!r}. Splits with images: {known}."
        )
    return rows


def _per_class(
    matrix: IntArray, classes: Sequence[str], aucs: FloatArray
) -> dict[str, dict[str, Any]]:
    """The contract's ``per_class``, in class order, with the interval of the specificity."""
    recall, precision = metrics.recall(matrix), metrics.precision(matrix)
    specificity, f1 = metrics.specificity(matrix), metrics.f1(matrix)
    images, answers = matrix.sum(axis=1), matrix.sum(axis=0)
    others = int(matrix.sum()) - images
    cleared = others - answers + np.diagonal(matrix)
    return {
        name: {
            "n": int(images[at]),
            "recall": float(recall[at]),
            "recall_ci": list(intervals.wilson(int(matrix[at, at]), int(images[at]))),
            "specificity": float(specificity[at]),
            "precision": float(precision[at]),
            "precision_ci": list(intervals.wilson(int(matrix[at, at]), int(answers[at]))),
            "f1": float(f1[at]),
            "auc": float(aucs[at]),
            "specificity_ci": list(intervals.wilson(int(cleared[at]), int(others[at]))),
        }
        for at, name in enumerate(classes)
    }
