"""Small grey pictures that look like nothing in particular, and unlike one another."""

import numpy as np
from PIL import Image


def picture(seed: int, height: int = 48, width: int | None = None) -> np.ndarray:
    """(H, W) uint8 of smooth random structure; two seeds are never near duplicates."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)
    size = (width or height, height)
    return np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))
