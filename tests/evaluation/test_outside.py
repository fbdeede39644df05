"""A run elsewhere: which images are set aside, which classes are which, how large the drop is."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from covidcore.data.index import scan
from covidcore.errors import DataError
from covidcore.evaluation.outside import (
    check_mapping,
    count_aside,
    drop,
    overlaps,
    suggested_mapping,
)
from covidcore.proportions import newcombe, wilson
from tests.pictures import picture

OURS = ("COVID-19", "NORMAL")


def folder(path: Path, pictures: dict[str, np.ndarray], home: Path) -> pd.DataFrame:
    """The index of a dataset with these pictures in class a, and two others."""
    for name in ("a", "b"):
        (path / name).mkdir(parents=True)
    for name, pixels in {**pictures, "b/x": picture(900), "b/y": picture(901)}.items():
        Image.fromarray(pixels).save(path / f"{name if '/' in name else f'a/{name}'}.png")
    index = scan(path, home).index
    return index[index["label"] == "a"].reset_index(drop=True)


def test_copies_are_found_however_they_are_stored(tmp_path: Path, home: Path) -> None:
    own = {f"own{seed}": picture(seed, 96) for seed in range(6)}
    known = folder(tmp_path / "own", own, home)
    known["split"] = ["train", "train", "train", "val", "val", "test"]
    darker = (own["own1"] * 0.9).astype(np.uint8)
    smaller = np.asarray(Image.fromarray(own["own3"]).resize((80, 80), Image.Resampling.BILINEAR))
    rows = folder(
        tmp_path / "other",
        {
            "same": own["own0"],
            "darker": darker,
            "smaller": smaller,
            "mirrored": np.ascontiguousarray(own["own2"][:, ::-1]),
            "tested": own["own5"],
            "new": picture(77, 96),
        },
        home,
    )
    found = overlaps(rows, known).set_index("file")
    assert dict(found["kind"]) == {
        "a/same.png": "exact",
        "a/darker.png": "near",
        "a/smaller.png": "near",
        "a/mirrored.png": "near",
        "a/tested.png": "exact",
    }
    assert found.loc["a/same.png", "like"] == "a/own0.png"
    assert found.loc["a/smaller.png", ["like", "split"]].tolist() == ["a/own3.png", "val"]
    counted = count_aside(overlaps(rows, known))
    assert {name: counted[name] for name in ("images", "exact", "near")} == {
        "images": 5, "exact": 2, "near": 3,
    }  # fmt: skip
    assert (counted["training"], counted["validation"], counted["test"]) == (3, 1, 1)
    assert len(counted["files"]) == 5


def test_what_trained_is_named_before_what_validated(tmp_path: Path, home: Path) -> None:
    known = folder(tmp_path / "own", {"one": picture(1), "two": picture(1)}, home)
    known["split"] = ["val", "train"]
    found = overlaps(known.drop(columns="split"), known)
    assert found["like"].tolist() == ["a/two.png"] * 2
    assert found["split"].tolist() == ["train"] * 2


def test_nothing_in_common_and_nothing_at_all(tmp_path: Path, home: Path) -> None:
    known = folder(tmp_path / "own", {"one": picture(1)}, home).assign(split="train")
    rows = folder(tmp_path / "other", {"two": picture(2)}, home)
    assert overlaps(rows, known).empty
    assert overlaps(rows[:0], known).empty
    assert count_aside(overlaps(rows, known))["images"] == 0


def test_classes_of_the_same_name_are_suggested() -> None:
    assert suggested_mapping(("Normal", "covid-19", "Pneumonia"), OURS) == {
        "Normal": "NORMAL", "covid-19": "COVID-19",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ({}, "No class of the dataset (COVID, Normal) has the name of one that the run answers"),
        ({"normal": "NORMAL"}, "The dataset has no class “normal” to map; it has COVID, Normal."),
        ({"Normal": "Healthy"}, "The run answers no class “Healthy”; it answers COVID-19, NORMAL."),
    ],
)
def test_a_mapping_that_does_not_fit_is_told(mapping: dict[str, str], sentence: str) -> None:
    with pytest.raises(DataError) as error:
        check_mapping(mapping, ("COVID", "Normal"), OURS)
    assert str(error.value).startswith(sentence)
    assert str(error.value).endswith(".")


def test_a_mapping_that_fits_is_quiet() -> None:
    check_mapping({"Normal": "NORMAL", "COVID": "NORMAL"}, ("COVID", "Normal", "X"), OURS)


def document(confusion: list[list[int]]) -> dict[str, object]:
    return {"classes": list("abc"), "confusion": confusion}


def test_the_drop_is_inside_less_outside_with_newcombe_s_interval() -> None:
    inside = document([[40, 4, 0], [0, 260, 8], [2, 10, 257]])
    outside = document([[0, 0, 0], [80, 20, 0], [1, 0, 9]])
    found = drop(inside, outside)
    accuracy = found["accuracy"]
    assert accuracy["inside"] == 557 / 581
    assert accuracy["outside"] == 29 / 110
    assert accuracy["difference"] == pytest.approx(557 / 581 - 29 / 110)
    assert accuracy["ci"] == list(newcombe(557, 581, 29, 110))
    assert (accuracy["inside_n"], accuracy["outside_n"]) == (581, 110)
    assert list(found["per_class"]) == ["b", "c"]  # no image of a is there
    assert found["per_class"]["b"]["inside_ci"] == list(wilson(260, 268))
    assert found["per_class"]["b"]["difference"] == pytest.approx(260 / 268 - 0.2)
    mean = found["mean_recall"]
    assert mean["inside"] == pytest.approx((260 / 268 + 257 / 269) / 2)
    assert mean["outside"] == pytest.approx((0.2 + 0.9) / 2)
    low, high = mean["ci"]
    assert low < mean["difference"] < high
    assert mean["inside_n"] == 268 + 269


def test_of_one_class_the_mean_is_its_recall() -> None:
    found = drop(
        document([[8, 2, 0], [1, 9, 0], [0, 0, 5]]), document([[3, 7, 0], [0] * 3, [0] * 3])
    )
    assert found["mean_recall"]["ci"] == pytest.approx(found["per_class"]["a"]["ci"])


def test_a_class_without_test_images_has_no_drop() -> None:
    found = drop(
        document([[0, 0, 0], [1, 9, 0], [0, 0, 5]]), document([[3, 7, 0], [0] * 3, [0] * 3])
    )
    assert math.isnan(found["per_class"]["a"]["difference"])
    assert math.isnan(found["mean_recall"]["difference"])
