"""Count, then reduce: figures from a confusion matrix, and the two that need scores.

Rows of a matrix are the truth, columns the answers. Per-class functions take ``(..., C, C)``
matrices, so that a bootstrap reduces thousands at once. What can not be computed is NaN: a class
without images has no recall and no F1, a class never answered has no precision.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from covidcore.errors import DataError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def class_positions(names: Iterable[str], classes: Sequence[str]) -> IntArray:
    """Turn class names into their positions in ``classes``, shape ``(N,)``.

    Raises: DataError for a name that is not a class.
    """
    where = {name: position for position, name in enumerate(classes)}
    try:
        return np.array([where[name] for name in names], dtype=np.int64)
    except KeyError as error:
        known = ", ".join(classes)
        raise DataError(f"{error.args[0]!r} is not one of the classes {known}.") from error


def confusion(truth: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> IntArray:
    """Count the answers for each truth, ``(C, C)``; rows are the truth.

    >>> confusion(["a", "a", "b"], ["a", "b", "b"], ["a", "b"]).tolist()
    [[1, 1], [0, 1]]

    Raises: DataError for unknown names, or where the two lengths differ.
    """
    rows, columns = class_positions(truth, classes), class_positions(predicted, classes)
    if len(rows) != len(columns):
        raise DataError(f"{len(rows)} truths do not go with {len(columns)} answers.")
    size = len(classes)
    return np.bincount(rows * size + columns, minlength=size * size).reshape(size, size)


def recall(matrix: npt.ArrayLike) -> FloatArray:
    """Share of a class's images that were found (sensitivity), ``(..., C)``."""
    hits, of_class, _, _ = _counts(matrix)
    return _ratio(hits, of_class)


def specificity(matrix: npt.ArrayLike) -> FloatArray:
    """Share of the other classes' images that were not called this class, ``(..., C)``."""
    hits, of_class, answered, total = _counts(matrix)
    return _ratio(total - of_class - answered + hits, total - of_class)


def precision(matrix: npt.ArrayLike) -> FloatArray:
    """Share of the answers for a class that were right, ``(..., C)``."""
    hits, _, answered, _ = _counts(matrix)
    return _ratio(hits, answered)


def f1(matrix: npt.ArrayLike) -> FloatArray:
    """F1 of each class, ``(..., C)``; 0 where a class has images and none was found.

    NaN where the class has no images, even if it was answered: its recall does not exist.
    """
    hits, of_class, answered, _ = _counts(matrix)
    return _ratio(2 * hits, np.where(of_class > 0, of_class + answered, 0))


def mean_defined(values: FloatArray) -> FloatArray:
    """Mean over the last axis of what is not NaN, ``(..., C)`` -> ``(...)``; NaN if nothing is."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1))


def accuracy(matrix: npt.ArrayLike) -> float:
    """Share of right answers among all."""
    counts = np.asarray(matrix)
    return float(_ratio(np.trace(counts), counts.sum()))


def balanced_accuracy(matrix: npt.ArrayLike) -> float:
    """Mean recall of the classes that have images."""
    return float(mean_defined(recall(matrix)))


def macro_f1(matrix: npt.ArrayLike) -> float:
    """Mean F1 of the classes that have images."""
    return float(mean_defined(f1(matrix)))


def figures(matrix: npt.ArrayLike) -> dict[str, float]:
    """Accuracy, balanced accuracy and macro F1 of one ``(C, C)`` matrix."""
    return {
        "accuracy": accuracy(matrix),
        "balanced_accuracy": balanced_accuracy(matrix),
        "macro_f1": macro_f1(matrix),
    }


def auc(positive: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Chance that a positive image scores above a negative one; a tie counts half.

    ``positive`` is boolean, both are ``(N,)``. NaN when one side is empty. Source: Mann & Whitney
    1947; equal to the area under the ROC curve (Hanley & McNeil 1982).
    """
    chosen = np.asarray(positive, dtype=bool)
    n_positive = int(chosen.sum())
    n_negative = chosen.size - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    _, inverse, ties = np.unique(np.asarray(scores), return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(ties) - (ties - 1) / 2
    above = mean_rank[inverse][chosen].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def class_aucs(probabilities: FloatArray, truth: IntArray) -> FloatArray:
    """AUC of each class against the rest, ``(C,)``, from ``(N, C)`` scores and positions ``(N,)``.

    The macro AUC is ``mean_defined`` of it.
    """
    columns = range(probabilities.shape[1])
    return np.array([auc(truth == column, probabilities[:, column]) for column in columns])


def log_softmax(logits: npt.ArrayLike) -> FloatArray:
    """Natural logarithms of the softmax over the last axis, ``(N, C)``, without overflow."""
    values = np.asarray(logits, dtype=np.float64)
    shifted = values - values.max(axis=-1, keepdims=True)
    result: FloatArray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def cross_entropy(logits: npt.ArrayLike, truth: IntArray) -> FloatArray:
    """Loss of each image in nats, ``(N,)``, from ``(N, C)`` logits and true positions ``(N,)``."""
    result: FloatArray = -log_softmax(logits)[np.arange(len(truth)), truth]
    return result


def mean_cross_entropy(logits: npt.ArrayLike, truth: IntArray) -> float:
    """Mean loss in nats; NaN when there are no images."""
    losses = cross_entropy(logits, truth)
    return float(losses.mean()) if losses.size else float("nan")


def _counts(matrix: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Hits, images and answers of each class, ``(..., C)``, and all images, ``(..., 1)``."""
    counts = np.asarray(matrix, dtype=np.float64)
    of_class, answered = counts.sum(axis=-1), counts.sum(axis=-2)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return hits, of_class, answered, of_class.sum(axis=-1, keepdims=True)


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    """``part / whole``, NaN where the whole is 0."""
    top, bottom = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    out: FloatArray = np.full(np.shape(top), np.nan)
    return np.divide(top, bottom, out=out, where=bottom > 0)
