"""No image is decoded twice: what a scan has decoded is kept, and datasets share it."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from covidcore import storage
from covidcore.data import facts, pixels
from covidcore.data.index import dataset_folder, scan
from covidcore.data.pixels import is_stored, pixel_array, resize
from covidcore.data.squares import SIZE, pieces
from covidcore.errors import DataError, Stopped
from tests.conftest import MakeDataset
from tests.hostile import saved
from tests.pictures import picture


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded, by a scan or for a pixel array."""
    seen: list[str] = []
    read, decode = facts._read, pixels.decode

    def reading(path: Path, keep: bool) -> tuple[object, ...]:
        seen.append(path.name)
        return read(path, keep)

    def decoding(data: bytes) -> object:
        seen.append("for the array")
        return decode(data)

    monkeypatch.setattr(facts, "_read", reading)
    monkeypatch.setattr(pixels, "decode", decoding)
    return seen


def expected(root: Path, files: list[str]) -> np.ndarray:
    from covidcore.data.decode import decode

    return np.stack([resize(decode(root / file).pixels, SIZE) for file in files])


def test_a_scan_leaves_the_array_behind(
    make_dataset: MakeDataset, home: Path, decoded: list[str]
) -> None:
    root = make_dataset({"a": 5, "b": 4})
    (root / "a" / "broken.png").write_bytes(b"no image")
    shutil.copy(root / "a" / "a-1.png", root / "a" / "again.png")
    dataset = scan(root, home)
    assert len(decoded) == 11 and is_stored(dataset, SIZE, home)
    array = pixel_array(dataset, SIZE, home)
    np.testing.assert_array_equal(array, expected(root, list(dataset.index["file"])))
    assert "for the array" not in decoded
    assert [path.name for path in (home / "scans").iterdir() if path.suffix != ".parquet"] == []


def test_a_changed_file_costs_one_file(
    make_dataset: MakeDataset, home: Path, decoded: list[str]
) -> None:
    root = make_dataset({"a": 5, "b": 4})
    before = scan(root, home)
    decoded.clear()
    (root / "b" / "b-2.png").write_bytes(saved(picture(900)))
    (root / "b" / "b-5.png").write_bytes(saved(picture(901)))
    after = scan(root, home)
    assert before.fingerprint != after.fingerprint
    assert sorted(decoded) == ["b-2.png", "b-5.png"]
    assert is_stored(after, SIZE, home)
    found = pixel_array(after, SIZE, home)
    np.testing.assert_array_equal(found, expected(root, list(after.index["file"])))
    assert sorted(decoded) == ["b-2.png", "b-5.png"]


def test_another_size_takes_its_squares_from_other_datasets_too(
    make_dataset: MakeDataset, home: Path, decoded: list[str]
) -> None:
    root = make_dataset({"a": 4, "b": 4})
    pixel_array(scan(root, home), 32, home)
    (root / "a" / "a-1.png").unlink()
    rest = scan(root, home)
    decoded.clear()
    array = pixel_array(rest, 32, home)
    assert decoded == [] and array.shape == (7, 32, 32)
    shutil.rmtree(home / "datasets")
    rest = scan(root, home)
    np.testing.assert_array_equal(pixel_array(rest, 32, home), array)
    assert decoded.count("for the array") == 7  # nothing was read anew; nobody had the squares


def test_a_damaged_array_gives_no_squares(make_dataset: MakeDataset, home: Path) -> None:
    root = make_dataset({"a": 4, "b": 4})
    first = scan(root, home)
    path = pixels.array_file(dataset_folder(home, first.fingerprint), SIZE)
    path.write_bytes(path.read_bytes()[:-1])
    (root / "a" / "a-1.png").unlink()
    rest = scan(root, home)
    assert not is_stored(rest, SIZE, home)
    found = pixel_array(rest, SIZE, home)
    np.testing.assert_array_equal(found, expected(root, list(rest.index["file"])))


def test_a_disk_without_room_costs_only_time(
    make_dataset: MakeDataset, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    root = make_dataset({"a": 3, "b": 3})
    with monkeypatch.context() as patched:
        patched.setattr(storage, "reserve", full)
        dataset = scan(root, home)
    assert not is_stored(dataset, SIZE, home)
    assert pixel_array(dataset, SIZE, home).shape == (6, SIZE, SIZE)


def test_a_scan_that_was_stopped_goes_on(
    make_dataset: MakeDataset, home: Path, decoded: list[str]
) -> None:
    root = make_dataset({"a": 9, "b": 9})

    def stop(done: int, total: int) -> None:
        assert total == 18
        if done == 7:
            raise Stopped("enough")

    with pytest.raises(Stopped):
        scan(root, home, stop)
    decoded.clear()
    seen: list[tuple[int, int]] = []
    dataset = scan(root, home, lambda done, total: seen.append((done, total)))
    assert len(dataset.index) == 18
    assert len(decoded) == 11 and seen == [(done, 11) for done in range(1, 12)]
    assert pixel_array(dataset, SIZE, home).shape == (18, SIZE, SIZE)
    with pytest.raises(DataError):
        (root / "a").rename(root / "c")
        shutil.rmtree(root / "b")
        scan(root, home)


def test_pieces_of_a_map_are_its_rows(make_dataset: MakeDataset, home: Path) -> None:
    array = pixel_array(scan(make_dataset({"a": 5, "b": 4}), home), SIZE, home)
    found = list(pieces(array, 4))
    assert [len(piece) for piece in found] == [4, 4, 1]
    np.testing.assert_array_equal(np.concatenate(found), array)
    in_memory = np.asarray(array).copy()
    np.testing.assert_array_equal(np.concatenate(list(pieces(in_memory, 2))), array)
