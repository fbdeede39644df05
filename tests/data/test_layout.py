"""Which files of a folder are images of which class, masks, or neither; by their names alone."""

import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from covidcore.data.layout import LEFT_OUT, list_files
from covidcore.data.listing import Ignored, Listing
from covidcore.errors import DataError
from tests.conftest import run_obedient


def tree(root: Path, *files: str) -> Path:
    """Make empty files; what lies in them is not looked at here."""
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def numbered(*classes: str, count: int = 2) -> list[str]:
    return [f"{name}/{name} ({number}).png" for name in classes for number in range(1, count + 1)]


def with_masks(*classes: str, below: str = "", count: int = 2) -> list[str]:
    return [
        f"{below}{name}/{kind}/{name}-{number}.png"
        for name in classes
        for kind in ("images", "masks")
        for number in range(1, count + 1)
    ]


def refusal(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        list_files(root)
    return str(caught.value)


def reasons(listing: Listing) -> dict[str, tuple[str, str]]:
    return {item.file: (item.kind, item.reason) for item in listing.ignored}


V1 = ("COVID-19", "NORMAL", "Viral Pneumonia")
V3 = ("COVID", "NORMAL", "Viral Pneumonia")
V5 = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")


@pytest.mark.parametrize(
    ("files", "layout", "classes"),
    [
        (numbered(*V1), "v1", V1),
        (numbered(*V3), "v3", V3),
        (with_masks(*V5), "v5", V5),
        (with_masks("COVID", "Normal"), "v5", ("COVID", "Normal")),
        (["a/1.png", "b/1.JPG", "b/2.jpeg"], "flat", ("a", "b")),
        (["a/x/1.png", "b/y/z/1.png"], "nested", ("a", "b")),
        (with_masks("ill", "well"), "nested", ("ill", "well")),
        (numbered("NORMAL", "Viral Pneumonia"), "flat", ("NORMAL", "Viral Pneumonia")),
        ([f"{letter}/1.png" for letter in "hgfedcba"], "flat", tuple("abcdefgh")),
    ],
)
def test_layouts(files: Iterable[str], layout: str, classes: tuple[str, ...], tmp_path: Path):
    listing = list_files(tree(tmp_path, *files))
    assert (listing.layout, listing.classes) == (layout, classes)
    assert all(file.split("/")[0] == label for file, label in listing.labels.items())
    assert list(listing.labels) == sorted(file for file in files if "/masks/" not in file)


@pytest.mark.parametrize("below", ["", "archive/", "archive/COVID-19_Radiography_Dataset/"])
def test_masks_are_linked_and_not_counted_however_deep_the_dataset_lies(
    below: str, tmp_path: Path
) -> None:
    listing = list_files(tree(tmp_path, *with_masks(*V5, below=below)))
    assert listing.root == (tmp_path / below).resolve()
    assert len(listing.labels) == 8
    assert not any("masks" in file for file in listing.labels)
    assert listing.masks == {file: file.replace("/images/", "/masks/") for file in listing.labels}
    assert [item.kind for item in listing.ignored] == ["masks"] * 8


@pytest.mark.parametrize(
    "image",
    [
        "COVID/images/COVID-1.png",
        "outer/COVID/images/COVID-1.png",
        "outer/COVID-19_Radiography_Dataset/COVID/images/COVID-1.png",
        "COVID/images/images/COVID-1.png",
        "COVID/COVID/images/COVID-1.png",
        "COVID/Images/COVID-1.PNG",
        "outer/covid/IMAGES/covid-1.png",
        "COVID/images/part 1/COVID-1.png",
    ],
)
@pytest.mark.parametrize("masks", ["masks", "Masks", "MASKS"])
def test_no_mask_is_ever_an_image(image: str, masks: str, tmp_path: Path) -> None:
    """The fifth release has each file name twice: once as a radiograph, once as its lungs."""
    files = [
        image.replace("COVID/", f"{label}/").replace("covid/", f"{label}/").replace("-1.", f"-{n}.")
        for label in V5
        for n in (1, 2, 3)
    ]
    pairs = {}
    for file in files:
        parts = file.split("/")
        last = max(i for i, part in enumerate(parts) if part.lower() == "images")
        pairs[file] = "/".join([*parts[:last], masks, *parts[last + 1 :]])
    listing = list_files(tree(tmp_path, *pairs, *pairs.values()))
    inside = listing.root.relative_to(tmp_path.resolve())
    assert {(inside / file).as_posix() for file in listing.labels} == set(pairs)
    assert {(inside / file).as_posix() for file in listing.masks.values()} == set(pairs.values())
    assert not any("masks" in file.lower() for file in listing.labels)
    assert listing.classes == V5


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a/images/1.png", "a/masks/1.png"),
        ("a/Images/1.jpg", "a/MASKS/1.PNG"),
        ("a/1.png", "a/mask/1.png"),
        ("a/ward/images/1.png", "a/ward/masks/1.png"),
        ("a/images/ward/1.png", "a/masks/ward/1.png"),
        ("a/1.png", "masks/a/1.png"),
    ],
)
def test_where_masks_may_lie(image: str, mask: str, tmp_path: Path) -> None:
    tree(tmp_path, image, mask, mask.rpartition(".")[0] + ".txt", "b/1.png")
    listing = list_files(tmp_path)
    assert listing.masks == {image: mask}
    assert list(listing.labels) == [image, "b/1.png"]


def test_a_mask_of_another_folder_is_not_taken(tmp_path: Path) -> None:
    tree(tmp_path, "a/ward/images/1.png", "a/other/masks/1.png", "b/masks/1.png", "b/images/2.png")
    assert list_files(tmp_path).masks == {}


def test_what_is_not_an_image_is_listed_with_its_reason(tmp_path: Path) -> None:
    tree(
        tmp_path,
        *("a/1.png", "b/1.png", "a/masks/1.png", "a/sub/2.png"),
        *(".DS_Store", "a/.hidden.png", "b/Thumbs.db", ".cache/1.png", "__MACOSX/a/._1.png"),
        *("COVID.metadata.xlsx", "README.md", "lost.png", "a/notes.txt", "a/scan.gif"),
    )
    listing = list_files(tmp_path)
    assert list(listing.labels) == ["a/1.png", "a/sub/2.png", "b/1.png"]
    assert reasons(listing) == {
        ".DS_Store": ("hidden", "a hidden file"),
        ".cache": ("hidden", "a hidden folder"),
        "COVID.metadata.xlsx": ("other", "not a PNG, JPEG, WebP, BMP, TIFF or DICOM file"),
        "README.md": ("other", "not a PNG, JPEG, WebP, BMP, TIFF or DICOM file"),
        "__MACOSX": ("hidden", "a hidden folder"),
        "a/.hidden.png": ("hidden", "a hidden file"),
        "a/masks/1.png": ("masks", "a lung mask, not a radiograph"),
        "a/notes.txt": ("other", "not a PNG, JPEG, WebP, BMP, TIFF or DICOM file"),
        "a/scan.gif": ("other", "not a PNG, JPEG, WebP, BMP, TIFF or DICOM file"),
        "b/Thumbs.db": ("hidden", "a hidden file"),
        "lost.png": ("other", "it lies in no class folder"),
    }
    assert [item.file for item in listing.ignored] == sorted(reasons(listing))


def test_links_are_followed_within_the_dataset_only(tmp_path: Path) -> None:
    outside = tree(tmp_path, "outside/secret.png", "outside/mask.png") / "outside"
    root = tree(tmp_path / "set", "a/1.png", "b/1.png", "a/masks/2.png")
    (root / "a/2.png").symlink_to("1.png")
    (root / "a/out.png").symlink_to(outside / "secret.png")
    (root / "a/masks/1.png").symlink_to(outside / "mask.png")
    (root / "a/gone.png").symlink_to("nowhere.png")
    (root / "a/self.png").symlink_to("self.png")
    (root / "a/folder").symlink_to(outside)
    (root / "b/up").symlink_to(root)
    (root / "b/round").symlink_to("round")
    listing = list_files(root)
    assert list(listing.labels) == ["a/1.png", "a/2.png", "b/1.png"]
    assert listing.masks == {"a/2.png": "a/masks/2.png"}
    assert {file: reason for file, (_, reason) in reasons(listing).items()} == {
        "a/folder": "a link to a folder is not followed",
        "a/gone.png": "not a regular file",
        "a/masks/1.png": "a link that leads out of the dataset",
        "a/masks/2.png": "a lung mask, not a radiograph",
        "a/out.png": "a link that leads out of the dataset",
        "a/self.png": "it can not be opened: Too many levels of symbolic links",
        "b/round": "it can not be opened: Too many levels of symbolic links",
        "b/up": "a link to a folder is not followed",
    }


def test_a_dataset_may_be_named_by_a_link(tmp_path: Path) -> None:
    tree(tmp_path / "set", "a/1.png", "b/1.png")
    (tmp_path / "link").symlink_to("set")
    assert list_files(tmp_path / "link").root == (tmp_path / "set").resolve()


def test_a_pipe_named_like_an_image_is_not_opened(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.png", "b/1.png")
    os.mkfifo(tmp_path / "a/2.png")
    assert reasons(list_files(tmp_path)) == {"a/2.png": ("other", "not a regular file")}


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    root = tree(tmp_path / "set", "a/1.png", "b/1.png")
    try:
        Path(os.fsdecode(os.fsencode(root / "a") + b"/\xff.png")).touch()
    except OSError:
        pytest.skip("this disk takes no names that are not UTF-8")
    listing = list_files(root)
    assert list(listing.labels) == ["a/1.png", "b/1.png"]
    assert reasons(listing) == {"a/\\udcff.png": ("other", "its name is not valid UTF-8")}

    odd = Path(os.fsdecode(os.fsencode(root) + b"/\xe9"))
    tree(odd, "1.png")
    message = refusal(root)
    assert "class folder “\\udce9”" in message
    message.encode()  # fit for a page
    message = refusal(tree(odd, "a/1.png", "b/1.png"))
    assert "set/\\udce9 is not valid UTF-8: rename it" in message


@pytest.mark.parametrize(
    "name", ["a b", "it's", 'say "x"', "Röntgen, 肺", "two\nlines", "<b>![x](y)"]
)
def test_any_printed_name_will_do(name: str, tmp_path: Path) -> None:
    files = [f"{name}/{name}/{name}.png", f"{name}/b/{name}.png"]
    listing = list_files(tree(tmp_path / name, *files))
    assert listing.root == (tmp_path / name / name).resolve()
    assert listing.labels == {f"{name}/{name}.png": name, f"b/{name}.png": "b"}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "No PNG, JPEG, WebP, BMP, TIFF or DICOM image was found"),
        (["1.png", "2.png"], r"found in .* \(1.png: it lies in no class folder\)"),
        (
            ["a/notes.txt"],
            r"not a PNG, JPEG, WebP, BMP, TIFF or DICOM file\)\. A dataset is a folder that",
        ),
        (["a/1.png"], "Only one class, “a”"),
        (["a/images/1.png", "a/masks/1.png"], "Only one class, “a”"),
        (["a/1.png", "b/1.png", "c/notes.txt"], r"“c” in .* no PNG, .* \(c/notes.txt: not a PNG,"),
        (
            ["a/1.png", "b/1.png", "c/masks/1.png"],
            "class folder “c” .* holds no PNG, JPEG, WebP, BMP, TIFF or DICOM",
        ),
        (["train/a/1.png", "test/a/1.png"], "named “test”, “train”: these are not classes"),
        (["Train/a/1.png", "VAL/a/1.png", "Test/a/1.png"], "these are not classes"),
        (["images/1.png", "masks/1.png"], "“images”: these are not classes"),
    ],
)
def test_what_is_no_dataset_is_refused_in_a_sentence(
    files: list[str], sentence: str, tmp_path: Path
) -> None:
    assert re.search(sentence, refusal(tree(tmp_path, *files)))


def test_a_path_that_is_no_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == f"There is no folder {tmp_path}/nowhere."
    tree(tmp_path, "file.png")
    assert "is a file, not a folder" in refusal(tmp_path / "file.png")
    assert "File name too long" in refusal(tmp_path / ("x" * 300))
    (tmp_path / "round").symlink_to("round")
    assert "There is no folder" in refusal(tmp_path / "round")


LIST = """
import sys
from pathlib import Path
from covidcore.data.layout import list_files
from covidcore.errors import DataError


for root in sys.argv[1:]:
    try:
        print(*(item.reason for item in list_files(Path(root)).ignored))
    except DataError as error:
        print(error)
"""


def test_folders_that_may_not_be_read(tmp_path: Path) -> None:
    closed = tree(tmp_path / "closed", "a/1.png", "b/1.png")
    partly = tree(tmp_path / "partly", "a/1.png", "b/1.png", "c/1.png")
    inner = tree(tmp_path / "inner", "a/1.png", "b/1.png", "b/ward/1.png")
    shut = [closed, partly / "c", inner / "b/ward"]
    for folder in shut:
        folder.chmod(0o000)
    try:
        command = [sys.executable, "-c", LIST, closed, partly, inner, closed / "a"]
        said = run_obedient([str(word) for word in command])
    finally:
        for folder in shut:
            folder.chmod(0o755)
    whole, one, within, below = said.splitlines()
    assert whole == f"The folder {closed} can not be read: Permission denied."
    assert one.startswith("The class folder “c” in ")
    assert "(c: the folder can not be read: Permission denied)" in one
    assert within == "the folder can not be read: Permission denied"
    assert below == f"The folder {closed}/a can not be read: Permission denied."


def test_what_an_archive_left_out_is_listed(tmp_path: Path) -> None:
    root = tree(tmp_path, *numbered("a", "b"))
    left_out = [
        ["notes.txt", "other", "not a PNG, JPEG, WebP, BMP, TIFF or DICOM file"],
        [".x", "hidden", "hidden"],
    ]
    (root / LEFT_OUT).write_text(json.dumps(left_out))
    assert list_files(root).ignored == [Ignored(*row) for row in sorted(left_out)]


@pytest.mark.parametrize(
    "content", ["", "{", "{}", "[1]", '["abc"]', '[["x", "images", "y"]]', '[["x"]]', "null"]
)
def test_a_list_of_left_out_files_that_is_none(tmp_path: Path, content: str) -> None:
    root = tree(tmp_path, *numbered("a", "b"))
    (root / LEFT_OUT).write_text(content)
    assert list_files(root).ignored == []
