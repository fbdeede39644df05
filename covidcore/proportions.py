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
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    # At 0 and at all the bound is exact; rounding would leave it a hair inside or outside.
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == trials else middle + half
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


def mean_of_proportions(
    pairs: Sequence[tuple[int, int]], confidence: float = 0.95
) -> tuple[float, float, float]:
    """The plain mean of independent shares ``(successes, trials)``, and its bounds.

    As ``mover``, for a mean in place of a difference. NaN where there is none, or one has no
    trials.
    """
    if not pairs or not all(trials for _, trials in pairs):
        return math.nan, math.nan, math.nan
    shares = [successes / trials for successes, trials in pairs]
    bounds = [wilson(*pair, confidence) for pair in pairs]
    mean = sum(shares) / len(shares)
    down = math.hypot(*(share - low for share, (low, _) in zip(shares, bounds, strict=True)))
    up = math.hypot(*(high - share for share, (_, high) in zip(shares, bounds, strict=True)))
    return mean, mean - down / len(shares), mean + up / len(shares)


def check_confidence(confidence: float) -> None:
    """Raises: DataError where it is no proportion."""
    if not 0 < confidence < 1:
        raise DataError(f"A confidence of {confidence} is not between 0 and 1, for example 0.95.")
