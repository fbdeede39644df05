"""How the greys of an image are spread, in a few numbers: enough to tell what is no radiograph.

Text, drawings, noise and most photographs differ in these from any radiograph, so that no network
has to be asked about them. Also: is it the negative of what the model knows?
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covidcore.data.comparing import standardised

Values = NDArray[np.floating[Any]]

_SIDES = (64, 32, 16)
_BINS = 8
_NEGATIVE = -0.4
"""Correlation with the mean training image below which the negative is more likely: as the audit
has it, where it finds 97 % of negatives and lists no other image."""


def grey_statistics(square: NDArray[np.uint8]) -> Values:
    """26 numbers of a grey image: histogram, contrast, detail at three sizes, symmetry, layout."""
    image = Image.fromarray(square)
    sizes = [
        np.asarray(image.resize((side, side), Image.Resampling.BOX), np.float64) / 255
        for side in _SIDES
    ]
    largest, _, smallest = sizes
    counts = np.bincount(square.ravel(), minlength=256) / square.size
    bins = counts.reshape(_BINS, -1).sum(axis=1)
    detail = [_log(np.abs(np.diff(one, axis=axis)).mean()) for one in sizes for axis in (0, 1)]
    turns = [_log(np.abs(np.diff(one, 2, axis=0)).mean()) for one in sizes]
    look = standardised(np.stack([smallest, smallest[:, ::-1]]))
    quarters = largest.reshape(4, 16, 4, 16).mean(axis=(1, 3))
    layout = (
        quarters[:, 1:3].mean(),
        quarters[0].mean(),
        quarters[3].mean(),
        quarters[:, 0].mean(),
    )
    shape = (largest.mean(), largest.std(), float(look[0] @ look[1]), _log(counts.max()))
    return np.array([*bins, *detail, *turns, *shape, *layout, _log((counts > 0).mean())])


def _log(value: float) -> float:
    return float(np.log(max(value, 1e-3)))


def is_negative(thumbnail: NDArray[np.uint8], typical: Values) -> bool:
    """Whether a thumbnail ``(S, S)`` is the opposite of the ``typical`` one."""
    asked, mean = standardised(np.stack([thumbnail, typical]))
    return bool(asked @ mean < _NEGATIVE)
