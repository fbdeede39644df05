"""Images that weights were trained on are known again by hashes, and strangers are not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covidcore.data import known
from covidcore.data.duplicates import near_duplicate_pairs, thumbnails
from covidcore.data.index import Dataset, scan
from covidcore.data.known import NOTHING, KnownImages, in_words, known_of, like, look_hashes
from covidcore.errors import DataError
from tests.data.test_duplicates import chests, index_of, jpeg, sized  # noqa: F401


@pytest.fixture
def dataset(phantoms: Path, home: Path) -> Dataset:
    return scan(phantoms, home)


def test_a_hash_is_the_comparison_of_neighbours() -> None:
    levels = np.zeros((1, 16, 16), np.uint8)
    levels[0, 0, 1] = 9  # brighter than its left neighbour, and than nothing above it
    levels[0, 15, 0] = 9  # brighter than what is above it
    (bits,) = np.unpackbits(look_hashes(levels), axis=1)
    assert np.flatnonzero(bits).tolist() == [0, 240 + 14 * 16]
    assert look_hashes(levels).shape == (1, known.BITS // 8)


@pytest.mark.parametrize(
    "changed",
    [
        lambda image: image,
        lambda image: jpeg(image, 50),
        lambda image: sized(image, 100),
        lambda image: np.clip(image * 0.7 + 30, 0, 255).astype(np.uint8),
        lambda image: image[:, ::-1],
    ],
    ids=["itself", "JPEG 50", "smaller", "paler", "mirrored"],
)
def test_copies_are_known(
    chests: list[np.ndarray],  # noqa: F811
    changed: Callable[[np.ndarray], np.ndarray],
) -> None:
    memory = known_of(index_of(*chests).assign(file="a chest"))
    copies = index_of(*(np.ascontiguousarray(changed(image)) for image in chests))
    assert like(copies, memory).tolist() == list(range(len(chests)))


def test_strangers_are_not(dataset: Dataset) -> None:
    index = dataset.index.drop_duplicates("pixel_sha256")
    pairs = near_duplicate_pairs(index)
    strangers = np.setdiff1d(np.arange(len(index)), np.concatenate([pairs.first, pairs.second]))
    ours, theirs = index.iloc[strangers[::2]], index.iloc[strangers[1::2]]
    assert len(ours) > 10
    assert (like(ours, known_of(theirs)) == -1).all()


def test_rows_are_answered_in_their_order_across_blocks(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = dataset.index.drop_duplicates("pixel_sha256").reset_index(drop=True)
    memory = known_of(index.iloc[5:])
    whole = like(index, memory)
    assert (whole[5:] == np.arange(len(index) - 5)).all()
    monkeypatch.setattr(known, "_BLOCK", 7)
    assert (like(index, memory) == whole).all()


def test_nothing_is_known_of_nothing(dataset: Dataset) -> None:
    assert (like(dataset.index, NOTHING) == -1).all()
    assert len(like(dataset.index[:0], known_of(dataset.index))) == 0


def test_both_of_two_name_a_hash_once(dataset: Dataset) -> None:
    index = dataset.index.drop_duplicates("pixel_sha256").reset_index(drop=True)
    first, second = known_of(index[:6]), known_of(index[4:9].assign(file="other"))
    both = first | second
    assert both.files == (*first.files, "other", "other", "other")
    assert (both.hashes == look_hashes(thumbnails(index[:9]))).all()
    assert len(first | NOTHING) == len(NOTHING | first) == 6


def test_they_are_kept(dataset: Dataset, tmp_path: Path) -> None:
    memory = known_of(dataset.index)
    stated = known.save(tmp_path, memory)
    assert stated["images"] == len(dataset.index)
    again = known.load(tmp_path, stated)
    assert again.files == memory.files
    assert (again.hashes == memory.hashes).all()
    assert known.load(tmp_path, None) is NOTHING
    first = (tmp_path / known.FILE).read_bytes()
    known.save(tmp_path, memory)
    assert (tmp_path / known.FILE).read_bytes() == first  # a checkpoint is the same each time


def damage(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("harm", [damage, lambda data: b"", lambda data: data[:50]])
def test_a_damaged_file_is_a_sentence(
    dataset: Dataset, tmp_path: Path, harm: Callable[[bytes], bytes]
) -> None:
    stated = known.save(tmp_path, known_of(dataset.index))
    path = tmp_path / known.FILE
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(DataError, match="missing or damaged"):
        known.load(tmp_path, stated)
    path.unlink()
    with pytest.raises(DataError, match="missing or damaged"):
        known.load(tmp_path, stated)


def test_a_file_of_another_shape_is_damaged(dataset: Dataset, tmp_path: Path) -> None:
    memory = known_of(dataset.index)
    stated = known.save(tmp_path, KnownImages(memory.files[1:], memory.hashes))
    with pytest.raises(DataError, match="missing or damaged"):
        known.load(tmp_path, stated)


def test_the_words() -> None:
    assert in_words(None) == ""
    assert "on none of these" in in_words({"train": 0, "val": 0, "test": 0})
    assert "1,200 of these images. All" in in_words({"train": 1200, "val": 0, "test": 0})
    flatters = in_words({"train": 5, "val": 2, "test": 3})
    assert "10 of these images, 3 of which" in flatters
    assert "flatter" in flatters
