"""The table of epochs, ``history.csv``: each line has a check sum; one that was changed is none.

A run that is at work, or was stopped, has no other proof of what its epochs came to.
"""

import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from covidcore import storage

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
    "learning_rate",
)
_CHECK = "check"


def write(path: Path, table: "pd.DataFrame") -> None:
    """Replace the file by a table of ``COLUMNS``, one row an epoch."""
    header, *rows = table.to_csv(index=False).splitlines()
    checked = (f"{row},{_sum(row)}" for row in rows)
    storage.write_text(path, "\n".join((f"{header},{_CHECK}", *checked)) + "\n")


def read(path: Path) -> "pd.DataFrame":
    """The epochs that are as they were written; none where there is no such file."""
    import pandas as pd

    empty = pd.DataFrame(columns=list(COLUMNS))
    rows = _whole(path)
    if len(rows) < 2:
        return empty
    try:
        table = pd.read_csv(io.StringIO("\n".join(rows)))
    except ValueError:  # of an earlier version, without check sums, and damaged
        return empty
    return table[[name for name in COLUMNS if name in table]] if "epoch" in table else empty


def count(path: Path) -> int:
    """How many epochs those are."""
    return max(0, len(_whole(path)) - 1)


def _whole(path: Path) -> list[str]:
    """Header and lines without their check sums; lines whose check sum is wrong are left out."""
    try:
        header, *rows = path.read_text("utf-8").splitlines()
    except (OSError, ValueError):  # missing, no text, or empty
        return []
    columns, _, last = header.rpartition(",")
    if last != _CHECK:  # of an earlier version
        sound = header.startswith("epoch,")
        return [row for row in (header, *rows) if sound and row.count(",") == header.count(",")]
    if columns != ",".join(COLUMNS):
        return []
    split = (row.rpartition(",") for row in rows)
    return [columns, *(row for row, _, check in split if check == _sum(row))]


def _sum(row: str) -> str:
    return f"{zlib.crc32(row.encode()):08x}"
