"""Splits: shares, groups, seeds and what is refused."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covidcore.data.duplicates import near_duplicate_groups, thumbnail
from covidcore.data.hashes import dhash
from covidcore.data.split import SPLITS, digest, group_ids, parse_fractions, split, summary
from covidcore.errors import DataError, RecipeError
from covidcore.storage import sha256_bytes
from tests.pictures import picture


def index_of(counts: dict[str, int], group: str = "") -> pd.DataFrame:
    labels = [label for label, count in counts.items() for _ in range(count)]
    files = [f"{label}/{number:05}.png" for number, label in enumerate(labels)]
    return pd.DataFrame({"file": files, "label": labels, "group": group})


def grouped(sizes: dict[str, list[int]]) -> pd.DataFrame:
    """Per class, the numbers of images of its patients."""
    index = index_of({label: sum(counts) for label, counts in sizes.items()})
    index["group"] = [
        f"{label}-{patient}"
        for label, counts in sizes.items()
        for patient, count in enumerate(counts)
        for _ in range(count)
    ]
    return index


def asked(index: pd.DataFrame, fractions: str) -> pd.DataFrame:
    counts = index["label"].value_counts().sort_index()
    shares = np.array(parse_fractions(fractions))
    return pd.DataFrame(np.outer(counts, shares), counts.index, list(SPLITS))


@pytest.mark.parametrize("fractions", ["70/10/20", "80/10/10", "60/20/20", "34/33/33", "98/1/1"])
def test_single_images_are_dealt_to_within_one_of_what_was_asked(fractions: str) -> None:
    counts = {chr(97 + i): n for i, n in enumerate((300, 18, 38, 219, 101, 12, 57))}
    index = index_of(counts)
    table = split(index, fractions, group_by="none")
    expected = asked(index, fractions)
    enough = expected.min(axis=1) >= 1  # else a set gets its one image at another's cost
    assert (summary(table) - expected)[enough].abs().max(axis=None) < 1


def test_the_composition_of_the_write_up() -> None:
    index = index_of({"COVID-19": 219, "NORMAL": 1341, "Viral Pneumonia": 1345})
    assert summary(split(index, "70/10/20", group_by="none")).to_numpy().tolist() == [
        [153, 22, 44],
        [939, 134, 268],
        [941, 135, 269],
    ]


@pytest.mark.parametrize("count", range(3, 10))
def test_every_set_gets_some_of_a_small_class(count: int) -> None:
    index = index_of({"rare": count, "common": 50})
    assert (summary(split(index, "70/10/20", group_by="none")) > 0).all(axis=None)


def test_the_columns_and_their_order() -> None:
    index = index_of({"b": 5, "a": 5}, "P")[["label", "group", "file"]].iloc[::-1]
    index["group"] = index["file"]
    table = split(index, group_by="patient")
    assert list(table.columns) == ["file", "label", "group", "split"]
    pd.testing.assert_frame_equal(table[["label", "group", "file"]], index.reset_index(drop=True))
    assert list(summary(table).columns) == ["train", "val", "test"]
    assert list(summary(table).index) == ["a", "b"]


classes_of_patients = st.lists(
    st.lists(st.integers(1, 9), min_size=3, max_size=30), min_size=2, max_size=5
)
fractions_asked = st.sampled_from(["70/10/20", "80/10/10", "50/25/25", "33.3/33.3/33.4"])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(classes_of_patients, fractions_asked, st.integers(0, 2**32))
def test_whatever_the_patients(sizes: list[list[int]], fractions: str, seed: int) -> None:
    by_class = {chr(97 + number): patients for number, patients in enumerate(sizes)}
    index = grouped(by_class)
    table = split(index, fractions, seed, "patient")
    assert table["file"].tolist() == index["file"].tolist()
    assert set(table["split"]) == set(SPLITS)
    assert (table.groupby("group")["split"].nunique() == 1).all()
    counts = summary(table)
    assert (counts > 0).all(axis=None)
    off = (counts - asked(index, fractions)).abs().max(axis=1)
    for label, patients in by_class.items():
        if len(patients) >= 15:  # few patients can not be divided at will
            assert off[label] <= max(patients)
    pd.testing.assert_frame_equal(table, split(index, fractions, seed, "patient"))


patients_of_several_classes = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 12)), min_size=9, max_size=80
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(patients_of_several_classes)
def test_patients_of_several_classes_stay_whole_or_are_refused(rows: list[tuple[str, int]]) -> None:
    labels, patients = zip(*rows, strict=True)
    files = [f"{number}.png" for number in range(len(rows))]
    index = pd.DataFrame({"file": files, "label": labels, "group": [f"P{p}" for p in patients]})
    try:
        table = split(index, group_by="patient")
    except DataError:
        return
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert (summary(table) > 0).all(axis=None)


def test_images_without_a_patient_are_patients_of_their_own() -> None:
    index = index_of({"a": 10, "b": 10})
    index.loc[:3, "group"] = "P1"
    index.loc[4, "group"] = index.loc[5, "file"]  # a patient named as another's file is not it
    groups = group_ids(index, "patient")
    assert len(set(groups)) == 17
    assert len(set(groups[:4])) == 1
    assert groups[4] != groups[5]


@pytest.mark.parametrize(
    ("fractions", "seed", "expected"),
    [
        ("70/10/20", 0, "50b7e9a858ac2e62f97e1453475b1572"),
        ("60/20/20", 5, "8485f3c08d77aa3384004134461f7a24"),
    ],
)
def test_a_split_is_dealt_as_it_ever_was(fractions: str, seed: int, expected: str) -> None:
    """Runs are known by their splits: to deal in another way would train them all again."""
    names = [f"p{number * number % 97}" if number % 4 else "" for number in range(400)]
    index = pd.DataFrame(
        {
            "file": [f"{number:03}.png" for number in range(400)],
            "label": ["abc"[number % 7 % 3] for number in range(400)],
            "group": names,
        }
    )
    assert digest(split(index, fractions, seed, "patient")) == expected


def test_seeds_and_digests() -> None:
    index = index_of({"a": 40, "b": 60})
    first, same, other = (split(index, seed=seed) for seed in (1, 1, 2))
    assert digest(first) == digest(same)
    assert re.fullmatch("[0-9a-f]{32}", digest(first))
    assert digest(first) != digest(other)
    assert digest(first.sample(frac=1, random_state=0)) == digest(first)
    assert digest(first.assign(label="x", group="y")) == digest(first)
    moved = first.copy()
    moved.loc[7, "split"] = "val" if moved.loc[7, "split"] != "val" else "test"
    assert digest(moved) != digest(first)
    renamed = first.replace({"file": {first.loc[7, "file"]: "a/another.png"}})
    assert digest(renamed) != digest(first)


def test_the_order_of_the_index_is_all_that_a_seed_depends_on() -> None:
    """Not on the classes' names, nor on what pandas sorts by."""
    index = index_of({"a": 30, "b": 30})
    renamed = index.replace({"label": {"a": "x", "b": "y"}})
    assert split(index)["split"].tolist() == split(renamed)["split"].tolist()


def test_planted_duplicates_stay_together() -> None:
    pictures = [picture(seed) for seed in range(60)]
    pictures += [pictures[k] for k in (0, 0, 7)] + [pictures[20] // 2 + 30]
    index = index_of({"a": 30, "b": 34})
    index["pixel_sha256"] = [sha256_bytes(pixels.tobytes()) for pixels in pictures]
    index["dhash"] = [f"{dhash(pixels):016x}" for pixels in pictures]
    index["thumbnail"] = [thumbnail(pixels) for pixels in pictures]
    together = [[0, 60, 61], [7, 62], [20, 63]]
    groups = near_duplicate_groups(index)
    assert len(set(groups)) == 60
    apart = 0
    for seed in range(10):
        dealt = split(index, seed=seed, group_by="near_duplicates")["split"]
        assert all(dealt[rows].nunique() == 1 for rows in together)
        dealt = split(index, seed=seed, group_by="none")["split"]
        apart += any(dealt[rows].nunique() > 1 for rows in together)
    assert apart > 0


def test_both_keeps_patients_and_near_duplicates_together_in_chains() -> None:
    """Patient p has images 0 and 1; 1 is 2 again, which is one of q's; 3 and 4 are alike."""
    pictures = [picture(seed) for seed in range(40)]
    pictures[2], pictures[4] = pictures[1] // 2 + 30, pictures[3]
    index = index_of({"a": 20, "b": 20})
    index.loc[[0, 1], "group"], index.loc[[2, 30], "group"] = "p", "q"
    index["pixel_sha256"] = [sha256_bytes(pixels.tobytes()) for pixels in pictures]
    index["dhash"] = [f"{dhash(pixels):016x}" for pixels in pictures]
    index["thumbnail"] = [thumbnail(pixels) for pixels in pictures]
    groups = group_ids(index, "both")
    assert len(set(groups[[0, 1, 2, 30]])) == 1
    assert groups[3] == groups[4]
    assert len(set(groups)) == 40 - 3 - 1
    for seed in range(5):
        dealt = split(index, seed=seed, group_by="both")["split"]
        assert dealt[[0, 1, 2, 30]].nunique() == dealt[[3, 4]].nunique() == 1


@pytest.mark.parametrize(
    ("sizes", "group_by", "sentence"),
    [
        ({"a": [1, 1], "b": [1] * 9}, "none", "Class “a” has 2 images; .* needs at least 3"),
        ({"a": [9, 9], "b": [1] * 9}, "patient", "Class “a” has 2 patients"),
    ],
)
def test_too_few_groups(sizes: dict[str, list[int]], group_by: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        split(grouped(sizes), group_by=group_by)


def test_a_split_that_can_not_be_is_refused() -> None:
    """Each class has three of four patients: two of them share a set, and so miss one."""
    patients = {"a": "123", "b": "124", "c": "134", "d": "234"}
    index = index_of(dict.fromkeys(patients, 3))
    index["group"] = [patient for row in patients.values() for patient in row]
    with pytest.raises(
        DataError, match=r"images are left for class “.” when images are grouped by"
    ):
        split(index, group_by="patient")


@pytest.mark.parametrize(
    ("text", "fractions"),
    [
        ("70/10/20", (0.7, 0.1, 0.2)),
        (" 70 / 10 / 20 ", (0.7, 0.1, 0.2)),
        ("33.3/33.3/33.3", (1 / 3, 1 / 3, 1 / 3)),
        ("98.5/0.5/1", (0.985, 0.005, 0.01)),
    ],
)
def test_fractions(text: str, fractions: tuple[float, ...]) -> None:
    assert parse_fractions(text) == pytest.approx(fractions)
    assert sum(parse_fractions(text)) == pytest.approx(1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "70", "70/30", "70/10/10/10", "70/10/20/", "a/b/c", "0.7/0.1/0.2", "70/10/10"),
        *("nan/10/20", "nan/nan/nan", "inf/10/20", "-inf/inf/100", "110/-20/10", "100/0/0"),
        *("90/10/0", "70;10;20", "70/10/20\0"),
    ],
)
def test_fractions_that_are_none(text: str) -> None:
    with pytest.raises(RecipeError, match="is not a split: give train/validation/test"):
        parse_fractions(text)


def test_a_grouping_that_there_is_not() -> None:
    with pytest.raises(RecipeError, match="“hospital” is not a way to group: use none, patient"):
        split(index_of({"a": 5, "b": 5}), group_by="hospital")


def test_what_was_seen_trains_and_the_others_fill_validation_and_test() -> None:
    index = index_of({"a": 100, "b": 200})
    seen = index["label"].groupby(index["label"]).cumcount().to_numpy() < 60
    table = split(index, group_by="none", seen=seen)
    assert (table["split"][seen] == "train").all()
    assert summary(table).to_numpy().tolist() == [[70, 10, 20], [140, 20, 40]]


def test_where_little_is_unseen_all_of_it_validates_and_tests() -> None:
    index = index_of({"a": 100, "b": 100})
    seen = np.tile(np.arange(100) < 91, 2)
    counts = summary(split(index, group_by="none", seen=seen))
    assert counts.to_numpy().tolist() == [[91, 3, 6], [91, 3, 6]]


def test_a_group_of_which_one_was_seen_trains_whole() -> None:
    index = grouped({"a": [2] * 20, "b": [3] * 20})
    seen = np.zeros(len(index), dtype=bool)
    seen[[0, 41]] = True  # of patients a-0 and b-0
    table = split(index, seen=seen)
    assert (table["split"][table["group"].isin(["a-0", "b-0"])] == "train").all()
    assert set(table["split"]) == set(SPLITS)


@pytest.mark.parametrize("unseen", [0, 1])
def test_too_little_unseen_is_a_sentence(unseen: int) -> None:
    index = index_of({"a": 50, "b": 50})
    seen = np.arange(100) >= unseen
    with pytest.raises(DataError, match=f"all but {unseen} of the 50 images of class “a”"):
        split(index, group_by="none", seen=seen)


def test_nothing_seen_changes_nothing() -> None:
    index = grouped({"a": [1, 2, 3] * 9, "b": [2] * 12})
    nothing = np.zeros(len(index), dtype=bool)
    assert digest(split(index, seed=3)) == digest(split(index, seed=3, seen=nothing))
