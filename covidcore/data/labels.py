"""Labels from a table instead of from folders: ``labels.csv`` beside the images.

Names in the table are looked up among the files that are there; no path is made of them.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from covidcore.data.filenames import can_be_class
from covidcore.errors import DataError

LABELS = "labels.csv"
MAX_BYTES = 100 * 2**20
_COLUMNS = ("file", "label", "source", "patient")
_ALSO = {"patient_id": "patient"}
_LONGEST = 200
"""Characters that are kept of a source or a patient."""


@dataclass(frozen=True)
class Row:
    """What the table says about one image."""

    label: str
    source: str = ""
    patient: str = ""


@dataclass
class Labels:
    """A table that was read."""

    name: str
    rows: dict[str, Row] = field(default_factory=dict)
    """File, relative to the folder of the table, with ``/``."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    """File, or the table itself, and why what is said of it is not used."""

    def __contains__(self, file: object) -> bool:
        """Whether the table gives a file a label."""
        return file in self.rows

    @property
    def classes(self) -> set[str]:
        """Every label that is given."""
        return {row.label for row in self.rows.values()}


def read_labels(path: Path) -> Labels:
    """Read a table with the columns ``file`` and ``label``, and maybe ``source`` and ``patient``.

    Parted by commas, semicolons or tabs. Raises: DataError where it is no such table, and for a
    label that can not name a class, with the line.
    """
    labels = Labels(path.name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES / 1e6:.0f} MB: it is no list.")
        with path.open(encoding="utf-8-sig", newline="") as text:
            head = text.readline()
            text.seek(0)
            lines = csv.reader(text, delimiter=_delimiter(head), strict=True)
            columns = _columns(next(lines, []), path, labels)
            _take(_named(lines, columns, path), labels)
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is not a readable CSV file: save it anew, as CSV with UTF-8 text."
        ) from error
    except OSError as error:
        raise DataError(f"{path} can not be read: {error.strerror or error}.") from error
    return labels


def _delimiter(head: str) -> str:
    """The sign that parts the columns; Excel writes semicolons in half of Europe."""
    return max(",;\t", key=head.count)


def _columns(header: list[str], path: Path, labels: Labels) -> dict[str, int]:
    """Where each column is that is read."""
    names = [name.strip().casefold() for name in header]
    names = [_ALSO.get(name, name) for name in names]
    missing = [name for name in _COLUMNS[:2] if name not in names]
    if missing:
        raise DataError(
            f"{path} has no column “{missing[0]}”: its first line has to name the columns file and "
            "label, and may name source and patient. Rename it if it is no list of labels."
        )
    twice = [name for name in _COLUMNS if names.count(name) > 1]
    if twice:
        raise DataError(f"{path} has two columns “{twice[0]}”: which one counts?")
    unknown = [name for name in names if name and name not in _COLUMNS]
    if unknown:
        listed = ", ".join(f"“{name[:40]}”" for name in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        reason = f"columns that are not read: {listed}{more}; read are {', '.join(_COLUMNS)}"
        labels.problems.append((path.name, reason))
    return {name: names.index(name) for name in _COLUMNS if name in names}


def _named(
    lines: Iterable[list[str]], columns: dict[str, int], path: Path
) -> Iterator[tuple[str, Row]]:
    """Raises: DataError for a label that can not name a class."""
    for number, cells in enumerate(lines, 2):
        padded = [*cells, *[""] * len(_COLUMNS)]
        values = {name: padded[at].strip() for name, at in columns.items() if at < len(padded)}
        if not any(values.values()):
            continue
        row = Row(
            values.get("label", ""),
            values.get("source", "")[:_LONGEST],
            values.get("patient", "")[:_LONGEST],
        )
        if row.label and not (can_be_class(row.label) and row.label[0].isalnum()):
            raise DataError(
                f"{path}, line {number}: “{row.label[:60]}” can not be the name of a class, which "
                "begins with a letter or a digit, and holds neither slashes nor signs that can not "
                "be seen."
            )
        yield values.get("file", ""), row


def _take(rows: Iterable[tuple[str, Row]], labels: Labels) -> None:
    """Keep what can be used, and say why of the rest."""
    name, refused, again, nameless = labels.name, dict[str, str](), list[str](), 0
    for given, row in rows:
        file = given.replace("\\", "/").removeprefix("./")
        before = labels.rows.get(file)
        if not file:
            nameless += 1
        elif leads_out(file):
            refused[file] = f"{name} leads out of its folder here: not followed"
        elif file in refused:
            continue
        elif not row.label:
            refused[file] = f"{name} gives it no label"
        elif before is None:
            labels.rows[file] = row
        elif before.label != row.label:
            refused[file] = f"{name} gives it two labels, “{before.label}” and “{row.label}”"
        else:
            again.append(file)
    labels.rows = {file: row for file, row in labels.rows.items() if file not in refused}
    labels.problems += refused.items()
    if again:
        rest = f"{len(again)} rows say again what one has said, of {again[0]} first"
        labels.problems.append((name, rest))
    if nameless:
        labels.problems.append((name, f"{nameless} rows name no file"))


def leads_out(file: str) -> bool:
    """Whether a name is absolute, of another drive or of a folder above."""
    return file.startswith("/") or bool(re.match(r"[A-Za-z]:", file)) or ".." in file.split("/")
