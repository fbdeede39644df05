"""A run on images from elsewhere: which of them count, and how much worse it is there.

The run's own images, however they were stored again, say nothing about elsewhere and are set
aside. Classes that the run does not know are left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from covidcore import proportions
from covidcore.data.duplicates import near_duplicate_groups
from covidcore.data.known import KnownImages, like
from covidcore.errors import DataError

SPLIT = "outside"
"""What the split of such images is called in tables and documents."""
_SETS = (("training", "train"), ("validation", "val"), ("test", "test"), ("weights", "weights"))
ASIDE = ("file", "label", "kind", "split", "like")
ALL, TRAINING, NONE = "all", "training", "none"
"""Which of a model's own images are known, to be set aside; of an imported one never all."""


def suggested_mapping(theirs: Sequence[str], ours: Sequence[str]) -> dict[str, str]:
    """Their classes whose names are ours but for case, each with ours."""
    by_name = {name.casefold(): name for name in ours}
    return {name: by_name[name.casefold()] for name in theirs if name.casefold() in by_name}


def check_mapping(mapping: Mapping[str, str], theirs: Sequence[str], ours: Sequence[str]) -> None:
    """See that ``mapping`` leads from classes that are there to classes that the run answers.

    Raises: DataError, saying what there is.
    """
    they, we = ", ".join(theirs), ", ".join(ours)
    if not mapping:
        raise DataError(
            f"No class of the dataset ({they}) has the name of one that the run answers ({we}): "
            'say which is which with --map "Their name=Our name".'
        )
    for name, meant in mapping.items():
        if name not in theirs:
            raise DataError(f"The dataset has no class “{name}” to map; it has {they}.")
        if meant not in ours:
            raise DataError(f"The run answers no class “{meant}”; it answers {we}.")


def overlaps(rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Which of ``rows`` show a picture that is among the ``known``, and which picture that is.

    Both have the index's columns; ``known``, images of the run, has split too. Returns file, label,
    kind (``exact``: the same pixels; ``near``: a near duplicate, mirrored or in chains, see
    `data.duplicates`), split and like (the image of the run, of the training set where there is
    one), in the order of ``rows``.
    """
    first = known.sort_values("split", key=lambda names: names != "train", kind="stable")
    columns = ["pixel_sha256", "dhash", "thumbnail"]
    together = pd.concat([first[columns], rows[columns]], ignore_index=True)
    groups = near_duplicate_groups(together) if len(together) else np.zeros(0, np.int64)
    looks = pd.Series(np.arange(len(first)), index=groups[: len(first)])
    pixels = pd.Series(np.arange(len(first)), index=first["pixel_sha256"])
    near = pd.Series(groups[len(first) :]).map(_firsts(looks)).to_numpy(np.float64)
    exact = rows["pixel_sha256"].map(_firsts(pixels)).to_numpy(np.float64)
    which = np.where(np.isnan(exact), near, exact)
    found = ~np.isnan(which)
    like = which[found].astype(np.int64)
    return pd.DataFrame(
        {
            "file": rows["file"].to_numpy()[found],
            "label": rows["label"].to_numpy()[found],
            "kind": np.where(np.isnan(exact[found]), "near", "exact"),
            "split": first["split"].to_numpy()[like],
            "like": first["file"].to_numpy()[like],
        }
    )


def seen_before(rows: pd.DataFrame, known: KnownImages, split: str) -> pd.DataFrame:
    """Which of ``rows`` are among images of which only hashes are known; as ``overlaps``.

    Their kind is ``near``, and their split what is said here: ``weights`` for images that weights
    had been trained on before.
    """
    found = like(rows, known)
    at = found >= 0
    names = np.array(known.files, dtype=object)[found[at]]
    return (
        rows.loc[at, ["file", "label"]]
        .reset_index(drop=True)
        .assign(kind="near", split=split, like=names)
    )


def _firsts(places: "pd.Series[int]") -> "pd.Series[float]":
    return places[~places.index.duplicated()].astype(np.float64)


def count_aside(aside: pd.DataFrame) -> dict[str, Any]:
    """What is stated of ``overlaps``: how many of each kind and set, and all of them."""
    return {
        "images": len(aside),
        **{kind: int((aside["kind"] == kind).sum()) for kind in ("exact", "near")},
        **{name: int((aside["split"] == split).sum()) for name, split in _SETS},
        "files": aside[list(ASIDE)].to_dict("records"),
    }


def drop(inside: Mapping[str, Any], outside: Mapping[str, Any]) -> dict[str, Any]:
    """How much lower figures are outside than on the run's own test images, with 95 % intervals.

    Both are documents of ``predictions.evaluate`` of one run. ``accuracy`` is of all images,
    whatever their classes; ``mean_recall`` weights the classes that are there outside alike, inside
    too, so that another mix of classes moves it less; ``per_class`` is their recalls. Each has
    inside, outside, difference (above 0: worse outside), ci and how many images it is of. The two
    sets are taken as independent and their images as well. Newcombe's interval for shares; for
    the mean the same from its parts (`proportions.mover`).
    """
    classes = list(inside["classes"])
    own = np.asarray(inside["confusion"])
    theirs = np.asarray(outside["confusion"])
    there = [at for at in range(len(classes)) if theirs[at].sum()]
    own_hits, their_hits = (
        [(int(m[at, at]), int(m[at].sum())) for at in there] for m in (own, theirs)
    )
    return {
        "accuracy": _difference(
            (int(np.trace(own)), int(own.sum())), (int(np.trace(theirs)), int(theirs.sum()))
        ),
        "mean_recall": _difference_of_means(own_hits, their_hits),
        "per_class": {
            classes[at]: _difference(one, two)
            for at, one, two in zip(there, own_hits, their_hits, strict=True)
        },
    }


_Share = tuple[int, int]


def _difference(own: _Share, theirs: _Share) -> dict[str, Any]:
    inside, outside = (hits / of if of else float("nan") for hits, of in (own, theirs))
    return {
        "inside": inside,
        "inside_ci": list(proportions.wilson(*own)),
        "inside_n": own[1],
        "outside": outside,
        "outside_ci": list(proportions.wilson(*theirs)),
        "outside_n": theirs[1],
        "difference": inside - outside,
        "ci": list(proportions.newcombe(*own, *theirs)),
    }


def _difference_of_means(own: list[_Share], theirs: list[_Share]) -> dict[str, Any]:
    inside, *inside_ci = proportions.mean_of_proportions(own)
    outside, *outside_ci = proportions.mean_of_proportions(theirs)
    return {
        "inside": inside,
        "inside_ci": inside_ci,
        "inside_n": sum(of for _, of in own),
        "outside": outside,
        "outside_ci": outside_ci,
        "outside_n": sum(of for _, of in theirs),
        "difference": inside - outside,
        "ci": list(proportions.mover(inside, inside_ci, outside, outside_ci)),
    }
