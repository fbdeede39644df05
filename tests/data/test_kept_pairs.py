"""Pairs on disk: what is found with them is what is found without, and less is compared."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covidcore.data import comparing, duplicates, kept_pairs
from covidcore.data.audit import audit
from covidcore.data.audit_leaks import SplitSettings, deal
from covidcore.data.comparing import NearPairs
from covidcore.data.duplicates import near_duplicate_pairs, thumbnails
from covidcore.data.index import load, scan
from covidcore.data.phantoms import PhantomSpec, write
from tests.data.test_duplicates import index_of, jpeg
from tests.pictures import at_the_bound, picture

Asked = list[int]


def pool() -> list[np.ndarray]:
    """Pictures, copies that are near and just not, mirrored ones, and one that is its own."""
    found: list[np.ndarray] = []
    for seed in (1, 2):
        found += [at_the_bound(seed, moved) for moved in (0, 1, 3, 4)]
        found += [at_the_bound(seed, moved)[:, ::-1] for moved in (0, 3)]
        image = picture(seed)
        found += [image, jpeg(image, 60), jpeg(image[:, ::-1], 60), image // 2 + 40]
    half = picture(3, 48, 24)
    return [*found, np.hstack([half, half[:, ::-1]]), np.full((16, 16), 70, np.uint8)]


POOL = index_of(*pool())
rows = st.one_of(
    st.lists(st.integers(0, len(POOL) - 1), max_size=30),
    st.permutations(range(len(POOL))).flatmap(
        lambda order: st.integers(0, len(POOL)).map(lambda count: order[:count])
    ),
)


def whole(index: pd.DataFrame) -> NearPairs:
    """All rows compared with all, copies of a picture as well."""
    hashes = np.array([int(value, 16) for value in index["dhash"]], np.uint64)
    return comparing.compare(thumbnails(index), hashes, np.ones(len(index), bool), None)


def found(index: pd.DataFrame, kept: Path | None) -> NearPairs:
    """As a process would find them that has not asked before."""
    duplicates._compared.clear()
    return near_duplicate_pairs(index, kept=kept)


def assert_same(one: NearPairs, two: NearPairs) -> None:
    for part, other in zip(one, two, strict=True):
        assert part.dtype == other.dtype
        np.testing.assert_array_equal(part, other)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """How many pictures were compared with all, each time that any were."""
    counts: Asked = []
    compare = duplicates.compare

    def counted(levels: np.ndarray, hashes: np.ndarray, new: np.ndarray, *rest: None) -> NearPairs:
        counts.append(int(new.sum()))
        return compare(levels, hashes, new, *rest)

    monkeypatch.setattr(duplicates, "compare", counted)
    monkeypatch.setattr(duplicates, "_compared", {})
    return counts


@pytest.fixture
def kept(home: Path) -> Path:
    return home / "datasets" / "one" / "near-pairs.npz"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), rows), min_size=1, max_size=6))
def test_pairs_are_those_of_a_whole_comparison(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[int]]]
) -> None:
    """Images are added, removed, changed, repeated and put in another order, in two datasets."""
    home = tmp_path_factory.mktemp("home")
    for dataset, chosen in steps:
        index = POOL.iloc[chosen].reset_index(drop=True)
        assert_same(found(index, home / dataset / "near-pairs.npz"), whole(index))
        assert_same(found(index, None), whole(index))


def test_rows_that_show_one_picture_are_pairs_unless_it_is_of_one_grey(kept: Path) -> None:
    flat = len(POOL) - 1
    index = POOL.iloc[[0, flat, 0, 1, flat, 4, 0]]
    assert_same(found(index, kept), whole(index))
    assert not np.isin([1, 4], found(index, kept)[:2]).any()


def test_pictures_of_one_look_and_other_hashes_are_others(kept: Path) -> None:
    one, other = POOL[:1], POOL[:1].assign(dhash="f0" * 8)
    found(one, kept)
    index = pd.concat([other, one, POOL[1:3]])
    assert_same(found(index, kept), whole(index))
    assert 0 not in found(index, kept).first


def test_the_pool_has_pairs_of_every_kind() -> None:
    pairs = whole(POOL)
    for turned in (False, True):
        likeness = pairs.correlation[pairs.mirrored == turned]
        assert {np.float32(comparing.CORRELATION), np.float32(1)} < set(likeness)


def test_only_new_pictures_are_compared(asked: Asked, kept: Path) -> None:
    half = len(POOL) // 2
    found(POOL[:half], kept)
    found(POOL[:half].iloc[::-1], kept)
    found(POOL[3:half], kept)
    assert asked == [half]
    found(pd.concat([POOL[2:half], POOL[-1:], POOL[:1], POOL[-1:]]), kept)
    assert asked == [half, 1]
    found(POOL, kept)
    assert asked == [half, 1, len(POOL) - half]  # what is gone from a dataset is forgotten


def test_a_part_of_the_pictures_leaves_the_file_alone(kept: Path) -> None:
    found(POOL, kept)
    before = kept.stat()
    found(POOL[5:9], kept)
    after = kept.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_what_another_dataset_compared_is_taken(asked: Asked, home: Path) -> None:
    def file(name: str) -> Path:
        return home / "datasets" / name / "near-pairs.npz"

    found(POOL[:4], file("few"))
    found(POOL[:10], file("most"))
    found(POOL[10:13], file("others"))
    del asked[:]
    assert_same(found(POOL[:13], file("joined")), whole(POOL[:13]))
    assert asked == [3]
    shutil.rmtree(home / "datasets" / "most")
    found(POOL[:13], file("joined"))
    assert asked == [3]


Damage = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: bytes(len(data)),
        lambda data: b"\x80\x05K\x01.",  # a pickle
    ],
    ids=["empty", "half", "all but a byte", "zeros", "a pickle"],
)
def test_a_damaged_file_is_made_again(asked: Asked, kept: Path, damage: Damage) -> None:
    expected = found(POOL, kept)
    kept.write_bytes(damage(kept.read_bytes()))
    assert_same(found(POOL, kept), expected)
    assert_same(found(POOL, kept), expected)
    assert asked == [len(POOL)] * 2


def test_no_flipped_bit_changes_what_is_found(kept: Path) -> None:
    index = POOL[:8]
    expected = found(index, kept)
    keys, data = kept_pairs.keys(index), kept.read_bytes()
    unnoticed = 0
    places = range(0, len(data), 3)
    for at in places:
        kept.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        read = kept_pairs.known(kept, keys)
        if read.lacks(keys).any():
            assert not read.pictures
        else:
            unnoticed += 1
            assert_same(read.among(keys), expected)
    assert unnoticed < len(places) / 2  # such as times, which nobody reads


@pytest.mark.parametrize("part", ["first", "second"])
@pytest.mark.parametrize("number", [-1, 8])
def test_a_number_that_is_no_pictures_is_not_followed(kept: Path, part: str, number: int) -> None:
    expected = found(POOL[:8], kept)
    with np.load(kept) as stored:
        parts = dict(stored)
    parts[part][0] = number
    np.savez(kept, **parts)
    assert_same(found(POOL[:8], kept), expected)


@pytest.mark.parametrize(
    ("name", "value"), [("CORRELATION", 0.99), ("HASH_DISTANCE", 2), ("VERSION", 99)]
)
def test_another_rule_compares_anew(
    asked: Asked, kept: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    before = found(POOL, kept)
    monkeypatch.setattr(comparing, name, value)
    after = found(POOL, kept)
    assert asked == [len(POOL)] * 2
    assert (len(after.first) < len(before.first)) == (name != "VERSION")


def test_without_room_the_answer_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = tmp_path / "file" / "near-pairs.npz"
    assert_same(found(POOL, nowhere), whole(POOL))


def test_pairs_without_number_are_not_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_pairs, "_MOST", 2)
    found(POOL, kept)
    assert not kept.exists()
    found(POOL[:2], kept)
    assert kept.exists()


def test_two_at_once_read_whole_files(kept: Path) -> None:
    parts = [POOL[:9], POOL[4:], POOL]
    asked = [(kept_pairs.keys(part), whole(part)) for part in parts]

    def work(turn: int) -> None:
        keys, pairs = asked[turn % 3]
        kept_pairs.keep(kept, kept_pairs.Compared(keys, pairs))
        for wanted, expected in asked:
            read = kept_pairs.known(kept, wanted)
            if not read.lacks(wanted).any():
                assert_same(read.among(wanted), expected)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(60)))
    assert [file.name for file in kept.parent.iterdir()] == [kept.name]


def test_one_changed_image_is_compared_and_no_other(
    asked: Asked, tmp_path: Path, home: Path
) -> None:
    """A scan, an audit and the splits that pages deal, each as a process of its own would."""
    spec = PhantomSpec(images=40, size=64, duplicates=2, near_duplicates=5)
    folder = write(spec, tmp_path / "set")
    first = scan(folder, home)
    pictures = first.index["pixel_sha256"].nunique()
    assert asked == [pictures]
    files = sorted(folder.glob("*/images/*.png"))
    shutil.copyfile(files[0], files[-1])  # now one picture is there twice, and one is gone
    scan(folder, home)
    assert len(asked) == 1
    files[0].write_bytes(write_other(tmp_path))
    duplicates._compared.clear()
    second = scan(folder, home)
    assert asked == [pictures, 1]
    for dataset in (load(first.fingerprint, home), load(second.fingerprint, home)):
        duplicates._compared.clear()
        deal(dataset, SplitSettings(group_by="both"))
    duplicates._compared.clear()
    audit(load(second.fingerprint, home), home)
    assert asked == [pictures, 1]


def write_other(place: Path) -> bytes:
    """A phantom that is in no other dataset."""
    folder = write(PhantomSpec(images=9, size=64, seed=77), place / "other")
    return sorted(folder.glob("*/images/*.png"))[0].read_bytes()
