"""What happens to images on the way: nine kinds, each in rising levels, on uint8 squares.

The same seed gives the same pixels. Where a change has two directions (lighter or darker, left or
right), each image goes one way, by chance.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Grey = NDArray[np.uint8]

_LETTER = 0.1
"""Height of a marker, as a share of the side."""


@dataclass(frozen=True)
class Corruption:
    """One kind of change."""

    kind: str
    unit: str
    """What a level counts."""
    levels: tuple[float, ...]
    """From the mildest to the strongest."""
    change: Callable[[Grey, float, np.random.Generator], Grey]
    """Of squares ``(N, S, S)`` at a level."""


def corrupt(squares: Grey, kind: str, level: float, seed: int = 0) -> Grey:
    """Squares ``(N, S, S)`` changed, of the same shape and type.

    Image i is changed in the same direction at every level.
    """
    return CORRUPTIONS[kind].change(squares, level, np.random.default_rng(seed))


def _brightness(squares: Grey, level: float, rng: np.random.Generator) -> Grey:
    return _to_grey(squares + 255 * level * _ways(len(squares), rng))


def _contrast(squares: Grey, level: float, rng: np.random.Generator) -> Grey:
    mean = squares.mean(axis=(1, 2), keepdims=True)
    return _to_grey(mean + (1 - level) * (squares - mean))


def _noise(squares: Grey, level: float, rng: np.random.Generator) -> Grey:
    return _to_grey(squares + 255 * level * rng.standard_normal(squares.shape, dtype=np.float32))


def _inversion(squares: Grey, level: float, rng: np.random.Generator) -> Grey:
    return np.uint8(255) - squares


def _blur(squares: Grey, level: float, rng: np.random.Generator) -> Grey:
    radius = ImageFilter.GaussianBlur(level / 100 * squares.shape[1])
    return _each(squares, lambda image, _: image.filter(radius))


def _jpeg(squares: Grey, level: float, rng: np.random.Generator) -> Grey:
    def stored(image: Image.Image, _: int) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(level))
        return Image.open(file, formats=["JPEG"])

    return _each(squares, stored)


def _rotation(squares: Grey, level: float, rng: np.random.Generator) -> Grey:
    ways = _ways(len(squares), rng).ravel()
    return _each(
        squares, lambda image, at: image.rotate(level * ways[at], Image.Resampling.BILINEAR)
    )


def _scale(squares: Grey, level: float, rng: np.random.Generator) -> Grey:
    ways, side = _ways(len(squares), rng).ravel(), squares.shape[1]

    def zoomed(image: Image.Image, at: int) -> Image.Image:
        factor = 1 + level / 100 * ways[at]
        seen = side / factor  # so much of the picture fills the square; beyond its edge is black
        edge = (side - seen) / 2
        across = (seen / side, 0, edge, 0, seen / side, edge)
        return image.transform(
            image.size, Image.Transform.AFFINE, across, Image.Resampling.BILINEAR
        )

    return _each(squares, zoomed)


def _markers(squares: Grey, level: float, rng: np.random.Generator) -> Grey:
    """So many corners get a bright letter L, as films have at their edge."""
    side = squares.shape[1]
    high, edge = max(3, round(_LETTER * side)), round(0.03 * side)
    stroke = max(1, high // 4)
    near, far = slice(edge, edge + high), slice(side - edge - high, side - edge)
    corners = ((near, near), (near, far), (far, near), (far, far))
    marked = squares.copy()
    for image in marked:
        for corner in rng.permutation(len(corners))[: int(level)]:
            letter = image[corners[corner]]
            letter[:, :stroke] = letter[-stroke:] = 250
    return marked


def _ways(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """1 or -1 for each image, ``(N, 1, 1)``: as many of each as can be, in an order by chance."""
    return rng.permutation(np.resize(np.array([1, -1], dtype=np.float32), count))[:, None, None]


def _each(squares: Grey, change: Callable[[Image.Image, int], Image.Image]) -> Grey:
    """Change image after image through Pillow; the second argument is its place."""
    changed = [change(Image.fromarray(square), at) for at, square in enumerate(squares)]
    return np.array([np.asarray(image) for image in changed], np.uint8).reshape(squares.shape)


def _to_grey(values: NDArray[np.floating]) -> Grey:
    grey: Grey = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return grey


CORRUPTIONS: dict[str, Corruption] = {
    one.kind: one
    for one in (
        Corruption("brightness", "of the full scale up or down", (0.1, 0.2, 0.4), _brightness),
        Corruption("contrast", "of the contrast taken away", (0.3, 0.6, 0.8), _contrast),
        Corruption("noise", "of the full scale, standard deviation", (0.02, 0.05, 0.15), _noise),
        Corruption("blur", "% of the side, standard deviation", (0.5, 1.0, 2.0), _blur),
        Corruption("JPEG", "% quality", (50, 20, 5), _jpeg),
        Corruption("rotation", "degrees left or right", (5, 15, 30), _rotation),
        Corruption("scale", "% larger or smaller", (5, 15, 30), _scale),
        Corruption("inversion", "black and white swapped", (1,), _inversion),
        Corruption("markers", "letters in corners", (1, 2, 4), _markers),
    )
}
"""By name, in the order in which they are shown."""
