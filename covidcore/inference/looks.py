"""How the greys of an image are spread, in a few numbers: enough to tell what is no radiograph.

Text, drawings, noise and most photographs differ in these from any radiograph, so that no network
has to be asked about them. Also: is it the negative of what the model knows?
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covidcore.data.comparing import standardised

Values = NDArray[np.floating[Any]]

_SIDES = (64, 32, 16)
_BINS = 8
_PART = 256
"""Images at a time, at most: 25 MB."""
_NEGATIVE = -0.4
"""Correlation with the mean training image below which the negative is more likely: as the audit
has it, where it finds 97 % of negatives and lists no other image."""


def grey_statistics(squares: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> Values:
    """26 numbers of each grey image: histogram, contrast, detail at three sizes, symmetry, layout.

    N squares ``(S, S)`` -> ``(N, 26)``, a part of them at a time.
    """
    parts = range(0, len(squares), _PART)
    return np.concatenate([_statistics(squares[at : at + _PART]) for at in parts])


def _statistics(squares: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> Values:
    images = [Image.fromarray(square) for square in squares]
    sizes = [np.stack([_reduced(image, side) for image in images]) / 255 for side in _SIDES]
    largest, _, smallest = sizes
    counts = np.array([image.histogram() for image in images]) / squares[0].size
    bins = counts.reshape(len(images), _BINS, -1).sum(axis=2)
    detail = [_steps(one, axis, 1) for one in sizes for axis in (1, 2)]
    turns = [_steps(one, 1, 2) for one in sizes]
    look, mirror = standardised(smallest), standardised(smallest[:, :, ::-1])
    quarters = largest.reshape(-1, 4, 16, 4, 16).mean(axis=(2, 4))
    layout = (
        quarters[:, :, 1:3].mean(axis=(1, 2)),
        quarters[:, 0].mean(axis=1),
        quarters[:, 3].mean(axis=1),
        quarters[:, :, 0].mean(axis=1),
    )
    mean, deviation = largest.mean(axis=(1, 2)), largest.std(axis=(1, 2))
    shape = (mean, deviation, (look * mirror).sum(axis=1), _log(counts.max(axis=1)))
    used = _log((counts > 0).mean(axis=1))
    return np.column_stack([bins, *detail, *turns, *shape, *layout, used])


def _reduced(image: Image.Image, side: int) -> NDArray[np.uint8]:
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def _steps(images: Values, axis: int, order: int) -> Values:
    """Logarithm of the mean step from pixel to pixel, or from step to step, ``(N,)``."""
    return _log(np.abs(np.diff(images, order, axis=axis)).mean(axis=(1, 2)))


def _log(values: Values) -> Values:
    return np.log(np.maximum(values, 1e-3))


def is_negative(thumbnail: NDArray[np.uint8], typical: Values) -> bool:
    """Whether a thumbnail ``(S, S)`` is the opposite of the ``typical`` one."""
    asked, mean = standardised(np.stack([thumbnail, typical]))
    return bool(asked @ mean < _NEGATIVE)
