"""Predictive values at a prevalence that is not the test set's.

A test set holds as many cases as somebody collected. How often a positive answer is right depends
on how common the disease is among the people who are asked about.
"""

import math
from statistics import NormalDist
from typing import TypedDict

from covidcore.errors import DataError
from covidcore.proportions import check_confidence

PREVALENCES = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.24, 0.3),
    *(0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
)
"""Shares that a person may choose from."""


class PredictiveValues(TypedDict):
    """Shares in [0, 1] with intervals."""

    ppv: float
    ppv_ci: tuple[float, float]
    npv: float
    npv_ci: tuple[float, float]


def predictive_values(
    found: tuple[int, int],
    cleared: tuple[int, int],
    prevalence: float,
    confidence: float = 0.95,
) -> PredictiveValues:
    """Positive and negative predictive value among people of whom a share has the disease.

    ``found``: cases answered positive, of all cases; ``cleared``: others answered negative, of all
    others. ``prevalence`` is known, not estimated. Intervals are symmetric in the logit; where a
    count is none or all, half of z squared is added to both outcomes of both sides, and an end at
    which the value itself lies stays there. NaN where a side has no images. Source: Mercaldo, Lau
    & Zhou 2007 (logit and adjusted logit). Raises: DataError for a prevalence or a confidence
    that is not between 0 and 1.
    """
    check_confidence(confidence)
    (hits, cases), (rest, others) = found, cleared
    if not cases or not others:
        none = (math.nan, math.nan)
        return {"ppv": math.nan, "ppv_ci": none, "npv": math.nan, "npv_ci": none}
    check_prevalence(prevalence)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    ppv = _share(hits / cases * prevalence, (1 - rest / others) * (1 - prevalence))
    npv = _share(rest / others * (1 - prevalence), (1 - hits / cases) * prevalence)
    extra = 0.0 if 0 < hits < cases and 0 < rest < others else z * z / 2
    sensitivity = (hits + extra) / (cases + 2 * extra)
    specificity = (rest + extra) / (others + 2 * extra)
    n, m = cases + 2 * extra, others + 2 * extra
    odds = prevalence / (1 - prevalence)
    positive = math.log(odds * sensitivity / (1 - specificity))
    negative = math.log(specificity / (1 - sensitivity) / odds)
    spread = (1 - sensitivity) / sensitivity / n + specificity / (1 - specificity) / m
    spread_negative = sensitivity / (1 - sensitivity) / n + (1 - specificity) / specificity / m
    return {
        "ppv": ppv,
        "ppv_ci": _holding(ppv, positive, z * math.sqrt(spread)),
        "npv": npv,
        "npv_ci": _holding(npv, negative, z * math.sqrt(spread_negative)),
    }


def check_prevalence(prevalence: float) -> None:
    """Raises: DataError where it is no share of people between none and all."""
    if not 0 < prevalence < 1:
        raise DataError(f"A prevalence of {prevalence} is not between 0 and 1, for example 0.05.")


def _share(part: float, other: float) -> float:
    return part / (part + other) if part + other else math.nan


def _holding(value: float, logit: float, half: float) -> tuple[float, float]:
    """The interval on the scale of shares, stretched to hold the value itself."""
    low, high = (1 / (1 + math.exp(-end)) for end in (logit - half, logit + half))
    return (low, high) if math.isnan(value) else (min(low, value), max(high, value))
