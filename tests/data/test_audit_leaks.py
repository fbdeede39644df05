"""What is in a dataset twice, and what a split puts on both sides, on small tables."""

import numpy as np
import pandas as pd
import pytest

from covidcore.data.audit_leaks import (
    SplitSettings,
    label_conflicts,
    leaks,
    picture_ids,
    repeated,
)
from covidcore.data.duplicates import near_duplicate_groups, thumbnail
from covidcore.data.hashes import dhash
from covidcore.errors import RecipeError
from covidcore.storage import sha256_bytes
from tests.pictures import picture


@pytest.fixture
def index() -> pd.DataFrame:
    """Files 0 to 9; 2 is 0 again, 3 nearly 0, 5 is 4 mirrored, 7 is 6 again; the rest are alone."""
    images = [picture(seed) for seed in range(10)]
    images[2], images[7] = images[0], images[6]
    images[3] = images[0] // 2 + 40
    images[5] = np.ascontiguousarray(images[4][:, ::-1])
    return pd.DataFrame(
        {
            "file": [f"{at}.png" for at in range(10)],
            "label": ["a", "a", "a", "a", "b", "a", "b", "b", "b", "b"],
            "group": ["", "p", "", "", "q", "q", "", "", "p", ""],
            "pixel_sha256": [sha256_bytes(image.tobytes()) for image in images],
            "dhash": [f"{dhash(image):016x}" for image in images],
            "thumbnail": [thumbnail(image) for image in images],
        }
    )


def test_groups_hold_what_belongs_together(index: pd.DataFrame) -> None:
    found = repeated(index)
    assert found["exact_duplicates"] == [["0.png", "2.png"], ["6.png", "7.png"]]
    assert found["near_duplicates"] == [["0.png", "3.png"], ["4.png", "5.png"]]
    near, mirrored = found["near_pairs"]
    assert (near["first"], near["second"], near["mirrored"]) == ("0.png", "3.png", False)
    assert (mirrored["first"], mirrored["second"], mirrored["mirrored"]) == ("4.png", "5.png", True)
    assert mirrored["correlation"] == 1


def test_pictures_are_the_groups_that_a_split_keeps_together(index: pd.DataFrame) -> None:
    pictures = picture_ids(index, repeated(index)["near_pairs"])
    expected = near_duplicate_groups(index)
    assert len(set(zip(pictures, expected, strict=True))) == len(set(expected)) == 6
    assert len({*pictures[[0, 2, 3]]}) == 1


def test_a_dataset_without_copies(index: pd.DataFrame) -> None:
    alone = index.loc[[0, 1, 8, 9]]
    found = repeated(alone)
    assert found == {"exact_duplicates": [], "near_duplicates": [], "near_pairs": []}
    assert len(set(picture_ids(alone, []))) == 4


def test_pictures_under_two_labels(index: pd.DataFrame) -> None:
    pictures = picture_ids(index, repeated(index)["near_pairs"])
    assert label_conflicts(index, pictures) == [["4.png", "5.png"]]
    assert label_conflicts(index.assign(label="a"), pictures) == []


def test_leaks_are_counted_by_kind_and_each_test_image_once(index: pd.DataFrame) -> None:
    pictures = picture_ids(index, repeated(index)["near_pairs"])
    # Test: 0 (3 in training is near; 2, its copy, is in validation), 4 (near 5, and its patient),
    # 7 (copy of 6), 8 (patient of 1), 9 (alone).
    sets = ["test", "train", "val", "train", "test", "train", "train", "test", "test", "test"]
    dealt = pd.DataFrame({"file": index["file"], "split": sets})
    assert leaks(index, dealt, pictures) == {
        "test": 5,
        "exact": 1,
        "near": 2,
        "patient": 2,
        "any": 4,
    }
    # Unknown patients are not one patient, and images that take no part do not leak.
    only = dealt[~dealt["file"].isin(["1.png", "3.png", "5.png", "6.png"])]
    only = pd.concat([only, pd.DataFrame({"file": ["3.png"], "split": ["val"]})])
    assert leaks(index, only, pictures) == {
        "test": 5,
        "exact": 0,
        "near": 0,
        "patient": 0,
        "any": 0,
    }


def test_settings_have_one_key_a_split() -> None:
    assert SplitSettings().key() == SplitSettings("70.0/10/20").key()
    assert (
        SplitSettings(exclude_sources=("a", "b")).key()
        == SplitSettings(exclude_sources=("b", "a", "a")).key()
    )
    others = [
        SplitSettings("80/10/10"),
        SplitSettings(seed=1),
        SplitSettings(group_by="both"),
        SplitSettings(exclude_sources=("a",)),
    ]
    assert len({one.key() for one in [SplitSettings(), *others]}) == 5


@pytest.mark.parametrize("wrong", [{"split": "70/30"}, {"group_by": "hospital"}])
def test_settings_that_are_none_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(RecipeError):
        SplitSettings(**wrong)
