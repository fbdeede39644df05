"""The report of an import: counts a class, what was published, and spellings to join."""

import shlex
from pathlib import Path

import pandas as pd
import pytest

from covidcore.cli import main
from covidcore.config import Settings
from covidcore.data.index import Dataset, scan
from covidcore.data.releases import COUNTS
from covidcore.data.report import report
from covidcore.data.spellings import find_spellings, mend, mending, mending_command
from covidcore.errors import DataError
from tests.conftest import MakeDataset


def rows(dataset: Dataset) -> dict[str, dict[str, object]]:
    said = report(dataset).to_json()["classes"]
    return {row.pop("class"): row for row in said}


def listed(layout: str, counts: dict[str, int], **changes: object) -> Dataset:
    """A dataset of so many images that nobody has to draw."""
    labels = [name for name, count in counts.items() for _ in range(count)]
    index = pd.DataFrame({"label": labels, "mask": ""})
    values: dict[str, object] = {
        "root": Path("/x"), "name": "x", "layout": layout, "synthetic": False,
        "classes": tuple(sorted(counts)), "fingerprint": "f" * 32, "index": index,
        "ignored": {"masks": 0, "hidden": 0, "other": 0},
    }  # fmt: skip
    return Dataset(**{**values, **changes})  # type: ignore[arg-type]


def test_files_are_counted_by_class(make_dataset: MakeDataset, home: Path) -> None:
    folder = make_dataset({"a": 4, "b": 3}, inner="images", masks=True)
    (folder / "a/images/a-1.png").write_bytes(b"no image")
    (folder / "a/notes.txt").touch()
    (folder / "a/more.txt").touch()
    (folder / "README").touch()
    (folder / "metadata.csv").write_text("file,source\n")
    (folder / "b/masks/nobody.png").touch()
    found = scan(folder, home)
    assert rows(found) == {
        "a": {"found": 6, "read": 3, "unreadable": 1, "ignored": 2, "masks": 3, "published": None},
        "b": {"found": 3, "read": 3, "unreadable": 0, "ignored": 0, "masks": 3, "published": None},
        "": {"found": 1, "read": 0, "unreadable": 0, "ignored": 1, "masks": 0, "published": None},
    }
    assert report(found).sentences == (
        "6 images of 2 classes were read; unreadable files: 1, ignored files: 3.",
        "Ignored: 3 files: not a PNG, JPEG, WebP, BMP, TIFF or DICOM file.",
        "6 of 6 images have a lung mask; no mask is counted as an image.",
        "In mask folders, 2 files fit no image that was read.",
    )


def test_labels_from_a_table_have_no_folders(make_dataset: MakeDataset, home: Path) -> None:
    folder = make_dataset({"x": 3})
    (folder / "labels.csv").write_text("file,label\nx/x-1.png,x\nx/x-2.png,y\n")
    found = rows(scan(folder, home))
    assert [(name, row["found"]) for name, row in found.items()] == [("x", 1), ("y", 1), ("", 1)]


@pytest.mark.parametrize("layout", COUNTS)
def test_a_whole_release_is_recognised(layout: str) -> None:
    found = report(listed(layout, COUNTS[layout]))
    assert found.table.set_index("class")["published"].to_dict() == COUNTS[layout]
    assert found.sentences[-1].startswith("The counts are those of the ")


def test_differences_from_a_release() -> None:
    counts = COUNTS["v5"] | {"COVID": 3610, "Normal": 10193}
    del counts["Lung_Opacity"]
    found = report(listed("v5", counts, unreadable=[("COVID/images/COVID-9.png", "damaged")] * 2))
    assert found.sentences[1:] == (
        "The fifth published release has 3,616 images of “COVID”; here are 3,612, 4 fewer.",
        "The fifth published release has 10,192 images of “Normal”; here are 10,193, 1 more.",
        "Of the fifth published release “Lung_Opacity” is not here.",
    )


@pytest.mark.parametrize("layout", ["flat", "nested", "phantoms", "csv", "v1"])
def test_other_folders_are_set_against_nothing(layout: str) -> None:
    found = report(listed(layout, {"COVID": 3616, "Normal": 10192}))
    assert found.table["published"].isna().all()
    assert len(found.sentences) == 1


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["Viral Pneumonia", "viral_pneumonia", "VIRAL PNEUMONIA", "Viral-Pneumonia"], 1),
        (["COVID", "COVID-19"], 1),
        (["covid19", "SARS-CoV-2", "Covid_2019"], 1),
        (["Normal", "NORMAL", "normals"], 1),
        (["Lung_Opacity", "Lung Opacity", "COVID", "COVID-19"], 2),
        (["ＣＯＶＩＤ", "covid"], 1),  # noqa: RUF001
        (["Viral Pneumonia", "Bacterial Pneumonia"], 0),
        (["COVID", "Non-COVID", "Normal"], 0),
        (["a", "as"], 0),
        (["1", "11"], 0),
        (["+", "-"], 0),
        (["stenosis", "stenosi"], 0),
    ],
)
def test_spellings(names: list[str], found: int) -> None:
    assert len(find_spellings(dict.fromkeys(names, 3))) == found


def test_the_spelling_of_most_images_wins() -> None:
    (one,) = find_spellings({"COVID": 2, "covid-19": 7, "COVID-19": 7})
    assert (one.names, one.images) == (("COVID-19", "covid-19", "COVID"), (7, 7, 2))


@pytest.fixture
def mixed(make_dataset: MakeDataset, home: Path) -> Dataset:
    """Six classes that are three."""
    counts = {"COVID": 3, "COVID-19": 2, "viral_pneumonia": 2, "Viral Pneumonia": 3, "it's $x": 2}
    return scan(make_dataset(counts, inner="images", masks=True), home)


def test_the_command_that_mends_it_does(
    mixed: Dataset, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = report(mixed)
    assert said.sentences[-2:] == (
        "“COVID” (3 images) and “COVID-19” (2 images) look like spellings of one class: they "
        "can be joined.",
        "“Viral Pneumonia” (3 images) and “viral_pneumonia” (2 images) look like spellings of "
        "one class: they can be joined.",
    )
    python, *module, verb = ["python", "-m", "covidcore", "import"]
    words = shlex.split(said.command)
    assert words[:4] == [python, *module, verb]
    monkeypatch.setenv("COVIDCORE_HOME", str(home))
    assert main(words[3:]) == 0
    assert "To join them" not in capsys.readouterr().out
    (joined,) = (home / "imports").glob("[!.]*")
    found = scan(joined, home)
    assert found.to_json()["classes"] == {"COVID": 5, "Viral Pneumonia": 5, "it's $x": 2}
    assert (found.index["mask"] != "").all()
    assert report(found).spellings == ()


def test_the_button_of_the_page_does_the_same(mixed: Dataset, settings: Settings) -> None:
    joined = mend(mixed, settings)
    assert joined.to_json()["classes"] == {"COVID": 5, "Viral Pneumonia": 5, "it's $x": 2}
    assert scan(mixed.root, settings.home).fingerprint == mixed.fingerprint
    with pytest.raises(DataError, match="No two classes"):
        mend(joined, settings)
    with pytest.raises(DataError, match="In the demo"):
        mend(mixed, Settings(home=settings.home, demo=True))


def test_nothing_to_mend(make_dataset: MakeDataset, home: Path) -> None:
    plain = scan(make_dataset(), home)
    assert mending(plain) == {}
    assert report(plain).to_json()["command"] is None
    assert mending_command(plain).endswith(plain.fingerprint[:12])
