"""Is this an image that a model may answer about? If not, the code of the refusal and why."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLANK_SPREAD = 4
"""Grey levels between the 1st and the 99th percentile under which an image shows nothing."""


@dataclass(frozen=True)
class Refusal:
    """A code of the contract and a sentence."""

    code: str
    reason: str


def check(pixels: NDArray[np.uint8]) -> Refusal | None:
    """Look at a decoded grey image ``(H, W)``; None where nothing speaks against it."""
    low, high = np.percentile(pixels, (1, 99))
    if high - low < _BLANK_SPREAD:
        return Refusal("blank", "The image is blank: it has one shade of grey and shows nothing.")
    return None
