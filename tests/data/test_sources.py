"""What a person may name as a dataset, and what comes of importing several."""

import os
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.index import scan
from covidcore.data.sources import import_datasets, resolve
from covidcore.errors import DataError
from tests.conftest import MakeDataset
from tests.data.zips import Part, archive, honest, zip_folder


def test_a_folder(make_dataset: MakeDataset, settings: Settings) -> None:
    folder = make_dataset()
    calls: list[tuple[int, int]] = []
    dataset = resolve(str(folder), settings, lambda done, total: calls.append((done, total)))
    assert dataset.root == folder.resolve()
    assert calls[-1] == (8, 8)


def test_a_folder_relative_to_here_or_to_home(
    make_dataset: MakeDataset,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = make_dataset()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("set", settings).root == folder.resolve()
    assert resolve("~/set", settings).root == folder.resolve()


def test_the_start_of_a_fingerprint(make_dataset: MakeDataset, settings: Settings) -> None:
    dataset = scan(make_dataset(), settings.home)
    assert resolve(dataset.fingerprint[:6], settings).fingerprint == dataset.fingerprint
    with pytest.raises(DataError, match="No dataset has a fingerprint that begins with “0000”"):
        resolve("0000", settings)


def test_a_folder_named_like_a_fingerprint_is_a_folder(
    make_dataset: MakeDataset, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_dataset(name="abcdef")
    monkeypatch.chdir(tmp_path)
    assert resolve("abcdef", settings).root == folder.resolve()


def test_phantoms_are_drawn_once(settings: Settings) -> None:
    drawn: list[int] = []
    first = resolve("phantoms:12", settings, lambda done, total: drawn.append(done))
    assert drawn == list(range(1, 13))
    again = resolve("phantoms:12", settings, lambda done, total: drawn.append(done))
    assert len(drawn) == 12
    assert (first.synthetic, first.layout, len(first.index)) == (True, "phantoms", 12)
    assert again.fingerprint == first.fingerprint
    assert first.root.is_relative_to(settings.home.resolve())


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("", "No dataset was named"),
        ("  ", "No dataset was named"),
        ("nowhere", "There is no folder nowhere"),
        ("abc", "There is no folder abc"),
        ("ABCDEF", "There is no folder ABCDEF"),
        ("phantoms:", "There is no folder phantoms:"),
        ("phantoms:many", "There is no folder phantoms:many"),
        ("phantoms:0", "images is 0; it must be a whole number from 9"),
        ("phantoms:8", "images is 8"),
        ("phantoms:999999", "images is 999999"),
        ("~nobody-of-that-name/x", "can not be opened: there is no such user"),
        ("x" * 300, "can not be opened: File name too long"),
        ("a\0b", "There is no folder"),
    ],
)
def test_what_is_no_dataset(
    spec: str,
    sentence: str,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=sentence):
        resolve(spec, settings)


def test_one_folder_as_it_is_stays_where_it_is(
    make_dataset: MakeDataset, settings: Settings
) -> None:
    folder = make_dataset()
    assert import_datasets([str(folder)], settings, {}).root == folder.resolve()
    assert not (settings.home / "imports").exists()


def test_one_folder_to_a_place_of_ones_own(
    make_dataset: MakeDataset, settings: Settings, tmp_path: Path
) -> None:
    folder = make_dataset()
    dataset = import_datasets([str(folder)], settings, {}, tmp_path / "mine")
    assert dataset.root == (tmp_path / "mine").resolve()
    assert dataset.to_json()["classes"] == {"a": 4, "b": 4}


def test_several_are_joined_below_the_home(make_dataset: MakeDataset, settings: Settings) -> None:
    specs = [str(make_dataset(name=name)) for name in ("one", "two")]
    first = import_datasets(specs, settings, {})
    second = import_datasets(specs, settings, {"a": "x", "b": "y"})
    imports = settings.home.resolve() / "imports"
    assert (first.root, second.root) == (imports / "one+two", imports / "one+two-2")
    assert first.to_json()["classes"] == {"a": 8, "b": 8}
    assert second.to_json()["classes"] == {"x": 8, "y": 8}


def test_names_of_any_length_are_joined(make_dataset: MakeDataset, settings: Settings) -> None:
    specs = [str(make_dataset(name=letter * 85)) for letter in ("肺", "é", "x")]
    dataset = import_datasets(specs, settings, {})
    assert len(dataset.index) == 24
    assert len(os.fsencode(dataset.name)) < 256


def test_an_import_that_fails_leaves_nothing(
    make_dataset: MakeDataset, settings: Settings, tmp_path: Path
) -> None:
    specs = [str(make_dataset(name=name)) for name in ("one", "two")]
    with pytest.raises(DataError, match="There is no class “c”"):
        import_datasets(specs, settings, {"c": "x"}, tmp_path / "joined")
    with pytest.raises(DataError, match="There is no folder"):
        import_datasets([*specs, "nowhere"], settings, {}, tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_an_archive_is_a_dataset(
    make_dataset: MakeDataset, settings: Settings, tmp_path: Path
) -> None:
    folder = make_dataset()
    path = zip_folder(folder, tmp_path / "set.ZIP", "inner/")
    bytes_done: list[tuple[str, int, int]] = []
    dataset = resolve(str(path), settings, moving=lambda *now: bytes_done.append(now))
    assert dataset.fingerprint == scan(folder, settings.home).fingerprint
    assert dataset.root.parent.parent == (settings.home / "imports").resolve()
    size = sum(file.stat().st_size for file in folder.rglob("*.png"))
    assert bytes_done[-1] == (f"Unpacking {path}", size, size)
    assert import_datasets([str(path)], settings, {}).root == dataset.root
    joined = import_datasets([str(path), str(folder)], settings, {"a": "x", "b": "y"})
    assert joined.to_json()["classes"] == {"x": 8, "y": 8}


def test_an_archive_of_what_is_no_image_is_not_kept(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    path.write_bytes(archive(Part("a/x.png", b"no image"), Part("b/y.png", b"neither")))
    with pytest.raises(DataError, match="None of the images of class “a” can be read"):
        resolve(str(path), settings)
    assert list((settings.home / "imports").iterdir()) == []
    path.write_bytes(archive(*honest()))
    kept = resolve(str(path), settings).root
    for file in kept.rglob("*.png"):
        file.write_bytes(b"damaged since")
    with pytest.raises(DataError, match="can be read"):
        resolve(str(path), settings)
    assert kept.is_dir()  # runs may have been trained on it


def test_the_demo_takes_no_data_from_a_visitor(
    make_dataset: MakeDataset, home: Path, tmp_path: Path
) -> None:
    mine, theirs = make_dataset(name="mine"), make_dataset(name="theirs")
    zipped = zip_folder(theirs, tmp_path / "theirs.zip")
    demo = Settings(home=home, demo=True, data=mine)
    for spec in (str(theirs), str(zipped), "/etc", "nowhere", "kaggle", "kaggle:a/b", "~root"):
        with pytest.raises(DataError, match=r"^In the demo only phantoms can be used"):
            resolve(spec, demo)
        with pytest.raises(DataError, match=r"^In the demo only phantoms can be used"):
            import_datasets([spec], demo, {})
    assert not home.exists()
    fingerprint = resolve(str(mine), demo).fingerprint
    assert resolve(fingerprint[:8], demo).fingerprint == fingerprint
    assert resolve("phantoms:9", demo).synthetic
    with pytest.raises(DataError, match="In the demo 240 phantoms can be made at most"):
        resolve("phantoms:241", demo)
    assert resolve(str(zipped), Settings(home=home, demo=True, data=zipped)).layout == "flat"
