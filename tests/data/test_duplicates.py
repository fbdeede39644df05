"""Copies, exact and near: the planted ones are found, others are not made up."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from covidcore.data import comparing, duplicates
from covidcore.data.comparing import NearPairs
from covidcore.data.duplicates import (
    closest,
    connected,
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


def pairs(index: pd.DataFrame) -> list[tuple[int, int, bool]]:
    found = near_duplicate_pairs(index)
    return list(
        zip(found.first.tolist(), found.second.tolist(), found.mirrored.tolist(), strict=True)
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
        assert pairs(index_of(image, changed(image))) == [(0, 1, False)]


def test_a_mirrored_copy_is_near_and_said_to_be_mirrored(chests: list[np.ndarray]) -> None:
    for image in chests[:12]:
        turned = np.ascontiguousarray(image[:, ::-1])
        assert pairs(index_of(image, jpeg(turned, 60))) == [(0, 1, True)]
        assert pairs(index_of(turned, image, jpeg(image, 60))) == [
            (0, 1, True),
            (0, 2, True),
            (1, 2, False),
        ]


def test_turned_and_negative_images_are_others(chests: list[np.ndarray]) -> None:
    for image in chests[:12]:
        assert pairs(index_of(image, image.T, image[::-1], 255 - image)) == []


def test_a_picture_that_is_its_own_mirror_image_is_near_once() -> None:
    half = picture(3, 48, 24)
    whole = np.hstack([half, half[:, ::-1]])
    assert pairs(index_of(whole, jpeg(whole, 80))) == [(0, 1, False)]


def test_every_pair_is_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [picture(seed) for seed in range(40)]
    images += [jpeg(image, 70) for image in images[:30]]
    images += [jpeg(image[:, ::-1], 70) for image in images[:5]]
    index = index_of(*images)
    whole = pairs(index)
    planted = [(n, n + 40, False) for n in range(30)]
    planted += [(n, n + 70, True) for n in range(5)] + [(n + 40, n + 70, True) for n in range(5)]
    assert whole == sorted(planted)
    monkeypatch.setattr(comparing, "_BLOCK", 300)
    monkeypatch.setattr(duplicates, "_compared", {})
    assert pairs(index) == whole


def test_correlations_are_of_the_thumbnails(chests: list[np.ndarray]) -> None:
    other = np.clip(chests[0] * 1.3 - 20, 0, 255).astype(np.uint8)
    index = index_of(chests[0], other)
    levels = [np.frombuffer(value, np.uint8) for value in index["thumbnail"]]
    found = near_duplicate_pairs(index).correlation
    np.testing.assert_allclose(found, [np.corrcoef(levels)[0, 1]], rtol=1e-5)


@pytest.mark.parametrize(("seed", "images", "exact", "near"), [(0, 240, 0, 0), (1, 120, 3, 20)])
def test_phantoms_are_copies_of_one_another_only_where_planted(
    tmp_path: Path, home: Path, seed: int, images: int, exact: int, near: int
) -> None:
    spec = PhantomSpec(images=images, size=64, seed=seed, duplicates=exact, near_duplicates=near)
    dataset = scan(write(spec, tmp_path / "set"), home)
    assert dataset.duplicates == {"exact": exact, "near": near}
    found = near_duplicate_pairs(dataset.index.drop_duplicates("pixel_sha256"))
    assert int(found.mirrored.sum()) == near // 5


def test_pictures_that_share_no_more_than_a_hash_are_not_near() -> None:
    """As radiographs do: close hashes, and other pictures."""
    image = picture(1, 144)
    other = image.astype(float)
    other[:72] = other[:72] * 0.1 + 200
    other[72:] = other[72:] * 0.1
    other = other.astype(np.uint8)
    assert (dhash(image) ^ dhash(other)).bit_count() <= 5
    assert pairs(index_of(image, other)) == []


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


def test_the_closest_links_hold_the_same_groups_together() -> None:
    """Rows 0 to 4 all alike, 5 and 6 alike, 7 alone: four links and one are left of eleven."""
    first, second = np.array([(i, j) for i in range(5) for j in range(i + 1, 5)] + [(5, 6)]).T
    likeness = np.full(len(first), 0.986, np.float32)
    chain = [
        at for at, pair in enumerate(zip(first, second, strict=True)) if pair[1] - pair[0] == 1
    ]
    likeness[chain] = 0.999
    every = NearPairs(first, second, first == 2, likeness)
    found = closest(8, every)
    assert list(zip(found.first, found.second, strict=True)) == [
        *((0, 1), (1, 2), (2, 3), (3, 4)),
        (5, 6),
    ]
    assert found.mirrored.tolist() == [False, False, True, False, False]
    assert found.correlation.tolist() == likeness[chain].tolist()
    np.testing.assert_array_equal(
        connected(8, found.first, found.second), connected(8, first, second)
    )
    none = NearPairs(*(part[:0] for part in every))
    assert len(closest(8, none).first) == 0


def test_what_was_compared_last_is_remembered(
    chests: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "_compared", {})
    asked: list[int] = []
    compare = duplicates.compare

    def counted(levels: np.ndarray, *rest: Any) -> NearPairs:
        asked.append(len(levels))
        return compare(levels, *rest)

    monkeypatch.setattr(duplicates, "compare", counted)
    first, second, third = (index_of(*chests[at : at + 9], chests[at]) for at in (0, 1, 2))
    second = index_of(*chests[:9], chests[3])
    found = near_duplicate_pairs(first)
    assert near_duplicate_pairs(first.assign(label="a")) is found
    assert asked == [9]  # pictures, one of which is there twice
    assert pairs(second) == [(3, 9, False)]
    near_duplicate_pairs(third)
    assert len(asked) == 3 and len(duplicates._compared) == 2
    near_duplicate_pairs(first)
    assert len(asked) == 4  # only the last ones are


def test_progress_counts_both_passes(
    chests: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "_compared", {})
    seen: list[tuple[int, int]] = []
    near_duplicate_pairs(index_of(*chests), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2 * len(chests), 2 * len(chests))
    assert seen == sorted(seen)
