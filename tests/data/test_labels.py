"""Labels from a table: what counts, what is said of the rest, and that no name is followed."""

import re
import shutil
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.archives import unpack
from covidcore.data.index import Dataset, scan
from covidcore.data.labels import read_labels
from covidcore.data.sources import import_datasets, resolve
from covidcore.errors import DataError
from tests.data.zips import zip_folder
from tests.hostile import saved
from tests.pictures import picture

HEAD = "file,label,source,patient\n"
GOOD = HEAD + "1.png,ill,A,p1\n2.png,ill,A,p1\nsub/3.png,well,B,\nsub/4.png,well,,p4\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """1.png and 2.png, sub/3.png and sub/4.png; no table yet."""
    (tmp_path / "set/sub").mkdir(parents=True)
    for number in (1, 2, 3, 4):
        inner = "sub" if number > 2 else "."
        (tmp_path / "set" / inner / f"{number}.png").write_bytes(saved(picture(number)))
    return tmp_path / "set"


def scanned(folder: Path, home: Path, text: str, name: str = "labels.csv") -> Dataset:
    (folder / name).write_text(text)
    return scan(folder, home, labels="" if name == "labels.csv" else name)


def refusal(folder: Path, home: Path, text: str) -> str:
    with pytest.raises(DataError) as caught:
        scanned(folder, home, text)
    return str(caught.value)


def test_a_table_tells_classes_sources_and_patients(folder: Path, home: Path) -> None:
    dataset = scanned(folder, home, GOOD)
    assert (dataset.layout, dataset.classes, dataset.ignored_files) == ("csv", ("ill", "well"), [])
    rows = dataset.index[["file", "label", "source", "group"]].to_numpy().tolist()
    assert rows == [
        ["1.png", "ill", "A", "p1"],
        ["2.png", "ill", "A", "p1"],
        ["sub/3.png", "well", "B", ""],
        ["sub/4.png", "well", "", "p4"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("sub/", "sub\\").replace("1.png", "./1.png"),
        GOOD.replace("file,label,source,patient", " File ,LABEL,source,patient_id"),
        re.sub(r"(.+?),(.+?),(.*?),(.*)", r"\2,\1,\4,\3", GOOD),
        GOOD + ",,,\n\n",
        '"' + GOOD.replace(",", '","').replace("\n", '"\n"').removesuffix('"'),
    ],
)  # fmt: skip
def test_however_it_is_written(text: str, folder: Path, home: Path) -> None:
    expected = scanned(folder, home, GOOD).fingerprint
    assert scanned(folder, home, text).fingerprint == expected


def test_class_folders_do_not_count_beside_a_table(folder: Path, home: Path) -> None:
    (folder / "empty").mkdir()
    assert scanned(folder, home, GOOD).classes == ("ill", "well")
    (folder / "labels.csv").rename(folder / "other.csv")
    with pytest.raises(DataError, match="class folder “empty”"):
        scan(folder, home)
    (folder / "sub/labels.csv").write_text(HEAD)  # not beside the images of all classes
    assert scan(folder, home, labels="other.csv").name == "set, other.csv"


def test_a_single_inner_folder_is_not_entered(folder: Path, home: Path) -> None:
    """As it would be without the table."""
    (folder / "sub").rename(folder / "images")
    dataset = scanned(folder, home, GOOD.replace("sub/", "images/"))
    assert dataset.root == folder.resolve()


def test_a_table_overrules_metadata(folder: Path, home: Path) -> None:
    (folder / "metadata.csv").write_text("file,source,patient_id\n1.png,X,x\nsub/4.png,X,x\n")
    rows = (
        scanned(folder, home, GOOD).index.set_index("file")[["source", "group"]].T.to_dict("list")
    )
    assert rows["1.png"] == ["A", "p1"] and rows["sub/4.png"] == ["X", "p4"]


def test_by_the_path_of_the_table(folder: Path, settings: Settings) -> None:
    first = scanned(folder, settings.home, GOOD)
    assert resolve(str(folder / "labels.csv"), settings).fingerprint == first.fingerprint
    assert resolve(str(folder), settings).fingerprint == first.fingerprint
    (folder / "coarse.csv").write_text("file,label\n1.png,x\n2.png,y\n")
    other = resolve(str(folder / "coarse.csv"), settings)
    assert (other.classes, len(other.index)) == (("x", "y"), 2)
    joined = import_datasets([str(folder / "coarse.csv")], settings, {"x": "ill", "y": "well"})
    assert joined.classes == ("ill", "well")


def test_in_an_archive(folder: Path, home: Path, tmp_path: Path) -> None:
    expected = scanned(folder, home, GOOD).fingerprint
    shutil.copytree(folder, tmp_path / "outer/set")
    for source in (folder, tmp_path / "outer"):
        path = zip_folder(source, tmp_path / f"{source.name}.zip")
        assert scan(unpack(path, home / "imports"), home).fingerprint == expected


def reasons(dataset: Dataset) -> dict[str, str]:
    return dict(dataset.ignored_files)


def test_what_is_not_used_is_listed_with_its_reason(folder: Path, home: Path) -> None:
    (folder / "9.png").write_bytes(saved(picture(9)))
    (folder / "notes.txt").touch()
    text = GOOD.replace("file,label,source,patient", "file,label,source,patient,Alter,<b>x")
    text += "gone.png,ill\n3.png,ill\n1.png,ill\n,well\nnotes.txt,well\nblank.png,\n"
    assert sorted(scanned(folder, home, text).ignored_files) == [
        ("3.png", "labels.csv names it, and there is no such file"),
        ("9.png", "labels.csv has no row for it"),
        ("blank.png", "labels.csv gives it no label"),
        ("gone.png", "labels.csv names it, and there is no such file"),
        ("labels.csv", "1 rows name no file"),
        ("labels.csv", "1 rows say again what one has said, of 1.png first"),
        (
            "labels.csv",
            "columns that are not read: “alter”, “<b>x”; read are file, label, source, patient",
        ),
        ("notes.txt", "not a PNG, JPEG, WebP, BMP, TIFF or DICOM file"),
    ]


def test_two_labels_for_one_image_are_none(folder: Path, home: Path) -> None:
    dataset = scanned(folder, home, GOOD + "2.png,well\n2.png,ill\n")
    assert list(dataset.index["file"]) == ["1.png", "sub/3.png", "sub/4.png"]
    assert reasons(dataset) == {"2.png": "labels.csv gives it two labels, “ill” and “well”"}


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../outside.png", "sub/../../outside.png", "C:\\x.png", "\\\\host\\x.png"],
)
def test_names_that_lead_out_are_not_followed(name: str, folder: Path, home: Path) -> None:
    (folder.parent / "outside.png").write_bytes(saved(picture(8)))
    dataset = scanned(folder, home, GOOD + f"{name},ill\n")
    assert len(dataset.index) == 4
    assert list(reasons(dataset).values()) == [
        "labels.csv leads out of its folder here: not followed"
    ]


def test_links_that_lead_out_are_not_followed(folder: Path, home: Path) -> None:
    (folder.parent / "outside.png").write_bytes(saved(picture(8)))
    (folder / "5.png").symlink_to(folder.parent / "outside.png")
    dataset = scanned(folder, home, GOOD + "5.png,ill\n")
    assert reasons(dataset) == {"5.png": "a link that leads out of the dataset"}


def test_names_with_markup_are_names(folder: Path, home: Path) -> None:
    odd = "=HYPERLINK(x)<b>![t](u).png"
    (folder / odd).write_bytes(saved(picture(8)))
    dataset = scanned(folder, home, GOOD + f"{odd},ill,<i>S</i>,@p\n")
    assert odd in set(dataset.index["file"])


@pytest.mark.parametrize(
    "label",
    [
        "=1+1",
        "+cmd",
        "-",
        "@x",
        "<b>",
        "../up",
        "a/b",
        "a\\b",
        ".x",
        "masks",
        "a\u202eb",
        "x" * 101,
    ],
)
def test_labels_that_can_not_be_classes(label: str, folder: Path, home: Path) -> None:
    sentence = refusal(folder, home, GOOD + f"5.png,{label}\n")
    assert f"labels.csv, line 6: “{label[:60]}” can not be the name of a class" in sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no column “file”"),
        ("name,label\n1.png,x\n", "has no column “file”"),
        ("file,class\n1.png,x\n", "has no column “label”: its first line has to name"),
        ("file,label,file\n1.png,x,2.png\n", "has two columns “file”"),
        (HEAD, "No PNG, JPEG, WebP, BMP, TIFF or DICOM image was found"),
        (HEAD + "1.png,ill\n2.png,ill\n", "Only one class, “ill”"),
        (HEAD + "1.png,ill\nsub/3.png,well\n3,odd\n4,odd\n", "No image of the class “odd” of .* "
         "the first is 3: labels.csv names it, and there is no such file. Files are named from"),
        (HEAD + '1.png,"ill\n', "not a readable CSV file"),
        (HEAD + "1.png,\0\n", "not a readable CSV file|can not be the name"),
        (HEAD + "x" * 200_000 + ",ill\n", "not a readable CSV file"),
    ],
)  # fmt: skip
def test_tables_that_are_none(text: str, words: str, folder: Path, home: Path) -> None:
    assert re.search(words, refusal(folder, home, text))


def test_tables_that_can_not_be_read(folder: Path, home: Path) -> None:
    (folder / "labels.csv").write_bytes(b"file,label\n\xff\xfe,x\n")
    with pytest.raises(DataError, match=r"not a readable CSV file: save it anew"):
        scan(folder, home)
    with pytest.raises(DataError, match="can not be read: No such file"):
        read_labels(folder / "nowhere.csv")
    with (folder / "labels.csv").open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(DataError, match="larger than 105 MB"):
        scan(folder, home)
