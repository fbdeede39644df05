"""What a run gets right where it knows something of the image from training, and where not."""

from typing import Any

import pandas as pd

from covidcore.data.audit_leaks import LEAKS
from covidcore.errors import DataError
from covidcore.proportions import newcombe, wilson


def ledger(rows: pd.DataFrame, known: pd.DataFrame) -> list[dict[str, Any]]:
    """Accuracy with and without each kind of leak, with 95 % intervals.

    ``rows`` are predictions of the test images (file, correct), ``known`` is what
    `data.audit_leaks.known_from_training` says of them. One entry a kind, and ``any`` of them:
    ``with`` and ``without`` (n, right, accuracy, ci), difference (with less without) and its ci.
    An image may be of several kinds. NaN where there are no images.
    Raises: DataError where ``known`` is not of these images.
    """
    flags = known.set_index("file")[list(LEAKS)].reindex(rows["file"])
    if flags.isna().any(axis=None):
        raise DataError("What is known of the test images is of another split: scan again.")
    flags = flags.astype(bool).assign(any=flags.astype(bool).any(axis=1))
    right = rows["correct"].to_numpy(bool)
    return [
        {"kind": kind, **_parted(right, flags[kind].to_numpy(bool))} for kind in (*LEAKS, "any")
    ]


def _parted(right: Any, leaked: Any) -> dict[str, Any]:
    parts = [(int(right[chosen].sum()), int(chosen.sum())) for chosen in (leaked, ~leaked)]
    one, other = (_share(*part) for part in parts)
    return {
        "with": one,
        "without": other,
        "difference": one["accuracy"] - other["accuracy"],
        "ci": list(newcombe(*parts[0], *parts[1])),
    }


def _share(right: int, n: int) -> dict[str, Any]:
    accuracy = right / n if n else float("nan")
    return {"n": n, "right": right, "accuracy": accuracy, "ci": list(wilson(right, n))}
