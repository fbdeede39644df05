"""One look at every picture of a dataset, and which of them are out of the ordinary.

Every rule lists few, sure images rather than many doubtful ones; docs/data.md says what each rule
is, and docs/results.md how often it was right where the answer was known.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covidcore.data.audit_baselines import Features, border_features
from covidcore.data.audit_orientation import FAR, Rule, orientation, robust_score
from covidcore.data.decode import decode
from covidcore.data.duplicates import thumbnails
from covidcore.data.facts import Progress
from covidcore.data.index import Dataset
from covidcore.data.squares import pieces
from covidcore.errors import DecodeError

if TYPE_CHECKING:
    import pandas as pd

RULES = {
    "blank": ("shows nothing", "show nothing"),
    "too_dark": ("is far too dark", "are far too dark"),
    "too_bright": ("is far too bright", "are far too bright"),
    "inverted": ("is a negative", "are negatives"),
    "rotated": ("is turned or upside down", "are turned or upside down"),
    "unlike": (
        "looks unlike the others (another view or body part, a narrow crop)",
        "look unlike the others (another view or body part, a narrow crop)",
    ),
    "colour": ("is coloured", "are coloured"),
    "odd_shape": ("has another shape and is squashed", "have another shape and are squashed"),
    "small": ("is much smaller and is enlarged", "are much smaller and are enlarged"),
}
"""Rule -> what an image that it lists does, and what several do."""

BLANK_SPREAD = 4
"""Grey levels between the 1st and the 99th percentile under which an image shows nothing; the
predictor refuses such an image as well."""
_DARK, _BRIGHT = 40, 215
"""Mean grey levels beyond which a picture is hardly one."""
_COLOURED = 0.02
"""Mean difference of the channels, as a share, from which an image counts as coloured."""
_GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "F")
_CHUNK = 256


class Seen(NamedTuple):
    """What one pass over the pixels told; row i is index row i."""

    mean: Features
    """Mean grey level, ``(N,)``."""
    spread: Features
    """Grey levels between the 1st and the 99th percentile, ``(N,)``."""
    border: Features
    """``border_features``, ``(N, F)``."""


def look(pixels: NDArray[np.uint8], progress: Progress | None = None) -> Seen:
    """Read squares ``(N, S, S)`` in pieces, once. ``progress(done, total)`` counts images."""
    found: list[Seen] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for seen in pool.map(_look, pieces(pixels, _CHUNK)):
                found.append(seen)
                if progress:
                    progress(sum(len(part.mean) for part in found), len(pixels))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    means, spreads, borders = (np.concatenate(part) for part in zip(*found, strict=True))
    return Seen(means, spreads, borders)


def _look(part: NDArray[np.uint8]) -> Seen:
    # Every third pixel of every third row: percentiles sort, and need no more.
    sample = part[:, ::3, ::3].reshape(len(part), -1)
    low, high = np.percentile(sample, (1, 99), axis=1)
    return Seen(part.mean(axis=(1, 2), dtype=np.float32), high - low, border_features(part))


def outliers(
    dataset: Dataset, seen: Seen, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """The images that a rule lists: file, label, rule and value, by rule and file.

    ``value`` is what the rule looked at. A blank image is listed as nothing else.
    """
    index = dataset.index
    files, labels = list(index["file"]), list(index["label"])
    blank = seen.spread < BLANK_SPREAD
    found = {
        "blank": (blank, seen.spread),
        **_brightness(seen.mean, ~blank),
        **orientation(thumbnails(index), ~blank),
        "colour": _coloured(dataset, progress),
        **_shapes(index),
    }
    return [
        {
            "file": files[row],
            "label": labels[row],
            "rule": rule,
            "value": round(float(found[rule][1][row]), 3),
        }
        for rule in RULES
        for row in np.flatnonzero(found[rule][0] & (~blank | (rule == "blank"))).tolist()
    ]


def _brightness(mean: Features, usable: NDArray[np.bool_]) -> dict[str, Rule]:
    """Dark and bright in themselves, and far from what is usual in the dataset."""
    off = robust_score(mean, usable)
    return {
        "too_dark": ((mean < _DARK) & (off < -FAR), mean),
        "too_bright": ((mean > _BRIGHT) & (off > FAR), mean),
    }


def _coloured(dataset: Dataset, progress: Progress | None) -> Rule:
    """Decode the files that are stored in colour once more, and see whether they have any."""
    rows = np.flatnonzero(~dataset.index["mode"].isin(_GREY_MODES)).tolist()
    files = list(dataset.index["file"])
    colour = np.zeros(len(files))

    def read(row: int) -> float:
        try:
            return decode(dataset.root / files[row]).colour
        except DecodeError:
            return 0.0

    with ThreadPoolExecutor() as pool:
        try:
            for done, (row, value) in enumerate(zip(rows, pool.map(read, rows), strict=True), 1):
                colour[row] = value
                if progress:
                    progress(done, len(rows))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return colour > _COLOURED, colour


def _shapes(index: "pd.DataFrame") -> dict[str, Rule]:
    """Width by height half as large again, or the shorter side less than half, of the median's."""
    shape = np.log((index["width"] / index["height"]).to_numpy())
    shorter = index[["width", "height"]].min(axis=1).to_numpy()
    return {
        "odd_shape": (np.abs(shape - np.median(shape)) > np.log(1.5), np.exp(shape)),
        "small": (shorter < np.median(shorter) / 2, shorter.astype(float)),
    }
