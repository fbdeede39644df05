"""The pixel array: what is in it, when it is made, and what a broken one leads to."""

import threading
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from covidcore.data.decode import decode
from covidcore.data.index import Dataset, dataset_folder, scan
from covidcore.data.pixels import is_stored, pixel_array, resize, squares
from covidcore.errors import DataError
from tests.conftest import MakeDataset
from tests.hostile import saved
from tests.pictures import picture

# A scan leaves an array of its own size behind; of the one that is asked for here, nothing.
LEFT = {"dataset.json", "index.parquet", "pixels-32.lock", "pixels-224.lock", "pixels-224.npy"}


@pytest.fixture
def dataset(make_dataset: MakeDataset, home: Path) -> Dataset:
    folder = make_dataset()
    (folder / "a/wide.png").write_bytes(saved(picture(50, 40, 90)))
    (folder / "b/colour.jpg").write_bytes(
        saved(Image.fromarray(picture(51, 70)).convert("RGB"), "JPEG")
    )
    return scan(folder, home)


def kept(dataset: Dataset, home: Path) -> Path:
    return dataset_folder(home, dataset.fingerprint)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("size", [32, 48])
def test_each_row_is_its_image_decoded_and_resized(size: int, dataset: Dataset, home: Path) -> None:
    array = pixel_array(dataset, size, home)
    assert array.shape == (10, size, size)
    assert array.dtype == np.uint8
    for row, file in zip(array, dataset.index["file"], strict=True):
        np.testing.assert_array_equal(row, resize(decode(dataset.root / file).pixels, size))


def test_it_can_not_be_written_to(dataset: Dataset, home: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        pixel_array(dataset, 32, home)[0, 0, 0] = 1


def test_numpy_reads_it_too(dataset: Dataset, home: Path) -> None:
    array = pixel_array(dataset, 32, home)
    np.testing.assert_array_equal(np.load(kept(dataset, home) / "pixels-32.npy"), array)


def test_it_is_made_once(dataset: Dataset, home: Path) -> None:
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    first = pixel_array(dataset, 32, home, progress)
    assert calls == [(done, 10) for done in range(1, 11)]
    path = kept(dataset, home) / "pixels-32.npy"
    made = path.stat().st_mtime_ns
    second = pixel_array(dataset, 32, home, progress)
    assert len(calls) == 10
    assert path.stat().st_mtime_ns == made
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("damage", ["empty", "short", "long", "header", "other size", "text"])
def test_a_damaged_file_is_made_again(damage: str, dataset: Dataset, home: Path) -> None:
    whole = np.array(pixel_array(dataset, 32, home))
    path = kept(dataset, home) / "pixels-32.npy"
    data = path.read_bytes()
    broken = {
        "empty": b"",
        "short": data[:-1],
        "long": data + b"x",
        "header": data.replace(b"'shape': (10,", b"'shape': ((((", 1),
        "other size": data.replace(b"(10, 32, 32)", b"(10, 64, 16)", 1),
        "text": b"x" * len(data),
    }[damage]
    path.write_bytes(broken)
    np.testing.assert_array_equal(pixel_array(dataset, 32, home), whole)
    assert path.read_bytes() == data


def test_an_image_that_changed_since_the_scan(dataset: Dataset, home: Path) -> None:
    (dataset.root / "b/b-2.png").write_bytes(saved(picture(99)))
    with pytest.raises(DataError, match=r"^b/b-2\.png has changed since the dataset was scanned"):
        pixel_array(dataset, 32, home)
    assert names(kept(dataset, home)) <= LEFT
    array = pixel_array(scan(dataset.root, home), 32, home)
    assert len(array) == 10


def test_an_image_that_is_gone_since_the_scan(dataset: Dataset, home: Path) -> None:
    (dataset.root / "a/a-1.png").unlink()
    with pytest.raises(DataError, match=r"^a/a-1\.png can not be read any more \(No such file"):
        pixel_array(dataset, 32, home)
    assert names(kept(dataset, home)) <= LEFT


def test_an_image_that_can_not_be_read_any_more(dataset: Dataset, home: Path) -> None:
    (dataset.root / "a/a-1.png").unlink()
    (dataset.root / "a/a-1.png").symlink_to("a-1.png")
    with pytest.raises(DataError, match=r"^a/a-1\.png can not be read any more \(Too many levels"):
        pixel_array(dataset, 32, home)
    assert names(kept(dataset, home)) <= LEFT


def test_an_interrupt_leaves_nothing(dataset: Dataset, home: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pixel_array(dataset, 32, home, stop)
    assert names(kept(dataset, home)) <= LEFT
    assert len(pixel_array(dataset, 32, home)) == 10


def test_what_a_killed_process_was_making_goes_with_the_next_scan(
    dataset: Dataset, home: Path
) -> None:
    """The scan itself makes none any more: it would have to decode."""
    (kept(dataset, home) / "pixels-224.npy").unlink()
    left = kept(dataset, home) / ".pixels-224.npy-0123456789ab"
    left.touch()
    with FileLock(left.with_name("pixels-224.lock")):
        scan(dataset.root, home)
        assert left.exists()  # somebody is making it
    scan(dataset.root, home)
    assert not left.exists()


def test_many_callers_at_once_make_it_once(dataset: Dataset, home: Path) -> None:
    calls: list[int] = []
    arrays: list[np.ndarray] = []

    def work() -> None:
        arrays.append(pixel_array(dataset, 32, home, lambda done, total: calls.append(done)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(calls) == list(range(1, 11))
    assert all(np.array_equal(array, arrays[0]) for array in arrays)


def test_a_home_that_can_not_be_written_to(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="can not be written to: Not a directory"):
        pixel_array(dataset, 32, tmp_path / "file")


def test_an_array_in_use_outlives_its_replacement(dataset: Dataset, home: Path) -> None:
    """A map over a file that is renamed over keeps the old pages."""
    array = pixel_array(dataset, 32, home)
    before = np.array(array)
    path = kept(dataset, home) / "pixels-32.npy"
    path.unlink()
    pixel_array(dataset, 32, home)
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("shape", [(60, 40), (300, 500), (224, 224), (33, 900)])
def test_resize_is_torchvisions(shape: tuple[int, int]) -> None:
    from torchvision.transforms import InterpolationMode, Resize

    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    theirs = Resize((224, 224), InterpolationMode.BILINEAR, antialias=True)(Image.fromarray(pixels))
    np.testing.assert_array_equal(resize(pixels, 224), np.asarray(theirs))


def test_resize_leaves_what_fits_as_it_is() -> None:
    pixels = picture(1, 64)
    np.testing.assert_array_equal(resize(pixels, 64), pixels)
    np.testing.assert_array_equal(resize(np.full((90, 50), 77, np.uint8), 64), 77)


def test_some_squares_are_had_before_all_are_read_and_are_the_same_after(
    dataset: Dataset, home: Path
) -> None:
    rows = [7, 0, 3]
    before = squares(dataset, rows, 32, home)
    assert not is_stored(dataset, 32, home)
    array = pixel_array(dataset, 32, home)
    for early, late, row in zip(before, squares(dataset, rows, 32, home), rows, strict=True):
        assert early is not None and late is not None
        np.testing.assert_array_equal(early, array[row])
        np.testing.assert_array_equal(late, array[row])


def test_a_square_that_can_not_be_had_leaves_the_others(dataset: Dataset, home: Path) -> None:
    files = dataset.index["file"]
    (dataset.root / files[0]).unlink()
    (dataset.root / files[1]).write_bytes(saved(picture(99)))
    (dataset.root / files[2]).write_bytes(b"no image")
    found = squares(dataset, [0, 1, 2, 3], 32, home)
    assert [one is None for one in found] == [True, True, True, False]
