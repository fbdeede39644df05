"""Filters keep what they say, in any combination; copies are numbered and stand side by side."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from covidcore.data.gallery import (
    COPIES,
    Copies,
    Wanted,
    beside,
    choose,
    copies,
    examples,
    page_of,
    sets_of,
)
from covidcore.errors import DataError

SPLITS = ("train", "val", "test", "")

images = some.fixed_dictionaries(
    {
        "label": some.sampled_from("ab"),
        "source": some.sampled_from(["", "s", "t"]),
        "mode": some.sampled_from(["L", "RGB"]),
        "width": some.integers(32, 36),
        "height": some.integers(32, 36),
        "pixel_sha256": some.sampled_from("pqrst"),
        "split": some.sampled_from(SPLITS),
        "blank": some.booleans(),
    }
)
tables = some.lists(images, min_size=1, max_size=12).map(pd.DataFrame)
wishes = some.builds(
    Wanted,
    label=some.sampled_from([None, "a", "b", "gone"]),
    source=some.sampled_from([None, "", "s"]),
    split=some.sampled_from([None, *SPLITS]),
    mode=some.sampled_from([None, "L"]),
    longer=some.none() | some.tuples(some.integers(31, 36), some.integers(31, 36)),
    copies=some.sampled_from([None, *COPIES]),
    group=some.sampled_from([None, 1, 2]),
    finding=some.sampled_from([None, "blank", "unheard of"]),
)


def repeats_of(table: pd.DataFrame, pictures: list[int]) -> Copies:
    return copies(table, np.array(pictures[: len(table)]))


@settings(deadline=None, max_examples=60)
@given(tables, wishes, some.data())
def test_a_filter_keeps_what_it_says_and_nothing_else(
    table: pd.DataFrame, wanted: Wanted, data: some.DataObject
) -> None:
    # Pictures as they can be: what agrees to the pixel is one picture, and others may be near.
    near = {name: data.draw(some.integers(0, 3)) for name in "pqrst"}
    repeats = repeats_of(table, [near[name] for name in table["pixel_sha256"]])
    sets, findings = table["split"].to_numpy(object), {"blank": table["blank"].to_numpy()}
    found = choose(table, wanted, sets, repeats, findings)
    every = table.to_dict("records")

    def fits(row: int) -> bool:
        one = every[row]
        others = [other["pixel_sha256"] for other in every[:row] + every[row + 1 :]]
        mine = one["pixel_sha256"]
        exact = mine in others
        nearly = any(near[other] == near[mine] and other != mine for other in others)
        kinds = {"any": exact or nearly, "exact": exact, "near": nearly}
        longer = max(one["width"], one["height"])
        return all(
            (
                wanted.label in (None, one["label"]),
                wanted.source in (None, one["source"]),
                wanted.split in (None, one["split"]),
                wanted.mode in (None, one["mode"]),
                wanted.longer is None or wanted.longer[0] <= longer <= wanted.longer[1],
                wanted.copies is None or kinds[wanted.copies],
                wanted.group in (None, repeats.group[row]),
                wanted.finding is None or (wanted.finding == "blank" and one["blank"]),
            )
        )

    assert sorted(found) == [row for row in range(len(every)) if fits(row)]
    if wanted.copies or wanted.group:
        assert list(repeats.group[found]) == sorted(repeats.group[found])
    else:
        assert list(found) == sorted(found)


def test_both_ends_of_the_longer_side_are_included() -> None:
    table = pd.DataFrame({"width": [40, 48, 50, 9, 64], "height": [9, 48, 20, 64, 65]})
    assert choose(table, Wanted(longer=(48, 64))).tolist() == [1, 2, 3]


def test_groups_are_numbered_from_one_by_their_first_row() -> None:
    table = pd.DataFrame({"pixel_sha256": list("abcadc")})
    found = copies(table, np.array([9, 4, 7, 9, 4, 7]))
    assert found.group.tolist() == [1, 2, 3, 1, 2, 3]
    assert found.exact.tolist() == [True, False, True, True, False, True]
    assert found.near.tolist() == [False, True, False, False, True, False]
    alone = copies(table, np.arange(6))
    assert not alone.group.any()


def test_what_is_not_known_can_not_be_asked_for() -> None:
    table = pd.DataFrame({"pixel_sha256": ["a"]})
    for wanted in (Wanted(split="test"), Wanted(copies="any"), Wanted(finding="blank")):
        with pytest.raises(DataError, match="it is not known"):
            choose(table, wanted)
    with pytest.raises(DataError, match="“all” is no kind of copies"):
        repeats_of(table, [0]).of_kind("all")


def test_sets_of_images_that_a_split_leaves_out_are_empty() -> None:
    index = pd.DataFrame({"file": ["a", "b", "c"]})
    dealt = pd.DataFrame({"file": ["c", "a"], "split": ["test", "train"]})
    assert sets_of(index, dealt).tolist() == ["train", "", "test"]


@given(some.lists(some.integers(0, 99), unique=True), some.integers(0, 99), some.integers(1, 9))
def test_the_page_of_a_row_shows_it_and_its_neighbours_are_beside_it(
    members: list[int], row: int, per_page: int
) -> None:
    rows = np.array(members, dtype=np.int64)
    page = page_of(rows, row, per_page)
    before, after = beside(rows, row)
    if row in members:
        at = members.index(row)
        assert row in rows[(page - 1) * per_page : page * per_page]
        assert before == (members[at - 1] if at else None)
        assert after == (members[at + 1] if at + 1 < len(members) else None)
    else:
        assert (page, before, after) == (1, None, None)


def test_examples_are_of_every_class_and_spread_over_it() -> None:
    index = pd.DataFrame({"label": ["b"] * 8 + ["a"] * 2 + ["b"] * 2})
    assert examples(index, 3).tolist() == [8, 9, 0, 3, 6]
