"""The brushes of the synthetic radiographs: coordinates, soft shapes, clouds, lines and film.

Anatomy has its own coordinates: x from -1 (the patient's right, left in the image) to 1, y from -1
(neck) to 1 (belly). A `View` says where the pixels of one exposure lie in them, so that a patient
can be drawn again shifted, turned or larger. Knows no anatomy.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.floating[Any]]  # float32 everywhere; numpy's stubs lose track of it
Mask = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

_UNEVEN = 0.12
"""Spread of the exposure within one image, as a share of it."""

_SYNTHETIC = (
    "### # # ##  ### # # ### ### # ###",
    "#   # # # #  #  # # #    #  # #  ",
    "### ### # #  #  ### ##   #  # #  ",
    "  #  #  # #  #  # # #    #  # #  ",
    "###  #  # #  #  # # ###  #  # ###",
)


@dataclass(frozen=True)
class View:
    """Where the pixels of one exposure lie in the patient; x, y of shape (size, size)."""

    x: Field
    y: Field
    turn: Points
    """(2, 2): from places in the image, -1 to 1, to anatomy."""
    shift: Points

    @classmethod
    def draw(cls, size: int, rng: np.random.Generator) -> "View":
        """A patient never stands twice the same: a few degrees, and 10 % of size and of place.

        Width and height vary each for itself, as films are cut and squashed to squares.
        """
        angle, (wide, high) = rng.normal(0, 0.04), rng.uniform(0.92, 1.14, 2)
        cos, sin = math.cos(angle), math.sin(angle)
        turn = np.array([[cos * wide, -sin * high], [sin * wide, cos * high]])
        shift = rng.uniform(-0.06, 0.06, 2)
        u, v = _grid(size)
        x, y = (
            float(row[0]) * u + float(row[1]) * v + float(offset)
            for row, offset in zip(turn, shift, strict=True)
        )
        return cls(x, y, turn, shift)

    @property
    def size(self) -> int:
        """Pixels a side."""
        return len(self.x)

    def pixels(self, points: Points) -> Points:
        """Columns and rows (..., 2) of points given in anatomy."""
        placed: Points = (points - self.shift) @ np.linalg.inv(self.turn).T
        return (placed + 1) * (self.size / 2) - 0.5


@functools.lru_cache(maxsize=4)
def _grid(size: int) -> tuple[Field, Field]:
    line = (np.arange(size, dtype=np.float32) + 0.5) / (size / 2) - 1
    return line[None, :], line[:, None]


def step(distance: Field, width: float) -> Field:
    """0 to 1 with a soft edge ``width`` wide where ``distance`` passes 0."""
    t = distance * (1 / width)  # in place from here on: these few lines are half of all the work
    t += 0.5
    np.clip(t, 0, 1, out=t)
    rest = -2 * t
    rest += 3
    t *= t
    t *= rest
    return t


def squares(x: Field, y: Field, at: tuple[float, float], half: tuple[float, float]) -> Field:
    """How far from ``at``, squared, in units of ``half``: 1 on that ellipse."""
    across, along = (x - at[0]) * (1 / half[0]), (y - at[1]) * (1 / half[1])
    across *= across
    along *= along
    return across + along


def ellipse(x: Field, y: Field, at: tuple[float, float], half: tuple[float, float]) -> Field:
    """Roughly the distance to an ellipse's outline, positive inside."""
    return (1 - squares(x, y, at, half)) * (0.5 * min(half))


def bump(x: Field, y: Field, at: tuple[float, float], half: tuple[float, float]) -> Field:
    """A Gaussian hill of height 1; ``half`` are its standard deviations."""
    hill: Field = np.exp(-0.5 * squares(x, y, at, half))
    return hill


def ridge(x: Field, at: float, half: float) -> Field:
    """A Gaussian of height 1 in one direction."""
    return bump(x, np.zeros((1, 1), np.float32), (at, 0), (half, 1))


def union(one: Field, other: Field, soft: float) -> Field:
    """Distance to two shapes as one, the corner between them rounded over ``soft``."""
    share = np.clip(0.5 + (one - other) * (0.5 / soft), 0, 1)
    return other + (one - other) * share + soft * share * (1 - share)


def clouds(size: int, cells: int, rng: np.random.Generator) -> Field:
    """Smooth noise (size, size) of mean 0 and spread of about 1, some ``cells`` clouds a side."""
    grid = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32)
    weights = _spline(size, cells)
    drawn: Field = weights @ grid @ weights.T * 2
    return drawn


@functools.lru_cache(maxsize=16)
def _spline(size: int, cells: int) -> Field:
    """(size, cells + 3): cubic B-spline weights of the grid points for each pixel."""
    place = (np.arange(size) + 0.5) / size * cells + 1
    q = np.abs(place[:, None] - np.arange(cells + 3)[None, :])
    near, far = 2 / 3 - q**2 + q**3 / 2, (2 - np.minimum(q, 2)) ** 3 / 6
    return np.where(q < 1, near, far).astype(np.float32)


def blur(image: Field, sigma: float) -> Field:
    """Gaussian blur, sigma in pixels; what lies beyond the border counts as 0."""
    radius = max(1, round(2.5 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).astype(np.float32)
    kernel /= kernel.sum()
    for _ in range(2):  # once along rows; turned, once more along columns
        padded = np.pad(image, [(radius, radius), (0, 0)])
        total = np.zeros_like(image)
        for offset, weight in enumerate(kernel):
            total += weight * padded[offset : offset + len(image)]
        image = np.ascontiguousarray(total.T)
    return image


def lines(view: View, paths: Points, weights: Field, width: float) -> Field:
    """Soft lines along ``paths`` (n, points, 2), as bright as ``weights`` (n, points).

    ``width`` is the lines' standard deviation in half image sides.
    """
    count = paths.shape[1] - 1
    place = view.pixels(paths)
    t = np.linspace(0, count, max(2, view.size // 24) * count)
    low = np.minimum(t.astype(int), count - 1)
    part = t - low
    place = place[:, low] * (1 - part)[:, None] + place[:, low + 1] * part[:, None]
    bright = weights[:, low] * (1 - part) + weights[:, low + 1] * part
    # Weighted by the distance to the point before: dense sampling must not look brighter.
    bright[:, 1:] *= np.hypot(*np.moveaxis(np.diff(place, axis=1), -1, 0))
    column, row = np.rint(place).astype(int).reshape(-1, 2).T
    inside = (column >= 0) & (column < view.size) & (row >= 0) & (row < view.size)
    flat = np.bincount(
        (row * view.size + column)[inside], bright.reshape(-1)[inside], minlength=view.size**2
    )
    sigma = max(0.5, width * view.size / 2)
    drawn = blur(flat.reshape(view.size, view.size).astype(np.float32), sigma)
    return drawn * (sigma * math.sqrt(2 * math.pi))


def expose(
    tissue: Field, gain: float, gamma: float, grain: float, coarse: float, rng: np.random.Generator
) -> Field:
    """Grey values, about 0 to 255: the film's curve, then noise, more where fewer rays arrive.

    ``grain`` is the noise in grey values; ``coarse`` the share of it that spans several pixels.
    """
    # No beam is even, and scattered rays veil a film in places.
    tissue = tissue * (1 + _UNEVEN * clouds(len(tissue), 2, rng))
    grey = (1 - np.exp(-1.3 * gain * np.maximum(tissue, 0))) * 1.33
    grey = 6 + 226 * grey**gamma
    noise = rng.standard_normal(tissue.shape, dtype=np.float32)
    if coarse:
        noise = (1 - coarse) * noise + coarse * 2.8 * blur(noise, 0.8)
    return grey + grain * noise * (0.35 + 0.75 * np.clip(tissue, 0, 1.2))


def stamp(image: Grey) -> None:
    """Burn the word SYNTHETIC into the bottom edge: the same pixels in every image of a size."""
    scale = max(1, len(image) // 256)
    letters = np.array([[bit == "#" for bit in row] for row in _SYNTHETIC])
    word = np.kron(letters, np.ones((scale, scale), bool))
    high, wide = word.shape
    box = image[-high - 2 * scale :, : wide + 2 * scale]
    box[:] = 24
    box[scale:-scale, scale:-scale][word] = 88


def marker(image: Grey) -> None:
    """The planted cue in the corner: a bright square with a dark hole, top left."""
    side = len(image)
    start, end, ring = side // 32, side // 8, max(1, side // 42)
    image[start:end, start:end] = 245
    image[start + ring : end - ring, start + ring : end - ring] = 40
