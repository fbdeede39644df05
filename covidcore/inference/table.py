"""Answers as a table, for the page and for a CSV file that a spreadsheet may open safely."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from covidcore.evaluation.operating import OperatingPoint
from covidcore.inference.meaning import Meaning

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_table(
    answers: Sequence[dict[str, Any]],
    classes: Sequence[str],
    meant: Mapping[str, Meaning] | None = None,
    run: str = "",
    point: OperatingPoint | None = None,
) -> pd.DataFrame:
    """One row a file, with all that is known of its answer.

    Columns: file, answer, probability (of the answer), refused, reason, ``p:<class>``, warnings,
    near_training_image; of the answer among the run's test images recall, precision and the ends of
    their intervals; run, thresholds (in words, "" where the most probable class is the answer),
    milliseconds.
    """
    known = meant or {}
    return pd.DataFrame(
        [
            {
                "file": _text(answer["file"]),
                "answer": answer["answer"],
                "probability": answer["probabilities"].get(answer["answer"]),
                "refused": answer["refused"],
                "reason": answer["reason"],
                **{f"p:{name}": answer["probabilities"].get(name) for name in classes},
                "warnings": " ".join(answer["warnings"]),
                "near_training_image": answer["near_training_image"],
                **_worth(known.get(answer["answer"])),
                "run": run,
                "thresholds": str(point or ""),
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


def outcome(answer: dict[str, Any]) -> str:
    """By what answers are sorted and filtered: the class, or for what it was refused."""
    code = answer["refused"]
    return f"refused: {code.replace('_', ' ')}" if code else str(answer["answer"])


def _text(name: str) -> str:
    """Bytes of a name that are not UTF-8 are written ``\\udcff``: no table takes them."""
    return name.encode("utf-8", "backslashreplace").decode()


def _worth(meant: Meaning | None) -> dict[str, float | None]:
    """How often the answer is right among the run's test images."""
    if meant is None:
        names = ("recall", "recall_low", "recall_high")
        return dict.fromkeys((*names, *(n.replace("recall", "precision") for n in names)))
    (low, high), (least, most) = meant.recall_ci, meant.precision_ci
    return {
        **{"recall": meant.recall, "recall_low": low, "recall_high": high},
        **{"precision": meant.precision, "precision_low": least, "precision_high": most},
    }
