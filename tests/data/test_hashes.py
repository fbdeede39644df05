"""Difference hashes, and near pairs, against their plain definitions."""

import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from covidcore.data.hashes import dhash, near_pairs


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


hashes_near_zero = st.lists(
    st.integers(0, 2**64 - 1).filter(lambda v: v.bit_count() < 40) | st.integers(0, 63), max_size=40
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(hashes_near_zero, st.integers(0, 12))
def test_pairs_against_their_definition(values: list[int], distance: int) -> None:
    expected = [
        (i, j)
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if apart(values[i], values[j]) <= distance
    ]
    hashes = np.array(values, dtype=np.uint64)
    i, j = near_pairs(hashes, distance)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == expected


def test_blocks_join_up_and_memory_is_bounded() -> None:
    """5,000 hashes take more than one block; the pairs planted across them are all found."""
    hashes = np.random.default_rng(3).integers(0, 2**63, 5_000, dtype=np.uint64)
    hashes[4_000:] = hashes[:1_000] ^ np.uint64(0b101)
    tracemalloc.start()
    i, j = near_pairs(hashes, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(i, np.arange(1_000))
    np.testing.assert_array_equal(j, np.arange(4_000, 5_000))
    assert peak < 60e6


def test_nothing_and_nonsense() -> None:
    none = np.empty(0, np.uint64)
    assert [len(part) for part in near_pairs(none, 3)] == [0, 0]
    with pytest.raises(ValueError, match="distance must be 0 to 64"):
        near_pairs(none, 65)
    with pytest.raises(ValueError, match="one-dimensional"):
        near_pairs(np.zeros((2, 2), np.uint64), 1)
