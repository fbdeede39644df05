"""Small grey pictures that look like nothing in particular, and unlike one another."""

import numpy as np
from PIL import Image


def picture(seed: int, height: int = 48, width: int | None = None) -> np.ndarray:
    """(H, W) uint8 of smooth random structure; two seeds are never near duplicates."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)
    size = (width or height, height)
    return np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))


def at_the_bound(seed: int, moved: int = 0) -> np.ndarray:
    """A thumbnail (16, 16) uint8; two of a seed correlate by 1 - ``moved`` / 200, to the last bit.

    100 pixels are lighter and 100 darker than the 56 others; ``moved`` of the light ones change
    places with others, in the middle rows.
    """
    rng = np.random.default_rng(seed)
    deviations = np.zeros(256, dtype=np.int64)
    places = np.arange(256)
    lighter, darker = places[:100], places[156:]
    deviations[lighter], deviations[darker] = 1, -1
    deviations = deviations.reshape(16, 16).T.copy()  # light to the left, dark to the right
    light = rng.permutation(np.argwhere(deviations == 1))[:moved]
    other = rng.permutation(np.argwhere(deviations == 0))[:moved]
    deviations[tuple(light.T)], deviations[tuple(other.T)] = 0, 1
    return (120 + (20 + seed) * deviations).astype(np.uint8)
