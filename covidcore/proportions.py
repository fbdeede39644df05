"""How far a share may be from the truth, given how few were counted. For any room to use."""

import math
from collections.abc import Sequence
from statistics import NormalDist

from covidcore.errors import DataError


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of a proportion that stay inside [0, 1] even for small counts.

    Returns NaN bounds when there were no trials. Source: Wilson 1927; Brown, Cai & DasGupta 2001,
    eq. 4. Raises: DataError unless 0 <= successes <= trials and 0 < confidence < 1.
    """
    if not 0 <= successes <= trials:
        raise DataError(f"{successes} successes can not come from {trials} trials.")
    check_confidence(confidence)
    if trials == 0:
        return math.nan, math.nan
    low, high = wilson_share(successes / trials, trials, confidence)
    return low, high


def wilson_share(share: float, trials: float, confidence: float = 0.95) -> tuple[float, float]:
    """``wilson`` of a share of any number of trials above 0, whole or not.

    For images that are not independent: as many trials as they are worth. Source: Rao & Scott 1992
    (effective sample size); Dean & Pagano 2015 for Wilson's interval with it.
    Raises: DataError unless the share is in [0, 1], there are trials, and 0 < confidence < 1.
    """
    if not (0 <= share <= 1 and trials > 0):
        raise DataError(f"A share of {share} of {trials} trials does not exist.")
    check_confidence(confidence)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    spread = z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    # At 0 and at all the bound is exact; rounding would leave it a hair inside or outside.
    low = 0.0 if share == 0 else middle - half
    high = 1.0 if share == 1 else middle + half
    return low, high


def newcombe(
    successes: int, trials: int, others: int, of: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Bounds of ``successes / trials - others / of``, of two samples that have nothing in common.

    From the two Wilson intervals, so that it stays inside [-1, 1] and is no point where all are
    right. NaN bounds when one had no trials. Source: Newcombe 1998, method 10.
    Raises: DataError, as ``wilson``.
    """
    one, two = wilson(successes, trials, confidence), wilson(others, of, confidence)
    if not trials or not of:
        return math.nan, math.nan
    return mover(successes / trials, one, others / of, two)


def mover(
    first: float, first_ci: Sequence[float], second: float, second_ci: Sequence[float]
) -> tuple[float, float]:
    """Bounds of ``first - second``, two independent figures that have intervals of their own.

    Each bound is as far from the difference as the distances of the bounds it is made of, squared
    and added. Source: Zou & Donner 2008, eq. 3 (MOVER); for proportions it is Newcombe's.
    """
    difference = first - second
    down = math.hypot(first - first_ci[0], second_ci[1] - second)
    up = math.hypot(first_ci[1] - first, second - second_ci[0])
    return difference - down, difference + up


def mover_mean(
    figures: Sequence[float],
    bounds: Sequence[Sequence[float]],
    correlations: Sequence[Sequence[float]] | None = None,
) -> tuple[float, float]:
    """Bounds of the plain mean of figures that have intervals of their own.

    As ``mover``, for a mean in place of a difference; ``correlations`` of the figures with each
    other, which are independent unless told. NaN where there are none. Source: Zou & Donner 2008,
    eq. 3; Zou 2008 for figures that are not independent.
    """
    count = len(figures)
    if not count:
        return math.nan, math.nan
    down = [one - low for one, (low, _) in zip(figures, bounds, strict=True)]
    up = [high - one for one, (_, high) in zip(figures, bounds, strict=True)]
    mean = sum(figures) / count
    return (
        mean - _length(down, correlations) / count,
        mean + _length(up, correlations) / count,
    )


def _length(parts: Sequence[float], correlations: Sequence[Sequence[float]] | None) -> float:
    """Of a vector, or of one whose axes lean towards each other."""
    if correlations is None:
        return math.hypot(*parts)
    squared = sum(
        one * two * correlation
        for one, row in zip(parts, correlations, strict=True)
        for two, correlation in zip(parts, row, strict=True)
    )
    return math.sqrt(max(squared, 0.0))


def mean_of_proportions(
    pairs: Sequence[tuple[int, int]], confidence: float = 0.95
) -> tuple[float, float, float]:
    """The plain mean of independent shares ``(successes, trials)``, and its bounds.

    ``mover_mean`` of Wilson's intervals. NaN where there is none, or one has no trials.
    """
    if not pairs or not all(trials for _, trials in pairs):
        return math.nan, math.nan, math.nan
    shares = [successes / trials for successes, trials in pairs]
    low, high = mover_mean(shares, [wilson(*pair, confidence) for pair in pairs])
    return sum(shares) / len(shares), low, high


def check_confidence(confidence: float) -> None:
    """Raises: DataError where it is no proportion."""
    if not 0 < confidence < 1:
        raise DataError(f"A confidence of {confidence} is not between 0 and 1, for example 0.95.")
