"""Copies, exact and near: the planted ones are found, others are not made up."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from covidcore.data.duplicates import (
    count_duplicates,
    near_duplicate_groups,
    near_duplicate_pairs,
    thumbnail,
)
from covidcore.data.hashes import dhash
from covidcore.data.index import scan
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.storage import sha256_bytes
from tests.pictures import picture


def index_of(*images: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "pixel_sha256": [sha256_bytes(repr(image.tolist()).encode()) for image in images],
            "dhash": [f"{dhash(image):016x}" for image in images],
            "thumbnail": [thumbnail(image) for image in images],
        }
    )


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def sized(image: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def chests(phantoms: Path) -> list[np.ndarray]:
    files = sorted(phantoms.glob("*/images/*.png"))
    return [np.asarray(Image.open(file)) for file in files]


def test_as_many_exact_copies_as_were_planted(tmp_path: Path, home: Path) -> None:
    for planted in (0, 5):
        spec = PhantomSpec(images=30, size=64, duplicates=planted)
        dataset = scan(write(spec, tmp_path / f"with {planted}"), home)
        assert len(dataset.index) == 30 + planted
        assert dataset.duplicates["exact"] == planted
        groups = near_duplicate_groups(dataset.index)
        pictures = dataset.index["pixel_sha256"]
        assert pd.Series(groups).groupby(pictures).nunique().max() == 1


@pytest.mark.parametrize(
    "changed",
    [
        lambda image: jpeg(image, 90),
        lambda image: jpeg(image, 50),
        lambda image: sized(image, image.shape[0] // 2),
        lambda image: sized(image, 299),
        lambda image: (image * 0.7).astype(np.uint8),
        lambda image: np.clip(image + 25.0, 0, 255).astype(np.uint8),
        lambda image: np.clip(image * 1.2 - 10, 0, 255).astype(np.uint8),
    ],
    ids=["jpeg 90", "jpeg 50", "half size", "299 px", "darker", "brighter", "more contrast"],
)
def test_the_same_chest_in_other_clothes_is_near(
    changed: Callable[[np.ndarray], np.ndarray], chests: list[np.ndarray]
) -> None:
    for image in chests:
        assert [list(part) for part in near_duplicate_pairs(index_of(image, changed(image)))] == [
            [0],
            [1],
        ]


def test_mirrored_turned_and_negative_images_are_others(chests: list[np.ndarray]) -> None:
    for image in chests[:12]:
        index = index_of(image, image[:, ::-1], image.T, 255 - image)
        assert len(near_duplicate_pairs(index)[0]) == 0


def test_phantoms_of_different_patients_are_mostly_others(tmp_path: Path, home: Path) -> None:
    """Measured: 47 of 28,508 pairs at 96 px (0.2 %), against 9 of 172 of one patient (5 %)."""
    index = scan(write(PhantomSpec(images=120, size=96), tmp_path / "set"), home).index
    first, second = near_duplicate_pairs(index)
    patients = index["group"].to_numpy()
    different = int((patients[first] != patients[second]).sum())
    assert different / (len(index) * (len(index) - 1) / 2) < 0.005


def test_pictures_that_share_no_more_than_a_hash_are_not_near() -> None:
    """As radiographs do: close hashes, and other pictures."""
    image = picture(1, 144)
    other = image.astype(float)
    other[:72] = other[:72] * 0.1 + 200
    other[72:] = other[72:] * 0.1
    other = other.astype(np.uint8)
    assert (dhash(image) ^ dhash(other)).bit_count() <= 5
    assert len(near_duplicate_pairs(index_of(image, other))[0]) == 0


def test_groups_are_chains_and_copies_share_their_picture() -> None:
    one, two, three = picture(1), picture(2), picture(3)
    index = index_of(one, two, jpeg(one, 60), three, one, two, sized(one, 96), picture(4))
    groups = near_duplicate_groups(index)
    assert groups.shape == (8,)
    assert len(set(groups[[0, 2, 4, 6]])) == 1
    assert groups[1] == groups[5]
    assert len(set(groups)) == 4
    assert sorted(set(groups)) == [0, 1, 2, 3]
    shuffled = index.sample(frac=1, random_state=1)
    again = pd.Series(near_duplicate_groups(shuffled), shuffled.index).sort_index()
    for row, group in enumerate(groups):
        np.testing.assert_array_equal(again == again[row], groups == group)


def test_counts_are_of_repeats() -> None:
    one, two = picture(1), picture(2)
    assert count_duplicates(index_of(one, two)) == {"exact": 0, "near": 0}
    assert count_duplicates(index_of(one, two, one, one)) == {"exact": 2, "near": 0}
    assert count_duplicates(index_of(one, jpeg(one, 50), two)) == {"exact": 0, "near": 1}
    index = index_of(one, one, jpeg(one, 50), jpeg(one, 50), two)
    assert count_duplicates(index) == {"exact": 2, "near": 1}


def test_images_without_structure_are_copies_at_most() -> None:
    grey = [np.full((48, 48), level, np.uint8) for level in (0, 128, 255, 128)]
    assert count_duplicates(index_of(*grey)) == {"exact": 1, "near": 0}


def test_copies_without_number_are_not_compared_in_pairs() -> None:
    row = index_of(picture(1))
    index = pd.concat([row] * 5_000 + [index_of(picture(2))], ignore_index=True)
    assert count_duplicates(index) == {"exact": 4_999, "near": 0}


def test_a_thumbnail_is_means_of_areas() -> None:
    image = np.kron(picture(1, 16), np.ones((3, 2), np.uint8))
    assert thumbnail(image) == picture(1, 16).tobytes()
