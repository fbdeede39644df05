"""Answers as a table, for the page and for a CSV file that a spreadsheet may open safely."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_table(answers: Sequence[dict[str, Any]], classes: Sequence[str]) -> pd.DataFrame:
    """One row a file: file, answer, refused, reason, ``p:<class>``, milliseconds."""
    return pd.DataFrame(
        [
            {
                # Bytes of a name that are not UTF-8 are written \udcff: no table takes them.
                "file": answer["file"].encode("utf-8", "backslashreplace").decode(),
                "answer": answer["answer"],
                "refused": answer["refused"],
                "reason": answer["reason"],
                **{f"p:{name}": answer["probabilities"].get(name) for name in classes},
                "milliseconds": answer["milliseconds"],
            }
            for answer in answers
        ]
    )


def as_csv(table: pd.DataFrame) -> str:
    """CSV text in which no cell starts as a formula would (a quote is set before it)."""

    def safe(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

    # Lines end as RFC 4180 has it: a bare carriage return in a name is then quoted, and can not
    # begin a row of its own.
    return table.map(safe).rename(columns=safe).to_csv(index=False, lineterminator="\r\n")
