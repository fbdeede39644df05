"""Several datasets as one folder: under whose names, of which classes, whole or not at all."""

import os
import stat
import tempfile
from pathlib import Path

import pandas as pd
import pytest

from covidcore.data.index import Dataset, scan
from covidcore.data.joining import _free_name, join, parse_mapping
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.errors import DataError
from tests.conftest import MakeDataset
from tests.hostile import saved
from tests.pictures import picture


@pytest.fixture
def one(make_dataset: MakeDataset, home: Path) -> Dataset:
    folder = make_dataset({"COVID": 3, "Normal": 4}, name="one")
    (folder / "metadata.csv").write_text("file,source,patient_id\nCOVID/COVID-1.png,SIRM,7\n")
    return scan(folder, home)


@pytest.fixture
def two(make_dataset: MakeDataset, home: Path) -> Dataset:
    folder = make_dataset(
        {"covid": 2, "healthy": 3, "bacterial": 5}, name="two", inner="images", masks=True
    )
    (folder / "metadata.csv").write_text(
        "file,source,patient_id\ncovid/images/covid-1.png,RSNA,7\n"
    )
    return scan(folder, home)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "metadata.csv", dtype=str, keep_default_na=False)


def test_two_folders_become_one(one: Dataset, two: Dataset, tmp_path: Path, home: Path) -> None:
    mapping = {"COVID": "COVID-19", "covid": "COVID-19", "Normal": "NORMAL", "healthy": "NORMAL"}
    to = tmp_path / "deep/down/joined"
    assert join([one, two], mapping, to) == to
    dataset = scan(to, home)
    assert dataset.to_json()["classes"] == {"COVID-19": 5, "NORMAL": 7}
    assert set(dataset.index["sha256"]) == {
        *one.index["sha256"],
        *two.index.loc[two.index["label"] != "bacterial", "sha256"],
    }
    assert dataset.ignored["masks"] == 5
    rows = dataset.index.set_index("file")
    assert rows.loc["COVID-19/images/one-COVID-1.png", ["source", "group"]].tolist() == [
        *("SIRM", "SIRM:7")
    ]
    assert rows.loc["COVID-19/images/two-covid-1.png", ["source", "group", "mask"]].tolist() == [
        *("RSNA", "RSNA:7", "COVID-19/masks/two-covid-1.png")
    ]
    assert rows.loc["NORMAL/images/two-healthy-1.png", "source"] == "two"
    assert leftovers(to.parent) == []


def test_the_table_says_where_each_image_comes_from(
    one: Dataset, two: Dataset, tmp_path: Path
) -> None:
    to = join([one, two], {}, tmp_path / "joined")
    rows = table(to)
    assert list(rows.columns) == ["file", "label", "source", "patient_id", "original_name"]
    assert sorted(rows["original_name"]) == sorted([*one.index["file"], *two.index["file"]])
    images = {file for file in files(to) if "/images/" in file}
    assert set(rows["file"]) == images
    for row in rows.to_dict("records"):
        root = one.root if Path(row["file"]).name.startswith("one-") else two.root
        assert (to / row["file"]).samefile(root / row["original_name"])


def test_one_folder_with_other_names(two: Dataset, tmp_path: Path, home: Path) -> None:
    to = join([two], {"covid": "Ill", "healthy": "Well"}, tmp_path / "renamed")
    dataset = scan(to, home)
    assert dataset.to_json()["classes"] == {"Ill": 2, "Well": 3}
    assert dataset.index["file"][0] == "Ill/images/covid-1.png"
    assert dataset.index["group"][0] == "7"


def test_files_are_linked_and_links_are_looked_through(
    make_dataset: MakeDataset, tmp_path: Path, home: Path
) -> None:
    folder = make_dataset()
    (folder / "a/link.png").symlink_to("a-1.png")
    (folder / "b/up.png").symlink_to("../a/a-2.png")
    to = join([scan(folder, home)], {}, tmp_path / "joined")
    for file in files(to):
        if file.endswith(".png"):
            assert not (to / file).is_symlink()
            assert (to / file).stat().st_ino == (folder / file).stat().st_ino
    assert scan(to, home).to_json()["classes"] == {"a": 5, "b": 5}


def test_another_disk_gets_copies(one: Dataset, home: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == one.root.stat().st_dev:
        pytest.skip("there is no second disk")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        to = join([one], {}, Path(folder) / "joined")
        original = one.root / "COVID/COVID-1.png"
        assert (to / "COVID/COVID-1.png").read_bytes() == original.read_bytes()
        assert original.stat().st_nlink == 1


def test_equal_names_get_numbers_and_keep_their_masks(
    make_dataset: MakeDataset, tmp_path: Path, home: Path
) -> None:
    """Two wards, two suffixes and two cases of one name; each mask stays with its image."""
    folder = make_dataset({"b": 3})
    masks = {}
    for number, (ward, image) in enumerate(
        [("w1", "x.png"), ("w2", "x.png"), ("w3", "X.PNG"), ("w4", "x.jpg"), ("w5", "x-2.png")]
    ):
        for kind, name in (("images", image), ("masks", Path(image).stem + ".png")):
            path = folder / "a" / ward / kind / name
            path.parent.mkdir(parents=True)
            form = "JPEG" if name.endswith("jpg") else "PNG"
            path.write_bytes(saved(picture(300 + number + 50 * (kind == "masks")), form))
        masks[f"a/{ward}/images/{image}"] = path.read_bytes()
    dataset = scan(folder, home)
    assert len(dataset.index) == 8
    to = join([dataset], {}, tmp_path / "joined")
    rows = table(to).set_index("file")["original_name"].to_dict()
    placed = [file for file in rows if file.startswith("a/")]
    assert len({Path(file).stem.lower() for file in placed}) == 5
    joined = scan(to, home).index.set_index("file")
    for file in placed:
        assert (to / joined.loc[file, "mask"]).read_bytes() == masks[rows[file]]
    for file, content in masks.items():  # nor was an original written over
        mask = file.replace("images", "masks").rpartition(".")[0] + ".png"
        assert (folder / mask).read_bytes() == content


def test_one_mask_for_two_images(make_dataset: MakeDataset, tmp_path: Path, home: Path) -> None:
    folder = make_dataset({"a": 3, "b": 3}, inner="images", masks=True)
    (folder / "a/images/a-1.jpg").write_bytes(saved(picture(77), "JPEG"))
    joined = scan(join([scan(folder, home)], {}, tmp_path / "joined"), home)
    assert len(joined.index) == 7
    assert (joined.index["mask"] != "").all()


def test_folders_of_one_name(make_dataset: MakeDataset, tmp_path: Path, home: Path) -> None:
    datasets = [scan(make_dataset(name=f"{place}/data"), home) for place in ("x", "y")]
    joined = scan(join(datasets, {}, tmp_path / "joined"), home)
    assert joined.to_json()["classes"] == {"a": 8, "b": 8}
    assert joined.duplicates["exact"] == 0


def test_phantoms_stay_phantoms(phantoms: Path, one: Dataset, tmp_path: Path, home: Path) -> None:
    small = scan(phantoms, home)
    other = scan(write(PhantomSpec(images=9, size=64), tmp_path / "other"), home)
    both = scan(join([small, other], {}, tmp_path / "both"), home)
    assert (both.synthetic, len(both.index)) == (True, 45)
    assert (both.index["mask"] != "").all()
    mixed = scan(join([small, one], {}, tmp_path / "mixed"), home)
    assert not mixed.synthetic


def test_thousands_of_files_of_one_name() -> None:
    """As in collections with a folder a patient; a search from 2 for each would take minutes."""
    used: dict[str, int] = {}
    names = [_free_name("a/frontal.png", used) for _ in range(10_000)]
    assert len(set(names)) == 10_000
    assert names[:3] == ["a/frontal.png", "a/frontal-2.png", "a/frontal-3.png"]


def test_the_folder_can_be_read_by_whom_the_umask_allows(one: Dataset, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        to = join([one], {}, tmp_path / "joined")
    finally:
        os.umask(before)
    assert stat.S_IMODE(to.stat().st_mode) == 0o755
    assert stat.S_IMODE((to / "metadata.csv").stat().st_mode) == 0o644


def test_a_file_that_is_gone_leaves_nothing(one: Dataset, two: Dataset, tmp_path: Path) -> None:
    (two.root / "healthy/images/healthy-3.png").unlink()
    to = tmp_path / "joined"
    to.mkdir()
    with pytest.raises(DataError, match=r"healthy-3\.png can not be imported: No such file"):
        join([one, two], {}, to)
    assert list(to.iterdir()) == []
    assert leftovers(tmp_path) == []
    assert len(files(one.root)) == 8


def test_a_target_that_is_taken(one: Dataset, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    (tmp_path / "file").touch()
    for to in (taken, tmp_path / "file"):
        with pytest.raises(DataError, match="exists and is not empty: choose another folder"):
            join([one], {}, to)
    for to in (tmp_path / "file/inside", tmp_path / ("x" * 300)):
        with pytest.raises(DataError, match=r"could not be made: (Not a directory|File name too)"):
            join([one], {}, to)
    assert (taken / "thesis.txt").read_text() == "mine"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ({"covid": "A", "Normal": "B"}, "no class “covid” to map; there are COVID, Normal"),
        ({"COVID": "A"}, "Only one class, “A”, would be left"),
        ({"COVID": "A", "Normal": "A"}, "Only one class, “A”, would be left"),
    ],
)
def test_mappings_that_do_not_fit(
    mapping: dict[str, str], sentence: str, one: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=sentence):
        join([one], mapping, tmp_path / "joined")
    assert not (tmp_path / "joined").exists()
    assert leftovers(tmp_path) == []


def test_reading_mappings() -> None:
    assert parse_mapping([]) == {}
    assert parse_mapping(["Their name=Our name", " a = b=c "]) == {
        "Their name": "Our name",
        "a": "b=c",
    }


@pytest.mark.parametrize("item", ["", "a", "=", "a=", "=b", " = "])
def test_no_mapping(item: str) -> None:
    with pytest.raises(DataError, match='is no mapping: write --map "Their name=Our name"'):
        parse_mapping([item])


@pytest.mark.parametrize(
    "name",
    ["../up", "a/b", "a\\b", "..", ".hidden", "masks", "Mask", "images", "x" * 101, "a\nb", "a\0b"],
)
def test_names_that_are_no_class(name: str) -> None:
    with pytest.raises(DataError, match="can not be the name of a class"):
        parse_mapping([f"a={name}"])


def test_a_class_mapped_twice() -> None:
    with pytest.raises(DataError, match="“a” is mapped twice: to b and to c"):
        parse_mapping(["a=b", "a=c"])
