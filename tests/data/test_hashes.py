"""Difference hashes against their plain definition."""

import io

import numpy as np
from PIL import Image

from covidcore.data.hashes import dhash


def picture(seed: int, size: int = 224) -> np.ndarray:
    """Smooth random structure, a stand-in for a radiograph."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC))


def apart(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def test_definition() -> None:
    steps = np.random.default_rng(0).permutation(72).reshape(8, 9).astype(np.uint8)
    bits = "".join("1" if row[i + 1] > row[i] else "0" for row in steps.tolist() for i in range(8))
    assert dhash(steps) == int(bits, 2)


def test_no_structure_is_zero_and_a_ramp_is_all_ones() -> None:
    assert dhash(np.full((50, 40), 200, np.uint8)) == 0
    ramp = np.tile(np.linspace(0, 255, 224).astype(np.uint8), (224, 1))
    assert dhash(ramp) == 2**64 - 1
    assert dhash(ramp[:, ::-1]) == 0


def test_the_same_picture_in_other_clothes_is_near() -> None:
    for seed in range(20):
        original = picture(seed)
        image, mark = Image.fromarray(original), dhash(original)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=40)
        variants = [
            np.asarray(image.resize((299, 299), Image.Resampling.LANCZOS)),
            np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR)),
            np.asarray(Image.open(buffer)),
            (original * 0.7 + 20).astype(np.uint8),
        ]
        assert max(apart(mark, dhash(variant)) for variant in variants) <= 6


def test_other_pictures_are_far() -> None:
    marks = [dhash(picture(seed)) for seed in range(60)]
    assert min(apart(a, b) for i, a in enumerate(marks) for b in marks[:i]) > 8
