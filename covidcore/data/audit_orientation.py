"""Which pictures stand on their head, lie on their side, are negatives, or are no frontal chest.

Thumbnails are compared with the dataset's own typical one. How often that is right on radiographs
and on phantoms is in docs/results.md.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covidcore.data.comparing import Looks, standardised

Values = NDArray[np.floating[Any]]
Rule = tuple[NDArray[np.bool_], Values]
"""Which images a rule lists, ``(N,)``, and the value that it looked at, ``(N,)``."""

FAR = 3.5
"""Robust standard deviations from the dataset's median that are unusual. Source: Iglewicz &
Hoaglin 1993, "How to Detect and Handle Outliers"."""

_TYPICAL = 0.5
"""Median correlation with the typical picture under which a dataset has no typical picture."""
_TURNED, _BETTER = 0.55, 0.35
"""Least correlation of a turned picture, and by how much it has to be better than the upright."""
_BETTER_IF_FAR = 0.15
"""The same where the upright one is ``FAR`` below the others, and turned it is as good as they."""
_NEGATIVE, _UNLIKE = -0.4, 0.1
"""Largest correlations of a negative, and of a picture unlike the others."""
_BLACK, _WHITE = 12, 250
"""Grey levels of a frame."""


def robust_score(values: Values, usable: NDArray[np.bool_], least: float = 1.0) -> Values:
    """Distance from the median in standard deviations ``(N,)``, as the middle half has them.

    Of a spread below ``least`` nothing is made.
    """
    if not usable.any():
        return np.zeros(len(values))
    middle = np.median(values[usable])
    spread = 1.4826 * np.median(np.abs(values[usable] - middle))
    score: Values = (values - middle) / max(float(spread), least)
    return score


def orientation(levels: NDArray[np.uint8], usable: NDArray[np.bool_]) -> dict[str, Rule]:
    """The rules inverted, rotated and unlike, for thumbnails ``(N, 16, 16)``.

    The typical picture is the median of the ``usable`` ones, pixel by pixel. Where they have
    little in common, nothing is listed.
    """
    nothing: Rule = np.zeros(len(levels), bool), np.zeros(len(levels))
    looks = standardised(unframed(levels))
    typical = _typical(looks[usable]) if usable.any() else None
    if typical is None:
        return dict.fromkeys(("inverted", "rotated", "unlike"), nothing)
    # To turn the typical picture one way is to turn all others the other way.
    upright, *turned = (looks @ np.rot90(typical, turn).ravel() for turn in range(4))
    if float(np.median(upright[usable])) < _TYPICAL:
        return dict.fromkeys(("inverted", "rotated", "unlike"), nothing)
    best = np.max(turned, axis=0)
    far = robust_score(upright, usable, 0.01) < -FAR
    surely = (best > _TURNED) & (best - upright > _BETTER)
    like_most = (best > np.quantile(upright[usable], 0.25)) & (best - upright > _BETTER_IF_FAR)
    rotated = usable & (surely | (far & like_most))
    inverted = usable & (upright < _NEGATIVE) & ~rotated
    return {
        "inverted": (inverted, upright),
        "rotated": (rotated, best - upright),
        "unlike": (usable & far & (upright < _UNLIKE) & ~rotated & ~inverted, upright),
    }


def _typical(looks: Looks) -> Looks | None:
    """The median picture ``(16, 16)`` of mean 0 and length 1; None where it is of one grey."""
    side = round(looks.shape[1] ** 0.5)
    typical: Looks = np.median(looks, axis=0)
    typical -= typical.mean()
    length = float(np.sqrt(np.square(typical).sum()))
    return (typical / length).reshape(side, side) if length > 1e-6 else None


def unframed(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Thumbnails ``(N, S, S)`` without black or white borders, enlarged to the old size.

    A frame at one end shifts a picture, which then looks like one that was turned.
    """
    result, side = levels.copy(), levels.shape[1]
    rows, columns = (
        (lines.mean(axis=2) <= _BLACK) | (lines.min(axis=2) >= _WHITE)
        for lines in (levels, levels.transpose(0, 2, 1))
    )
    framed = rows[:, [0, -1]].any(axis=1) | columns[:, [0, -1]].any(axis=1)
    for at in np.flatnonzero(framed):
        across, down = np.flatnonzero(~columns[at]), np.flatnonzero(~rows[at])
        if min(len(across), len(down)) >= side // 2:  # else hardly anything would be left
            inner = levels[at, down[0] : down[-1] + 1, across[0] : across[-1] + 1]
            image = Image.fromarray(np.ascontiguousarray(inner))
            result[at] = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
    return result
