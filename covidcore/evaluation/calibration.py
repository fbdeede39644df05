"""Does 90 % mean right in nine of ten? One temperature, and how to see whether it helped."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from covidcore.errors import DataError
from covidcore.evaluation.metrics import FloatArray, IntArray, log_softmax

LOWEST, HIGHEST = 0.05, 20.0
"""Bounds of a fitted temperature; beyond them the validation data say nothing of use."""


def softmax(logits: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Probabilities ``(N, C)`` of ``logits / temperature``; a higher temperature doubts more.

    Raises: DataError unless the temperature is above 0.
    """
    if not temperature > 0:
        raise DataError(f"A temperature of {temperature} is not above 0.")
    result: FloatArray = np.exp(log_softmax(np.asarray(logits, dtype=np.float64) / temperature))
    return result


def fit_temperature(logits: npt.ArrayLike, truth: IntArray) -> float:
    """Find the temperature with the least cross-entropy on validation logits ``(N, C)``.

    ``truth`` holds class positions ``(N,)``. Returns a value in [0.05, 20]; and 1, which changes
    nothing, where there is no least: every answer is right (the smaller the better, for ever), or
    the logits do not tell the classes apart. Source: Guo et al. 2017, section 4.2.
    Raises: DataError when there are no images.
    """
    values = np.asarray(logits, dtype=np.float64)
    if not len(values):
        raise DataError("A temperature can not be fitted without validation images.")
    of_truth = values[np.arange(len(truth)), truth]
    if (of_truth[:, None] >= values).all():
        return 1.0

    def slope(log_temperature: float) -> float:
        # Of the loss, by 1/T. The loss is convex in 1/T, so this falls as T rises.
        expected = (softmax(values, float(np.exp(log_temperature))) * values).sum(axis=1)
        return float((expected - of_truth).mean())

    low, high = float(np.log(LOWEST)), float(np.log(HIGHEST))
    if slope(high) >= 0:
        return HIGHEST
    if slope(low) <= 0:
        return LOWEST
    for _ in range(50):  # halves 6 in log T to 5e-15
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return float(np.exp((low + high) / 2))


def reliability(probabilities: npt.ArrayLike, truth: IntArray, bins: int = 15) -> pd.DataFrame:
    """Confidence against accuracy of the answers, in equal bins of the highest probability.

    Columns ``bin_low``, ``bin_high`` (the bin holds its upper end), ``n``, ``confidence``,
    ``accuracy``; the last two are means, NaN in an empty bin. One row a bin.
    """
    if bins < 1:
        raise DataError(f"{bins} bins are too few; 15 are usual.")
    table = np.asarray(probabilities, dtype=np.float64)
    confidence = table.max(axis=1, initial=0.0)
    right = table.argmax(axis=1) == truth if len(table) else np.zeros(0, dtype=bool)
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    n = np.bincount(place, minlength=bins)
    whole = np.where(n > 0, n, np.nan)
    return pd.DataFrame(
        {
            "bin_low": edges[:-1],
            "bin_high": edges[1:],
            "n": n,
            "confidence": np.bincount(place, weights=confidence, minlength=bins) / whole,
            "accuracy": np.bincount(place, weights=right, minlength=bins) / whole,
        }
    )


def ece(probabilities: npt.ArrayLike, truth: IntArray, bins: int = 15) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy, weighted by images.

    In [0, 1]; NaN when there are no images. Source: Naeini et al. 2015; Guo et al. 2017, eq. 3.
    """
    table = reliability(probabilities, truth, bins)
    total = int(table["n"].sum())
    if not total:
        return float("nan")
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((gaps * table["n"]).sum() / total)
