"""Which training image an upload is, or is a copy of: an answer about one proves nothing.

A network that has seen an image can be right by heart. So a thumbnail of each training image goes
along with the model, and an upload is compared with them: as it is, and with borders cut off, as
they are of copies that came through a slide or a paper.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covidcore.data.comparing import Looks, standardised

SIDE = 32
"""Pixels a side of a thumbnail: 1 KB an image."""
CORRELATION = 0.985
"""Least correlation of a copy with its image; docs/results.md says what that finds."""

_SMALL = 16
"""Pixels a side of what is compared."""
_CANDIDATES = 20
"""Images, the most alike as they are, that are compared with borders cut off too."""
CUTS = (0.0, 0.025, 0.05, 0.075)
"""Shares of a side that a copy may lack at each end of it."""


@dataclass(frozen=True, eq=False)
class Memory:
    """The training images of a model, as far as it takes to know them again."""

    files: tuple[str, ...]
    thumbnails: NDArray[np.uint8]
    """``(N, 32, 32)``, as ``thumbnail`` makes them."""

    def find(self, square: NDArray[np.uint8]) -> str | None:
        """The training image that a grey ``square`` is a copy of, if there is one."""
        likeness, number = self.closest(square)
        return self.files[number] if likeness >= CORRELATION else None

    def closest(self, square: NDArray[np.uint8]) -> tuple[float, int]:
        """The largest correlation with any training image, cropped or not, and which that is."""
        if not self.files:
            return 0.0, -1
        asked = _whole(thumbnail(square)[None])[0]
        plain = self._looks @ asked
        likely = np.argsort(plain)[-_CANDIDATES:]
        cropped = _best_crops(self.thumbnails[likely], asked)
        best = int(cropped.argmax())
        return float(cropped[best]), int(likely[best])

    @cached_property
    def _looks(self) -> Looks:
        return _whole(self.thumbnails)


def thumbnail(square: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey image of a network's input size as 32 x 32 averaged areas.

    Of that size, for a thumbnail of the file itself would differ a little from it.
    """
    return np.asarray(Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BOX))


def _whole(thumbnails: NDArray[np.uint8]) -> Looks:
    """Looks ``(N, 256)`` of whole images."""
    return standardised(_averages(thumbnails, _parts()[:1])[:, 0, :, 0])


def _best_crops(thumbnails: NDArray[np.uint8], asked: Looks) -> Looks:
    """The largest correlation of a look ``(256,)`` with any crop of each thumbnail, ``(N,)``."""
    views = _averages(thumbnails, _parts())
    # As ``asked`` has mean 0, the mean of a view matters to its length alone.
    products = np.einsum("nkalb,ab->nkl", views, asked.reshape(_SMALL, _SMALL))
    squares = np.einsum("nkalb,nkalb->nkl", views, views)
    lengths = squares - np.square(views.sum(axis=(2, 4))) / _SMALL**2
    best: Looks = (products / np.sqrt(np.maximum(lengths, 1))).max(axis=(1, 2))
    return best


def _averages(thumbnails: NDArray[np.uint8], parts: Looks) -> Looks:
    """Every part of the rows by every part of the columns: ``(N, K, 16, K, 16)``."""
    rows = np.tensordot(thumbnails.astype(np.float32), parts, (1, 2))  # (N, columns, K, 16)
    averages: Looks = np.tensordot(rows, parts, (1, 2))  # (N, K, 16, K, 16)
    return averages


@cache
def _parts() -> Looks:
    """``(K, 16, 32)``: what averages a part of a side, the whole side first, to 16 pixels."""
    places = np.arange(SIDE)
    found = []
    for start in CUTS:
        for end in CUTS:
            edges = np.linspace(start * SIDE, (1 - end) * SIDE, _SMALL + 1)
            low, high = edges[:-1, None], edges[1:, None]
            covered = np.clip(np.minimum(places + 1, high) - np.maximum(places, low), 0, None)
            found.append(covered / (high - low))
    return np.array(found, dtype=np.float32)
