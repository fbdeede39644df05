"""Two pictures are near duplicates or not, whatever else they are compared with, in any order."""

from itertools import combinations

import numpy as np
import pytest

from covidcore.data import comparing
from covidcore.data.comparing import CORRELATION, HASH_DISTANCE, NearPairs, compare
from covidcore.data.hashes import dhash
from tests.pictures import at_the_bound, picture


def compared(levels: list[np.ndarray], new: np.ndarray | None = None) -> NearPairs:
    stack = np.stack(levels)
    hashes = np.array([dhash(level) for level in levels], np.uint64)
    return compare(stack, hashes, np.ones(len(stack), bool) if new is None else new, None)


def pairs(found: NearPairs) -> list[tuple[int, int, bool]]:
    ends = (part.tolist() for part in found[:3])
    return list(zip(*ends, strict=True))


def test_a_correlation_of_exactly_the_bound_is_near_in_any_company(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sums in float32 would lie on either side of 0.985, by the shape of the product."""
    one, at, below = at_the_bound(3), at_the_bound(3, moved=3), at_the_bound(3, moved=4)
    np.testing.assert_allclose(np.corrcoef(one.ravel(), at.ravel())[0, 1], 0.985, rtol=1e-12)
    np.testing.assert_allclose(np.corrcoef(one.ravel(), below.ravel())[0, 1], 0.98, rtol=1e-12)
    for company in (0, 1, 2, 5, 16, 33):
        others = [picture(100 + seed, 16) for seed in range(company)]
        for block in (1, 3, 1 << 22):
            monkeypatch.setattr(comparing, "_BLOCK", block)
            found = compared([one, *others, at, below])
            assert pairs(found.chosen(found.first == 0)) == [(0, company + 1, False)]
            assert found.correlation[found.first == 0].tolist() == [np.float32(CORRELATION)]
            found = compared([one, *others, at[:, ::-1], below[:, ::-1]])
            assert pairs(found.chosen(found.first == 0)) == [(0, company + 1, True)]


def test_which_of_the_two_is_mirrored_does_not_matter() -> None:
    """Where neighbours are of one grey the hash of a mirror image is not the hash mirrored."""
    flat = picture(5, 16).copy()
    flat[:6] = 120
    sloping = flat[:, ::-1].copy()
    sloping[:6] = np.linspace(116, 124, 16).astype(np.uint8)
    there = (dhash(flat[:, ::-1]) ^ dhash(sloping)).bit_count()
    back = (dhash(flat) ^ dhash(sloping[:, ::-1])).bit_count()
    assert min(there, back) <= HASH_DISTANCE < max(there, back)
    assert pairs(compared([flat, sloping])) == pairs(compared([sloping, flat])) == [(0, 1, True)]


def test_pairs_of_new_rows_are_those_and_no_others() -> None:
    levels = [at_the_bound(1), at_the_bound(1, moved=1), at_the_bound(1, moved=2), picture(1, 16)]
    levels += [level[:, ::-1] for level in levels[:2]]
    whole = compared(levels)
    assert len(whole.first) == 10  # five that are alike, some mirrored
    for count in range(len(levels) + 1):
        for rows in combinations(range(len(levels)), count):
            new = np.isin(np.arange(len(levels)), rows)
            wanted = whole.chosen(new[whole.first] | new[whole.second])
            for part, expected in zip(compared(levels, new), wanted, strict=True):
                np.testing.assert_array_equal(part, expected)


def test_pictures_of_one_grey_are_near_nothing() -> None:
    assert pairs(compared([np.full((16, 16), 9, np.uint8)] * 3)) == []
