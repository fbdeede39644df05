"""How far a share may be from the truth, given how few were counted. For any room to use."""

import math
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


def check_confidence(confidence: float) -> None:
    """Raises: DataError where it is no proportion."""
    if not 0 < confidence < 1:
        raise DataError(f"A confidence of {confidence} is not between 0 and 1, for example 0.95.")
