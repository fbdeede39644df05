"""What the pixels of each class have in common: mean pictures, and where two classes differ.

A picture of lungs in the difference is what one hopes for. Corners that light up are markers,
collimators and frames: signs of where an image was made, by which a model can answer as well.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covidcore import storage
from covidcore.data.facts import Progress
from covidcore.data.index import Dataset, dataset_folder
from covidcore.data.pixels import pixel_array
from covidcore.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Numbers = NDArray[np.float64]

SIZE = 224
"""Pixels a side of the pictures that are looked at."""
BORDER = 0.05
"""Share of the side that counts as border, as in the audit."""

_VERSION = 1
_BLOCK = 256  # sums of so many squares of grey levels are exact in 32 bits


class PixelStatistics(NamedTuple):
    """The pixels of a dataset in figures; class i is the i-th of its classes."""

    images: NDArray[np.int64]
    """Images of each class, ``(C,)``."""
    mean: Numbers
    """Mean picture of each class, grey levels, ``(C, S, S)``."""
    deviation: Numbers
    """Standard deviation over the images of each class, pixel by pixel, ``(C, S, S)``."""
    levels: NDArray[np.int64]
    """How often each grey level occurs, in every second pixel of every second row, ``(C, 256)``."""
    brightness: Numbers
    """Mean grey level of each image, in the order of the index, ``(N,)``."""


class Difference(NamedTuple):
    """How a class differs from others, pixel by pixel, each ``(S, S)``."""

    levels: Numbers
    """Of the means, in grey levels."""
    deviations: Numbers
    """The same in standard deviations (Cohen's d), which shows small, steady signs as well."""


def measure(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: int,
    progress: Progress | None = None,
) -> PixelStatistics:
    """Go once through squares ``(N, S, S)`` of the classes ``labels`` ``(N,)``, in blocks.

    ``progress(done, total)`` counts images; what it raises ends the work.
    """
    count, side = len(pixels), pixels.shape[1]
    sums, squares = np.zeros((classes, side * side)), np.zeros((classes, side * side))
    levels = np.zeros(classes * 256, dtype=np.int64)
    brightness = np.zeros(count)
    for start in range(0, count, _BLOCK):
        block, of_block = pixels[start : start + _BLOCK], labels[start : start + _BLOCK]
        values = np.asarray(block, dtype=np.float32).reshape(len(block), -1)
        member = (np.arange(classes)[:, None] == of_block).astype(np.float32)
        brightness[start : start + _BLOCK] = values.mean(axis=1, dtype=np.float64)
        sums += member @ values
        squares += member @ np.square(values, out=values)
        sample = block[:, ::2, ::2] + (256 * of_block)[:, None, None]
        levels += np.bincount(sample.ravel(), minlength=classes * 256)
        if progress:
            progress(min(start + _BLOCK, count), count)
    images = np.bincount(labels, minlength=classes)
    divisor = np.maximum(images, 1)[:, None]
    mean = sums / divisor
    deviation = np.sqrt(np.maximum(squares / divisor - np.square(mean), 0))
    shape = (classes, side, side)
    return PixelStatistics(
        *(images, mean.reshape(shape), deviation.reshape(shape)),
        *(levels.reshape(classes, 256), brightness),
    )


def pixel_statistics(
    dataset: Dataset, home: Path, progress: Progress | None = None
) -> PixelStatistics:
    """What ``measure`` finds in a dataset; measured on the first call, then read from disk.

    Raises: DataError where images are gone since the scan, or the disk refuses.
    """
    kept = stored(dataset, home)
    if kept is not None:
        return kept
    pixels = pixel_array(dataset, SIZE, home, progress)
    number = {name: at for at, name in enumerate(dataset.classes)}
    labels = np.array([number[name] for name in dataset.index["label"]], dtype=np.int64)
    found = measure(pixels, labels, len(dataset.classes), progress)
    storage.write_table(file_of(dataset, home), _as_table(found))
    return found


def stored(dataset: Dataset, home: Path) -> PixelStatistics | None:
    """What was measured before; None where ``pixel_statistics`` would have to go to work."""
    try:
        table = storage.read_table(file_of(dataset, home))
        values = dict(zip(table["name"], table["values"], strict=True))
        classes = len(dataset.classes)
        shape = (classes, SIZE, SIZE)
        return PixelStatistics(
            values["images"].astype(np.int64).reshape(classes),
            values["mean"].reshape(shape),
            values["deviation"].reshape(shape),
            values["levels"].astype(np.int64).reshape(classes, 256),
            values["brightness"].reshape(len(dataset.index)),
        )
    except (DataError, KeyError, AttributeError, TypeError, ValueError):
        return None


def difference(found: PixelStatistics, one: int, others: Sequence[int]) -> Difference:
    """How class ``one`` differs from the ``others`` taken as one class; positive: it is brighter.

    Raises: DataError where there is nothing to compare.
    """
    chosen = [other for other in others if other != one and found.images[other]]
    if not found.images[one] or not chosen:
        raise DataError("Two classes with images are needed to see a difference.")
    weight = found.images[chosen] / found.images[chosen].sum()
    mean = np.tensordot(weight, found.mean[chosen], 1)
    second = np.square(found.mean[chosen]) + np.square(found.deviation[chosen])
    variance = np.maximum(np.tensordot(weight, second, 1) - np.square(mean), 0)
    pooled = np.sqrt((np.square(found.deviation[one]) + variance) / 2)
    levels = found.mean[one] - mean
    # Where neither class varies by a grey level, such as in black frames, little is not much.
    return Difference(levels, levels / np.maximum(pooled, 1))


def border_and_inside(values: NDArray[Any], border: float = BORDER) -> tuple[float, float]:
    """Mean absolute value of a picture ``(S, S)`` in its border, and in the rest."""
    side = len(values)
    width = max(1, round(border * side))
    outer = np.ones(values.shape, dtype=bool)
    outer[width : side - width, width : side - width] = False
    size = np.abs(values)
    return float(size[outer].mean()), float(size[~outer].mean())


def file_of(dataset: Dataset, home: Path) -> Path:
    """Where the figures of a dataset are kept."""
    return dataset_folder(home, dataset.fingerprint) / f"pixel-statistics-{SIZE}-{_VERSION}.parquet"


def _as_table(found: PixelStatistics) -> "pd.DataFrame":
    """One row a field: parquet keeps a check sum of every page, a plain array would have none."""
    import pandas as pd

    values = [np.asarray(part, dtype=np.float64).ravel() for part in found]
    return pd.DataFrame({"name": list(found._fields), "values": values})
