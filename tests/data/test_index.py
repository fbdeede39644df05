"""Scanning: what is in the index, what is read again, what is kept and found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from covidcore import storage
from covidcore.data.decode import decode
from covidcore.data.duplicates import thumbnail
from covidcore.data.hashes import dhash
from covidcore.data.index import dataset_folder, known, load, scan
from covidcore.errors import DataError
from tests.conftest import ROOT, MakeDataset, run_obedient
from tests.hostile import saved
from tests.pictures import picture

COLUMNS = [
    *("file", "label", "source", "group", "width", "height", "mode", "bytes"),
    *("sha256", "pixel_sha256", "dhash", "thumbnail", "mask", "age", "sex", "view"),
]


class Counter:
    """A progress callback that remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.calls.append((done, total))

    @property
    def read(self) -> int:
        return len(self.calls)


def read_by_scan(folder: Path, home: Path) -> int:
    progress = Counter()
    scan(folder, home, progress)
    assert progress.calls == [(done, progress.read) for done in range(1, progress.read + 1)]
    return progress.read


def scan_cache(home: Path) -> Path:
    (path,) = (home / "scans").glob("*.parquet")
    return path


def reasons(pairs: list[tuple[str, str]]) -> dict[str, str]:
    return dict(pairs)


def test_the_index_of_phantoms(phantoms: Path, home: Path) -> None:
    dataset = scan(phantoms, home)
    assert (dataset.layout, dataset.synthetic, dataset.name) == ("phantoms", True, "small")
    assert dataset.classes == ("COVID-19", "NORMAL", "Viral Pneumonia")
    assert list(dataset.index.columns) == COLUMNS
    table = pd.read_csv(phantoms / "metadata.csv").sort_values("file").reset_index(drop=True)
    for column, given in (("file",) * 2, ("label",) * 2, ("source",) * 2, ("group", "patient_id")):
        assert dataset.index[column].tolist() == table[given].tolist()
    assert dataset.ignored == {"masks": 36, "hidden": 0, "other": 2}
    masks = dataset.index["file"].str.replace("/images/", "/masks/")
    assert dataset.index["mask"].tolist() == masks.tolist()
    assert dataset.unreadable == []


def test_each_row_says_what_the_file_holds(make_dataset: MakeDataset, home: Path) -> None:
    folder = make_dataset()
    (folder / "a/colour.jpg").write_bytes(
        saved(Image.fromarray(picture(1, 40, 60)).convert("RGB"), "JPEG")
    )
    index = scan(folder, home).index
    for row in index.to_dict("records"):
        data = (folder / row["file"]).read_bytes()
        pixels = decode(data).pixels
        assert (row["height"], row["width"]) == pixels.shape
        assert row["bytes"] == len(data)
        assert row["sha256"] == storage.sha256_bytes(data)
        assert row["dhash"] == f"{dhash(pixels):016x}"
        assert row["thumbnail"] == thumbnail(pixels)
        assert (row["source"], row["group"], row["mask"]) == ("", "", "")
    assert index.set_index("file").loc["a/colour.jpg", "mode"] == "RGB"
    assert set(index.loc[index["file"] != "a/colour.jpg", "mode"]) == {"L"}


def test_pixels_are_compared_whatever_file_holds_them(
    make_dataset: MakeDataset, home: Path
) -> None:
    folder = make_dataset()
    (folder / "a/one.png").write_bytes(saved(picture(500), compress_level=1))
    (folder / "b/two.png").write_bytes(saved(picture(500), compress_level=9))
    rows = scan(folder, home).index.set_index("file").loc[["a/one.png", "b/two.png"]]
    assert rows["sha256"].nunique() == 2
    assert rows["pixel_sha256"].nunique() == 1


def test_the_document_of_the_contract(make_dataset: MakeDataset, home: Path) -> None:
    folder = make_dataset({"b": 3, "a": 4}, inner="images", masks=True)
    (folder / "a/images/broken.png").write_bytes(b"")
    (folder / "notes.txt").touch()
    (folder / ".hidden").touch()
    dataset = scan(folder, home)
    document = dataset.to_json()
    assert document.pop("seconds") > 0
    assert document == {
        "fingerprint": dataset.fingerprint,
        "root": str(folder.resolve()),
        "layout": "nested",
        "classes": {"a": 4, "b": 3},
        "images": 7,
        "ignored": {"masks": 7, "hidden": 1, "other": 1},
        "unreadable": [{"file": "a/images/broken.png", "reason": "This file is empty."}],
        "duplicates": {"exact": 0, "near": 0},
    }
    assert ("notes.txt", "not a PNG, JPEG, WebP, BMP, TIFF or DICOM file") in dataset.ignored_files


def test_files_that_can_not_be_read_are_listed_and_passed_over(
    make_dataset: MakeDataset, home: Path
) -> None:
    folder = make_dataset()
    whole = scan(folder, home)
    (folder / "a/empty.png").write_bytes(b"")
    (folder / "a/cut.png").write_bytes(saved(picture(900))[:-300])
    (folder / "b/text.jpg").write_text("not a picture")
    (folder / "b/dot.png").write_bytes(saved(np.zeros((1, 1), np.uint8)))
    (folder / "b/gif.png").write_bytes(saved(picture(901), "GIF"))
    dataset = scan(folder, home)
    assert [file for file, _ in dataset.unreadable] == [
        *("a/cut.png", "a/empty.png", "b/dot.png", "b/gif.png", "b/text.jpg")
    ]
    told = reasons(dataset.unreadable)
    assert told["a/empty.png"] == "This file is empty."
    assert "1 x 1 px; at least 32 x 32" in told["b/dot.png"]
    assert all(told.values())
    pd.testing.assert_frame_equal(dataset.index, whole.index)
    assert dataset.fingerprint == whole.fingerprint
    assert read_by_scan(folder, home) == 0  # neither are the broken ones read again


def test_a_class_of_which_nothing_can_be_read(make_dataset: MakeDataset, home: Path) -> None:
    folder = make_dataset({"a": 2, "b": 2})
    for file in (folder / "b").iterdir():
        file.write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=r"images of class “b” can be read; the first is b/b-1.png"):
        scan(folder, home)
    assert known(home) == []


def test_the_second_scan_reads_nothing(phantoms: Path, home: Path) -> None:
    assert read_by_scan(phantoms, home) == 36
    first = scan(phantoms, home)
    kept = [scan_cache(home), dataset_folder(home, first.fingerprint) / "index.parquet"]
    before = [path.stat().st_mtime_ns for path in kept]
    progress = Counter()
    second = scan(phantoms, home, progress)
    assert progress.read == 0
    assert [path.stat().st_mtime_ns for path in kept] == before
    pd.testing.assert_frame_equal(first.index, second.index)
    assert first.to_json() | {"seconds": 0} == second.to_json() | {"seconds": 0}


def test_only_what_changed_is_read(make_dataset: MakeDataset, home: Path) -> None:
    folder = make_dataset()
    first = scan(folder, home)
    changed = folder / "a/a-2.png"
    changed.write_bytes(saved(picture(700)))
    assert read_by_scan(folder, home) == 1
    second = scan(folder, home)
    differs = first.index["sha256"] != second.index["sha256"]
    assert first.index.loc[differs, "file"].tolist() == ["a/a-2.png"]
    assert second.index.loc[differs, "sha256"].item() == storage.sha256_file(changed)

    (folder / "b/b-1.png").unlink()
    progress = Counter()
    third = scan(folder, home, progress)
    assert progress.read == 0
    assert third.index["file"].tolist() == [f for f in first.index["file"] if f != "b/b-1.png"]

    (folder / "b/b-1.png").write_bytes(saved(picture(701)))
    assert read_by_scan(folder, home) == 1
    assert len({first.fingerprint, second.fingerprint, third.fingerprint}) == 3


def test_a_file_touched_only_is_read_but_nothing_else_changes(
    make_dataset: MakeDataset, home: Path
) -> None:
    folder = make_dataset()
    first = scan(folder, home)
    os.utime(folder / "a/a-1.png", ns=(1, 1))
    progress = Counter()
    second = scan(folder, home, progress)
    assert progress.calls == [(1, 1)]
    assert second.fingerprint == first.fingerprint


def test_the_fingerprint_knows_neither_place_nor_time(
    make_dataset: MakeDataset, tmp_path: Path, home: Path
) -> None:
    folder = make_dataset()
    elsewhere = tmp_path / "else/where"
    shutil.copytree(folder, elsewhere)
    for number, file in enumerate(elsewhere.rglob("*.png")):
        os.utime(file, (number, number))
    first, second = scan(folder, home), scan(elsewhere, home)
    assert first.fingerprint == second.fingerprint
    assert len(first.fingerprint) == 32
    assert load(first.fingerprint, home).root == elsewhere.resolve()


def test_the_fingerprint_changes_with_label_source_patient_and_pixels(
    make_dataset: MakeDataset, home: Path
) -> None:
    folder = make_dataset()
    seen = [scan(folder, home).fingerprint]
    metadata = folder / "metadata.csv"
    metadata.write_text("file,source\na/a-1.png,SIRM\n")
    seen.append(scan(folder, home).fingerprint)
    metadata.write_text("file,source,patient_id\na/a-1.png,SIRM,P1\n")
    seen.append(scan(folder, home).fingerprint)
    (folder / "a/a-1.png").rename(folder / "b/a-1.png")
    seen.append(scan(folder, home).fingerprint)
    (folder / "a/a-2.png").write_bytes(saved(picture(800)))
    seen.append(scan(folder, home).fingerprint)
    assert len(set(seen)) == len(seen)


def test_masks_that_come_later_are_found_by_fingerprint_too(
    make_dataset: MakeDataset, home: Path
) -> None:
    folder = make_dataset({"a": 3, "b": 3}, inner="images")
    first = scan(folder, home)
    (folder / "a/masks").mkdir()
    (folder / "a/masks/a-1.png").write_bytes(saved(picture(1)))
    second = scan(folder, home)
    assert second.fingerprint == first.fingerprint
    pd.testing.assert_frame_equal(load(first.fingerprint, home).index, second.index)
    assert "a/masks/a-1.png" in set(second.index["mask"])


def test_a_spreadsheet_that_can_not_be_read_counts_once(
    make_dataset: MakeDataset, home: Path
) -> None:
    folder = make_dataset()
    (folder / "a.metadata.xlsx").write_bytes(b"PK\3\4 not really")
    (folder / "metadata.csv").write_text("name\nx\n")
    dataset = scan(folder, home)
    assert dataset.ignored["other"] == 2
    assert reasons(dataset.ignored_files) == {
        "a.metadata.xlsx": "not a readable spreadsheet (BadZipFile)",
        "metadata.csv": "it has no column “file”",
    }


def test_names_with_quotes_and_line_breaks_survive_all_of_it(
    make_dataset: MakeDataset, home: Path
) -> None:
    classes = {'"x", y': 2, "肺\nz": 2, "<b>[a](b)": 2}
    folder = make_dataset(classes, name="o'dd [1](2)", pattern="{label} ({number}).png")
    dataset = scan(folder, home)
    found = load(dataset.fingerprint, home)
    assert found.classes == ('"x", y', "<b>[a](b)", "肺\nz")
    pd.testing.assert_frame_equal(found.index, dataset.index)
    assert read_by_scan(folder, home) == 0


def test_load_gives_what_scan_gave(make_dataset: MakeDataset, home: Path) -> None:
    folder = make_dataset({"b": 3, "a": 4}, masks=True)
    (folder / "a/broken.png").write_bytes(b"")
    dataset = scan(folder, home)
    for prefix in (dataset.fingerprint[:4], dataset.fingerprint):
        found = load(prefix, home)
        pd.testing.assert_frame_equal(found.index, dataset.index)
        same = {name: getattr(dataset, name) for name in dataset.__dict__ if name != "index"}
        assert {name: getattr(found, name) for name in same} == same


def test_known_datasets_the_latest_first(make_dataset: MakeDataset, home: Path) -> None:
    assert known(home) == []
    first = scan(make_dataset(name="first"), home)
    second = scan(make_dataset({"x": 3, "y": 5}, name="second"), home)
    infos = known(home)
    assert [info.name for info in infos] == ["second", "first"]
    assert infos[0].fingerprint == second.fingerprint
    assert (infos[0].classes, infos[0].images) == ({"x": 3, "y": 5}, 8)
    scan(first.root, home)
    assert [info.name for info in known(home)] == ["first", "second"]


def test_a_prefix_that_fits_none_or_several(make_dataset: MakeDataset, home: Path) -> None:
    with pytest.raises(DataError, match="No dataset has a fingerprint that begins with “abcd”"):
        load("abcd", home)
    scan(make_dataset(name="one"), home)
    dataset = scan(make_dataset(name="two"), home)
    with pytest.raises(DataError, match="More than one dataset"):
        load("", home)
    shutil.copytree(
        dataset_folder(home, dataset.fingerprint),
        dataset_folder(home, dataset.fingerprint[:-1] + "-"),
    )
    with pytest.raises(DataError, match="More than one dataset"):
        load(dataset.fingerprint[:8], home)


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"name": "x"}', '{"classes": 3}', "null"])
def test_damaged_entries_are_passed_over(
    content: str, make_dataset: MakeDataset, home: Path
) -> None:
    dataset = scan(make_dataset(), home)
    about = dataset_folder(home, "f" * 32) / "dataset.json"
    about.parent.mkdir()
    about.write_text(content)
    (home / "datasets" / "a file").touch()
    assert [info.fingerprint for info in known(home)] == [dataset.fingerprint]
    with pytest.raises(DataError, match="No dataset"):
        load("ffff", home)


def test_an_entry_of_another_version_is_a_clear_error(
    make_dataset: MakeDataset, home: Path
) -> None:
    dataset = scan(make_dataset(), home)
    folder = dataset_folder(home, dataset.fingerprint)
    about = storage.read_json(folder / "dataset.json")
    storage.write_json(folder / "dataset.json", {**about, "news": 1})
    assert load(dataset.fingerprint, home).fingerprint == dataset.fingerprint
    del about["unreadable"]
    storage.write_json(folder / "dataset.json", about)
    with pytest.raises(DataError, match="another version: scan it again"):
        load(dataset.fingerprint, home)
    scan(dataset.root, home)
    assert load(dataset.fingerprint, home).unreadable == []


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_damaged_store_is_made_again(keep: int, make_dataset: MakeDataset, home: Path) -> None:
    folder = make_dataset()
    first = scan(folder, home)
    index = dataset_folder(home, first.fingerprint) / "index.parquet"
    for path in (scan_cache(home), index):
        path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="damaged"):
        load(first.fingerprint, home)
    assert read_by_scan(folder, home) == 8
    pd.testing.assert_frame_equal(load(first.fingerprint, home).index, first.index)
    assert read_by_scan(folder, home) == 0


def test_flipped_bits_in_the_store_are_never_believed(
    make_dataset: MakeDataset, home: Path
) -> None:
    folder = make_dataset({"a": 2, "b": 2})
    first = scan(folder, home)
    path = scan_cache(home)
    data = path.read_bytes()
    for at in np.random.default_rng(0).integers(4, len(data), 15).tolist():
        path.write_bytes(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
        pd.testing.assert_frame_equal(scan(folder, home).index, first.index)


def test_a_scan_that_is_interrupted_leaves_what_it_read(
    make_dataset: MakeDataset, home: Path
) -> None:
    folder = make_dataset()

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(folder, home, stop)
    assert [path.suffix for path in home.rglob("*.*")] == [".parquet"]
    assert known(home) == []
    assert read_by_scan(folder, home) == 5


SCAN_ONCE = """
import sys
from pathlib import Path
from covidcore.data.index import scan
print(scan(Path(sys.argv[1]), Path(sys.argv[2])).unreadable)
"""


def test_a_file_that_was_closed_is_read_when_it_is_open(
    make_dataset: MakeDataset, home: Path
) -> None:
    """That it could not be opened is not kept: to open it changes neither its size nor time."""
    folder = make_dataset()
    (folder / "a/a-1.png").chmod(0o000)
    said = run_obedient([sys.executable, "-c", SCAN_ONCE, str(folder), str(home)])
    assert said == "[('a/a-1.png', 'The file can not be read: Permission denied.')]\n"
    (folder / "a/a-1.png").chmod(0o644)
    assert read_by_scan(folder, home) == 1
    assert scan(folder, home).unreadable == []


def test_a_home_that_can_not_be_written_to(make_dataset: MakeDataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="can not be written to"):
        scan(make_dataset(), tmp_path / "file" / "home")


SCAN = """
import sys
from pathlib import Path
from covidcore.data.index import load, scan
print("ready", flush=True)
sys.stdin.readline()
for _ in range(5):
    dataset = scan(Path(sys.argv[1]), Path(sys.argv[2]))
    assert load(dataset.fingerprint, Path(sys.argv[2])).index.equals(dataset.index)
print(dataset.fingerprint)
"""


def test_two_processes_scan_at_once(make_dataset: MakeDataset, home: Path) -> None:
    folder = make_dataset({"a": 30, "b": 30})
    command = [sys.executable, "-c", SCAN, str(folder), str(home)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    workers = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(2)]
    for worker in workers:
        assert worker.stdout and worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = [worker.communicate(timeout=60) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert {out for out, _ in said} == {scan(folder, home).fingerprint + "\n"}


@pytest.mark.real
def test_the_first_kaggle_release(real_data: Path, home: Path) -> None:
    folder = real_data
    dataset = scan(folder, home)
    document = dataset.to_json()
    assert document["layout"] == "v1"
    assert document["images"] == 2905
    assert document["classes"] == {"COVID-19": 219, "NORMAL": 1341, "Viral Pneumonia": 1345}
    assert document["duplicates"]["exact"] == 6
    assert document["unreadable"] == []
    progress = Counter()
    again = scan(folder, home, progress)
    assert progress.read == 0
    assert again.seconds < 1
    pd.testing.assert_frame_equal(again.index, dataset.index)
    table = pd.read_csv(folder / "metadata.csv", dtype=str, keep_default_na=False)
    given = table.set_index("file").loc[dataset.index["file"]]
    assert given["source"].tolist() == dataset.index["source"].tolist()
    assert given["patient_id"].tolist() == dataset.index["group"].tolist()


def test_an_index_from_before_ages_were_kept_is_opened(
    make_dataset: MakeDataset, home: Path
) -> None:
    dataset = scan(make_dataset(), home)
    path = dataset_folder(home, dataset.fingerprint) / "index.parquet"
    storage.write_table(path, dataset.index.drop(columns=["age", "sex", "view"]))
    pd.testing.assert_frame_equal(load(dataset.fingerprint, home).index, dataset.index)
