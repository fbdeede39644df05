"""Sources and patients: from spreadsheets, from metadata.csv, from names."""

import os
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from covidcore.data.index import scan
from covidcore.data.metadata import describe, patient_from_name, source_of
from tests.conftest import MakeDataset

SIRM = "https://sirm.org/category/senza-categoria/covid-19/"
RSNA = "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data"


def workbook(path: Path, *rows: tuple[object, ...]) -> None:
    book = openpyxl.Workbook()
    for row in [("FILE NAME", "FORMAT", "SIZE", "URL"), *rows]:
        book.active.append(row)
    book.save(path)


def table(*files: str) -> pd.DataFrame:
    return pd.DataFrame({"file": files, "label": [file.split("/")[0] for file in files]})


def told(folder: Path, *files: str) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """File -> (source, group), and what could not be used."""
    rows, problems = describe(table(*files), folder)
    pairs = zip(rows["source"], rows["group"], strict=True)
    return dict(zip(rows["file"], pairs, strict=True)), [item.reason for item in problems]


def test_kaggles_spreadsheets_name_the_source_whatever_the_case(tmp_path: Path) -> None:
    """The sheet says NORMAL-1, the file is Normal-1.png."""
    workbook(
        tmp_path / "Normal.metadata.xlsx",
        ("NORMAL-1", "PNG", "256*256", RSNA),
        ("NORMAL-2", "PNG", "256*256", "https://www.kaggle.com/paultimothymooney/chest-xray"),
        ("NORMAL-3", "PNG", "256*256", None),
        (None, None, None, None),
    )
    workbook(tmp_path / "COVID.metadata.xlsx", ("COVID-1", "PNG", "256*256", SIRM))
    files = [f"Normal/images/Normal-{number}.png" for number in (1, 2, 3, 4)]
    sources, problems = told(tmp_path, *files, "COVID/images/COVID-1.png", "Other/COVID-1.png")
    assert [source for source, _ in sources.values()] == [
        *("RSNA", "chest-xray-pneumonia", "", "", "SIRM", "")
    ]
    assert problems == []


def test_rows_without_a_url_are_passed_over(tmp_path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)  # writes no dimensions: the rows stay ragged
    sheet = book.create_sheet()
    for row in (["File name", "URL"], ["a-1"], [], ["a-2", SIRM, "more"]):
        sheet.append(row)
    book.save(tmp_path / "a.metadata.xlsx")
    sources, problems = told(tmp_path, "a/a-1.png", "a/a-2.png")
    assert sources == {"a/a-1.png": ("", ""), "a/a-2.png": ("SIRM", "")}
    assert problems == []


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://bimcv.cipf.es/bimcv-projects/bimcv-covid19/#1590858128006", "BIMCV-COVID19+"),
        (
            "https://github.com/ml-workgroup/covid-19-image-repository/tree/master/png",
            "Hannover Medical School",
        ),
        (SIRM, "SIRM"),
        ("https://eurorad.org", "Eurorad"),
        ("https://github.com/armiro/COVID-CXNet", "COVID-CXNet"),
        ("https://github.com/ieee8023/covid-chestxray-dataset", "covid-chestxray-dataset"),
        (RSNA, "RSNA"),
        ("https://www.Example.org/x?y", "www.example.org"),
        ("example.org/x", "example.org"),
        ("  ", ""),
    ],
)
def test_urls_become_names_of_collections(url: str, source: str) -> None:
    assert source_of(url) == source


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("person1000_virus_1681.jpeg", "person1000_virus"),
        ("person1_bacteria_2.jpeg", "person1_bacteria"),
        ("IM-0115-0001.jpeg", "IM-0115"),
        ("IM-0115-0001-0002.jpeg", "IM-0115"),
        ("NORMAL2-IM-0627-0001.jpeg", "NORMAL2-IM-0627"),
        ("COVID-19 (1).png", ""),
        ("person1000.jpeg", ""),
        ("Normal-1.png", ""),
    ],
)
def test_kermanys_names_carry_the_patient(name: str, patient: str) -> None:
    assert patient_from_name(f"NORMAL/{name}") == patient


def test_metadata_csv_overrules_but_does_not_erase(tmp_path: Path) -> None:
    workbook(tmp_path / "a.metadata.xlsx", ("1", "", "", SIRM), ("2", "", "", SIRM))
    (tmp_path / "metadata.csv").write_text(
        "\ufefffile,source,patient_id,more\n"
        "a/1.png, Ours ,P1,x\n"
        "a/2.png,,,x\n"
        "a/1.png,Twice,P9,x\n"
        "b/person7_virus_1.png,,P7\n"
        "nowhere.png,S,P,x\n"
        '"b/a, ""b"".png",NA,007,x\n',
        encoding="utf-8",
    )
    sources, problems = told(
        tmp_path, "a/1.png", "a/2.png", "b/person7_virus_1.png", 'b/a, "b".png', "b/IM-1-0001.png"
    )
    assert sources == {
        "a/1.png": ("Ours", "P1"),
        "a/2.png": ("SIRM", ""),
        "b/person7_virus_1.png": ("", "P7"),
        'b/a, "b".png': ("NA", "007"),
        "b/IM-1-0001.png": ("", "IM-1"),
    }
    assert problems == []


@pytest.mark.parametrize("text", ["file\n", "file,source\n", "file,patient_id\nnone.png,P1\n"])
def test_a_table_that_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(text)
    assert told(tmp_path, "a/1.png") == ({"a/1.png": ("", "")}, [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a readable CSV (EmptyDataError)"),
        (b"file,source\na/1.png,\xff\xfe\n", "not a readable CSV (UnicodeDecodeError)"),
        (b'file,source\n"a/1.png,x\n', "not a readable CSV (ParserError)"),
        (b"name,source\na/1.png,x\n", "it has no column “file”"),
        (bytes(1000), "it has no column “file”"),
    ],
)
def test_a_bad_table_is_listed_and_not_fatal(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_bytes(content)
    assert told(tmp_path, "a/1.png") == ({"a/1.png": ("", "")}, [reason])


def test_bad_spreadsheets_are_listed_and_not_fatal(tmp_path: Path) -> None:
    (tmp_path / "a.metadata.xlsx").write_bytes(b"no zip")
    with zipfile.ZipFile(tmp_path / "b.metadata.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<nonsense")
    book = openpyxl.Workbook()
    book.active.append(("NAME", "LINK"))
    book.save(tmp_path / "c.metadata.xlsx")
    openpyxl.Workbook().save(tmp_path / "d.metadata.xlsx")
    with zipfile.ZipFile(tmp_path / "e.metadata.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", b"<si/>" * (21 * 2**20))
    workbook(tmp_path / "f.metadata.xlsx", ("f-1", "PNG", "1*1", SIRM))
    os.mkfifo(tmp_path / "g.metadata.xlsx")  # to open it would wait for ever
    sources, problems = told(tmp_path, "a/a-1.png", "f/f-1.png")
    assert sources == {"a/a-1.png": ("", ""), "f/f-1.png": ("SIRM", "")}
    assert len(problems) == 5
    assert all(reason.startswith("not a readable spreadsheet (") for reason in problems)


def test_a_scan_takes_it_all_in(make_dataset: MakeDataset, home: Path) -> None:
    """The first Kaggle release, with the table of ours beside it."""
    folder = make_dataset(
        {"COVID-19": 3, "NORMAL": 3, "Viral Pneumonia": 3}, pattern="{label} ({number}).png"
    )
    (folder / "metadata.csv").write_text(
        "file,label,source,patient_id,original_name\n"
        "COVID-19/COVID-19 (1).png,COVID-19,radiopaedia,,COVID-1.png\n"
        "NORMAL/NORMAL (2).png,NORMAL,kermany,IM-0115,IM-0115-0001.jpeg\n"
    )
    dataset = scan(folder, home)
    assert dataset.layout == "v1"
    rows = dataset.index.set_index("file")[["source", "group"]].T.to_dict("list")
    assert rows["COVID-19/COVID-19 (1).png"] == ["radiopaedia", ""]
    assert rows["NORMAL/NORMAL (2).png"] == ["kermany", "IM-0115"]
    assert rows["NORMAL/NORMAL (1).png"] == ["", ""]
