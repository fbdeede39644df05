"""The images most like another: copies as the audit has them, the rest by likeness."""

from pathlib import Path

import numpy as np
import pytest

from covidcore.data.comparing import standardised
from covidcore.data.duplicates import near_duplicate_pairs, thumbnails
from covidcore.data.index import Dataset, scan
from covidcore.data.neighbours import neighbours
from covidcore.data.phantoms import PhantomSpec, write
from tests.data.test_duplicates import index_of
from tests.pictures import picture


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Phantoms with two exact and four near copies."""
    place = tmp_path_factory.mktemp("near")
    spec = PhantomSpec(images=40, size=64, duplicates=2, near_duplicates=4)
    return scan(write(spec, place / "set"), place / "home")


def test_copies_are_those_that_are_found_by_comparing_all_pairs(planted: Dataset) -> None:
    index = planted.index
    distinct = index.drop_duplicates("pixel_sha256").reset_index(drop=True)
    pairs = near_duplicate_pairs(distinct)
    assert len(pairs.first) >= 4
    expected = {frozenset(pair) for pair in zip(pairs.first, pairs.second, strict=True)}
    found = set()
    for row in range(len(distinct)):
        near = neighbours(distinct, row, 3)
        found |= {frozenset((row, other)) for other in near["row"][near["copy"] == "near"]}
    assert found == expected


def test_exact_copies_come_first_then_near_ones_then_the_most_alike(planted: Dataset) -> None:
    index = planted.index
    row = int(np.flatnonzero(index["pixel_sha256"].duplicated())[0])
    found = neighbours(index, row, 6)
    assert found["copy"].iloc[0] == "exact"
    assert found["correlation"].iloc[0] == pytest.approx(1)
    assert found["bits"].iloc[0] == 0
    assert row not in set(found["row"])
    others = found["correlation"][found["copy"] == ""].tolist()
    assert others == sorted(others, reverse=True)
    looks = standardised(thumbnails(index))
    best = np.sort(looks @ looks[row])[::-1]
    assert others[0] >= best[len(found) - len(others) + 1] - 1e-6


def test_a_mirrored_copy_is_found_and_said_to_be_mirrored() -> None:
    original = picture(1, 64)
    index = index_of(original, picture(2, 64), original[:, ::-1].copy(), picture(3, 64))
    found = neighbours(index, 0, 2)
    first = found.iloc[0]
    assert (first["row"], first["copy"], bool(first["mirrored"])) == (2, "near", True)
    assert first["correlation"] > 0.99


def test_every_copy_is_listed_however_few_are_asked_for(tmp_path: Path) -> None:
    original = picture(1, 64)
    index = index_of(*[original] * 5, picture(2, 64))
    found = neighbours(index, 2, 1)
    assert sorted(found["row"]) == [0, 1, 3, 4]
    assert set(found["copy"]) == {"exact"}
    assert not found["mirrored"].any()
    assert neighbours(index[:1], 0, 4).empty
