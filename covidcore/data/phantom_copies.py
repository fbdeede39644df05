"""Planted copies of synthetic radiographs, exact and near, and that nothing else is one.

An audit of phantoms must find the copies that were planted, and no others.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from covidcore.data.comparing import CORRELATION, standardised
from covidcore.data.duplicates import THUMBNAIL, thumbnail
from covidcore.data.phantom_canvas import Field, Grey, Mask

_APART = 0.98
"""Two pictures that are no copies correlate less: some way below what counts as near."""


class Variety:
    """The looks of the pictures drawn so far."""

    def __init__(self, pictures: int) -> None:
        self._looks = np.zeros((pictures, THUMBNAIL**2), np.float32)
        self._seen = 0

    def is_new(self, image: Grey) -> bool:
        """Whether ``image``, as it is and mirrored, is like none before; if so, it is kept."""
        look = _look(image)
        if (self._likeness(look) >= _APART).any():
            return False
        self._looks[self._seen] = look
        self._seen += 1
        return True

    def is_like_one(self, image: Grey) -> bool:
        """Whether ``image`` is a near duplicate of exactly one picture before it."""
        return int((self._likeness(_look(image)) >= CORRELATION).sum()) == 1

    def _likeness(self, look: Field) -> Field:
        turned = look.reshape(THUMBNAIL, THUMBNAIL)[:, ::-1].ravel()
        seen = self._looks[: self._seen]
        return np.maximum(seen @ look, seen @ turned)


def _look(image: Grey) -> Field:
    look: Field = standardised(np.frombuffer(thumbnail(image), np.uint8)[None])[0]
    return look


def _recompressed(image: Grey) -> Grey:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=60)
    return np.array(Image.open(out))


def _coarser(image: Grey) -> Grey:
    drawn, side = Image.fromarray(image), len(image)
    small = drawn.resize((side * 3 // 4, side * 3 // 4), Image.Resampling.BILINEAR)
    return np.array(small.resize((side, side), Image.Resampling.BILINEAR))


def _mirrored(image: Grey) -> Grey:
    return np.ascontiguousarray(image[:, ::-1])


_CHANGES: tuple[Callable[[Grey], Grey], ...] = (
    _recompressed,
    _mirrored,
    lambda image: (image * 0.85).astype(np.uint8),
    _coarser,
    lambda image: np.clip(image * 1.15 - 12.0, 0, 255).astype(np.uint8),
)


def near_copy(image: Grey, mask: Mask, turn: int) -> tuple[Grey, Mask]:
    """The same picture in other clothes: recompressed, mirrored, darker, coarser or harder.

    ``turn`` chooses among them. With an image, its lung mask and the word in it are mirrored.
    """
    change = _CHANGES[turn % len(_CHANGES)]
    return change(image), mask[:, ::-1] if change is _mirrored else mask
