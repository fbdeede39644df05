"""What is said about the images beside them: ``metadata.csv`` and Kaggle's spreadsheets."""

import contextlib
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from covidcore.data.listing import Ignored

if TYPE_CHECKING:
    import pandas as pd

# Where Kaggle's URL column points -> the name of the collection (see docs/data.md).
_COLLECTIONS = (
    ("bimcv", "BIMCV-COVID19+"),
    ("ml-workgroup", "Hannover Medical School"),
    ("sirm.org", "SIRM"),
    ("eurorad", "Eurorad"),
    ("armiro", "COVID-CXNet"),
    ("ieee8023", "covid-chestxray-dataset"),
    ("rsna", "RSNA"),
    ("paultimothymooney", "chest-xray-pneumonia"),
)
_MAX_WORKBOOK = 100 * 2**20  # bytes, unpacked
# Names of the Kermany collection carry the patient: person1000_virus_1681, NORMAL2-IM-0627-0001.
_PATIENT = re.compile(r"(person\d+_(?:virus|bacteria))_\d+|((?:NORMAL2?-)?IM-\d+)-\d{4}(?:-\d+)?")


def describe(table: "pd.DataFrame", root: Path) -> tuple["pd.DataFrame", list[Ignored]]:
    """Fill the columns ``source`` and ``group`` ("" where unknown) of a table with ``file``.

    Returns the table and the metadata files that could not be used, with the reason.
    """
    table = table.assign(source="", group=table["file"].map(patient_from_name))
    problems: list[Ignored] = []
    for workbook in sorted(root.glob("*.metadata.xlsx")):
        if not workbook.is_file():  # to open a pipe would wait for ever
            continue
        try:
            sources = _workbook_sources(workbook)
        except Exception as error:  # a zip of XML from a stranger: any error means "unusable"
            reason = f"not a readable spreadsheet ({type(error).__name__})"
            problems.append(Ignored(workbook.name, "other", reason))
            continue
        label = workbook.name.removesuffix(".metadata.xlsx").casefold()
        stems = table["file"].map(lambda file: Path(file).stem.casefold())
        mine = (table["label"].str.casefold() == label) & stems.isin(sources)
        table.loc[mine, "source"] = stems[mine].map(sources)
    return _from_csv(table, root / "metadata.csv", problems), problems


def patient_from_name(file: str) -> str:
    """The patient that a file name of the Kermany collection states, or ""."""
    match = _PATIENT.fullmatch(Path(file).stem)
    return (match[1] or match[2]) if match else ""


def source_of(url: str) -> str:
    """The collection that a URL of Kaggle's spreadsheets belongs to; else its host."""
    lower = url.strip().lower()
    for part, name in _COLLECTIONS:
        if part in lower:
            return name
    return urlparse(lower if "//" in lower else f"//{lower}").hostname or ""


def _workbook_sources(path: Path) -> dict[str, str]:
    """File stem (case-folded: the sheet says NORMAL-1, the file is Normal-1) -> collection."""
    from openpyxl.reader.excel import load_workbook

    with zipfile.ZipFile(path) as parts:  # its reader inflates no part beyond the size declared
        if sum(part.file_size for part in parts.infolist()) > _MAX_WORKBOOK:
            raise ValueError("an archive that unpacks to far more than a list of images")
    book = load_workbook(path, read_only=True, data_only=True)  # type: ignore[no-untyped-call]
    with contextlib.closing(book):
        rows = book.worksheets[0].iter_rows(values_only=True)
        header = [str(cell or "").strip().upper() for cell in next(rows)]
        name, url = header.index("FILE NAME"), header.index("URL")
        return {
            str(row[name]).strip().casefold(): source_of(str(row[url] or ""))
            for row in rows
            if len(row) > max(name, url) and row[name]
        }


def _from_csv(table: "pd.DataFrame", path: Path, problems: list[Ignored]) -> "pd.DataFrame":
    """Let ``metadata.csv`` (file, source, patient_id) overrule what was known so far."""
    import pandas as pd

    if not path.is_file():
        return table
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        problems.append(Ignored(path.name, "other", f"not a readable CSV ({type(error).__name__})"))
        return table
    if "file" not in rows:
        problems.append(Ignored(path.name, "other", "it has no column “file”"))
        return table
    rows = rows.drop_duplicates("file").set_index("file")
    for column, name in (("source", "source"), ("group", "patient_id")):
        if name in rows:
            given = table["file"].map(rows[name].to_dict()).astype("str").fillna("").str.strip()
            table[column] = given.where(given != "", table[column])
    return table
