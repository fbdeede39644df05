"""Training images known again by hashes alone: for weights that are passed on without thumbnails.

A copy whose borders were cut off is laid where it came from, in many ways: what of the hash lies
within it is compared, and the rest is not.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from covidcore.data.comparing import Looks
from covidcore.data.duplicates import THUMBNAIL
from covidcore.data.known import BITS, DISTANCE, KnownImages, signs
from covidcore.inference.memory import CUTS, SIDE, thumbnail

_CANDIDATES = 256
"""Images, the most alike as they are, that are compared in all ways: of 264 copies with up to 6 %
cut off at each border none was further down than place 90."""


@dataclass(frozen=True, eq=False)
class Hashed:
    """The training images of a model, and of what it began as, told by their hashes."""

    images: KnownImages

    @property
    def files(self) -> tuple[str, ...]:
        """Their names."""
        return self.images.files

    def find(self, square: NDArray[np.uint8]) -> str | None:
        """The training image that a grey ``square`` is a copy of, if there is one."""
        distance, number = self.closest(square)
        return self.files[number] if distance <= DISTANCE else None

    def closest(self, square: NDArray[np.uint8]) -> tuple[float, int]:
        """The least distance to any training image, cropped or not, and which that is.

        In bits of 480; where fewer are compared, as many as it would be of all.
        """
        if not self.files:
            return float(BITS), -1
        asked = _signs(thumbnail(square))
        # All ways against thousands of images would take longer than the network's answer.
        whole = np.packbits(asked[0] > 0).view(np.uint32)
        apart = np.bitwise_count(self._words ^ whole[:, None]).sum(axis=0, dtype=np.uint16)
        likely = np.sort(np.argsort(apart, kind="stable")[:_CANDIDATES])
        distances = _distances(asked, signs(self.images.hashes[likely]))
        place = int(distances.argmin())
        return float(distances[place]), int(likely[place])

    @cached_property
    def _words(self) -> NDArray[np.uint32]:
        """15 words of 32 bits of each hash, ``(15, N)``."""
        return np.ascontiguousarray(np.ascontiguousarray(self.images.hashes).view(np.uint32).T)


def _distances(asked: Looks, known: Looks) -> Looks:
    """Of signs laid in all ways, ``(W, 480)``, to known ones, ``(N, 480)``: the least, ``(N,)``."""
    agreeing = asked @ known.T  # what agrees less what does not, of those compared
    share = agreeing.astype(np.float64) / _compared().sum(axis=1, keepdims=True)
    found: Looks = BITS * (1 - share.max(axis=0)) / 2
    return found


def _signs(small: NDArray[np.uint8]) -> Looks:
    """Of a thumbnail ``(32, 32)`` laid in each way: ``(W, 480)``; 0 for what is not compared."""
    parts, _ = _cells()
    rows = np.tensordot(small.astype(np.float32), parts, (0, 2))  # (columns, K, 16)
    cells = np.tensordot(rows, parts, (0, 2)).transpose(0, 2, 1, 3)  # (K, K, 16, 16)
    # Whole grey levels, as those that hashes are made of: else noise tells what is darker in black.
    cells = np.rint(cells, order="C").reshape(-1, THUMBNAIL, THUMBNAIL)
    right = cells[:, :, 1:] > cells[:, :, :-1]
    below = cells[:, 1:] > cells[:, :-1]
    return (_flat(right, below).astype(np.float32) * 2 - 1) * _compared()


@cache
def _compared() -> Looks:
    """Which of a hash are compared in each way, ``(W, 480)``: 1, else 0."""
    _, inside = _cells()
    there = (inside[:, None, :, None] & inside[None, :, None, :]).reshape(-1, THUMBNAIL, THUMBNAIL)
    compared = _flat(there[:, :, 1:] & there[:, :, :-1], there[:, 1:] & there[:, :-1])
    return compared.astype(np.float32)


def _flat(right: NDArray[np.bool_], below: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.concatenate([part.reshape(len(part), -1) for part in (right, below)], axis=1)


@cache
def _cells() -> tuple[Looks, NDArray[np.bool_]]:
    """Of each way in which a side lost something at its ends: 16 cells of the whole side.

    ``(K, 16, 32)``: what averages 32 pixels of the rest to them; ``(K, 16)``: which are within it.
    """
    places = np.arange(SIDE)
    edges = np.linspace(0, 1, THUMBNAIL + 1)
    found, inside = [], []
    for start in CUTS:
        for end in CUTS:
            at = (edges - start) / (1 - start - end) * SIDE
            low, high = at[:-1, None], at[1:, None]
            covered = np.clip(np.minimum(places + 1, high) - np.maximum(places, low), 0, None)
            found.append(covered / (high - low))
            inside.append((at[:-1] > -1e-9) & (at[1:] < SIDE + 1e-9))
    return np.array(found, dtype=np.float32), np.array(inside)
