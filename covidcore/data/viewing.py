"""One image as a person looks at it: in full, with its grey levels and the outline of its mask."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from covidcore import storage
from covidcore.data.decode import decode
from covidcore.data.index import Dataset
from covidcore.errors import DataError, DecodeError

Grey = NDArray[np.uint8]

LARGEST = 1024
"""Pixels of the longer side of what is shown: more than a page has room for."""
OUTLINE = (230, 159, 0)
"""Orange, which no radiograph is. Source: Okabe & Ito 2008."""


class View(NamedTuple):
    """One image, opened."""

    pixels: Grey
    """``(H, W)``, the longer side at most ``LARGEST``."""
    levels: NDArray[np.int64]
    """How many pixels of the file have each grey level, ``(256,)``."""
    changed: bool
    """Whether the file is another one than when the dataset was scanned."""


def view(dataset: Dataset, row: int) -> View:
    """Open the image of an index row. Raises: DataError where it can not be read."""
    file = str(dataset.index.at[row, "file"])
    pixels = _decoded(dataset, file)
    try:
        changed = storage.sha256_file(dataset.root / file) != dataset.index.at[row, "sha256"]
    except OSError:  # gone in this moment
        changed = True
    return View(_reduced(pixels), np.bincount(pixels.ravel(), minlength=256), changed)


def mask(dataset: Dataset, row: int) -> NDArray[np.bool_] | None:
    """The lung mask ``(h, w)`` of an index row, of any size; None where no mask is linked.

    Raises: DataError where it can not be read.
    """
    file = str(dataset.index.at[row, "mask"])
    return _decoded(dataset, file) > 127 if file else None


def outlined(picture: Grey, lungs: NDArray[np.bool_]) -> Grey:
    """A grey picture ``(H, W)`` in colour ``(H, W, 3)`` with the border of a mask ``(h, w)`` drawn.

    The mask is brought to the picture's size; the line lies inside it and gets wider with the
    picture.
    """
    height, width = picture.shape
    whole = Image.fromarray(lungs.astype(np.uint8) * 255)
    whole = whole.resize((width, height), Image.Resampling.NEAREST)
    thickness = max(1, round(max(height, width) / 300))
    inner = np.asarray(whole.filter(ImageFilter.MinFilter(2 * thickness + 1)))
    result = np.repeat(picture[..., np.newaxis], 3, axis=2)
    result[(np.asarray(whole) > 0) & (inner == 0)] = OUTLINE
    return result


def _decoded(dataset: Dataset, file: str) -> Grey:
    try:
        return decode(dataset.root / file).pixels
    except DecodeError as error:
        raise DataError(f"{file} can not be shown. {error}") from error


def _reduced(pixels: Grey) -> Grey:
    height, width = pixels.shape
    scale = LARGEST / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
