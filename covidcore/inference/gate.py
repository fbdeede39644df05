"""Is this an image that a model may answer about? If not, the code of the refusal and why.

Three looks, the cheap ones first: at the file's own pixels, at its grey levels, and at what the
network makes of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covidcore.inference.familiar import Familiar
from covidcore.inference.looks import grey_statistics, is_negative
from covidcore.inference.memory import thumbnail
from covidcore.inference.novelty import PERCENTILE

_BLANK_SPREAD = 4
"""Grey levels between the 1st and the 99th percentile under which an image shows nothing."""
_COLOUR = 0.06
"""Mean difference of the strongest and the weakest channel, of 1, that makes a colour picture; an
arrow or a word in colour on a radiograph stays far below."""
_FAR_LOOKS = 1.5
"""Grey-level statistics are refused beyond this many thresholds: the network judges closer ones."""
_FAR_FEATURES = 2.0
"""Features beyond this many thresholds are of no chest radiograph; closer ones may be of another
hospital, age or view."""


@dataclass(frozen=True)
class Refusal:
    """A code of the contract and a sentence."""

    code: str
    reason: str


NEGATIVE = Refusal(
    "outside_training_data",
    "This looks like a negative: what is black in the radiographs this model was trained on is "
    "white here. Turn black and white round, and ask again.",
)
_NO_RADIOGRAPH = "It does not look like a frontal chest radiograph: "


def check(pixels: NDArray[np.uint8], colour: float = 0.0) -> Refusal | None:
    """Look at a decoded grey image ``(H, W)`` that was so colourful; None: nothing against it."""
    low, high = np.percentile(pixels, (1, 99))
    if high - low < _BLANK_SPREAD:
        return Refusal("blank", "The image is blank: it has one shade of grey and shows nothing.")
    if colour > _COLOUR:
        return Refusal("colour_photo", "This is a picture in colours; radiographs are grey.")
    return None


def check_looks(square: NDArray[np.uint8], familiar: Familiar) -> Refusal | None:
    """Look at the grey levels of an image of the network's input size ``(S, S)``."""
    if is_negative(thumbnail(square), familiar.typical):
        return NEGATIVE
    if familiar.looks.excess(grey_statistics(square[None]))[0] > _FAR_LOOKS:
        return Refusal(
            "not_a_chest_radiograph",
            f"{_NO_RADIOGRAPH}its grey levels are spread unlike those of any image that this model "
            "was trained on.",
        )
    return None


def check_features(excess: float) -> Refusal | None:
    """Judge by the distance of an image's features in thresholds."""
    if excess > _FAR_FEATURES:
        return Refusal(
            "not_a_chest_radiograph",
            f"{_NO_RADIOGRAPH}to the network it is unlike all images that it was trained on "
            f"({excess:.1f} times the threshold).",
        )
    if excess > 1:
        return Refusal(
            "outside_training_data",
            f"To the network this is further from the images it was trained on than {PERCENTILE} % "
            f"of its validation images ({excess:.1f} times the threshold): another view, age, body "
            "part or kind of equipment, or no radiograph.",
        )
    return None
