"""Which images each finding of an audit is about, where it is about images one can look at."""

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from covidcore.data.audit_leaks import LEAKS, known_from_training, picture_ids
from covidcore.data.audit_pictures import RULES
from covidcore.data.audit_sources import is_of_children

if TYPE_CHECKING:
    from covidcore.data.index import Dataset

NAMES = {
    "leak": "Test images known from training",
    "exact_duplicates": "Exact copies",
    "near_duplicates": "Near copies",
    "label_conflicts": "One picture in several classes",
    "own_sources": "Classes with sources of their own",
    "children": "Proven to be of children",
    "unknown_sources": "No stated source",
    "unknown_patients": "Unknown patients",
    "blank": "Blank",
    "too_dark": "Too dark",
    "too_bright": "Too bright",
    "inverted": "Negatives",
    "rotated": "Turned or upside down",
    "unlike": "Unlike the others",
    "colour": "Coloured",
    "odd_shape": "Another shape",
    "small": "Much smaller",
}
"""Kind of a finding (and rule of outliers) -> what its images are called in a list."""


def findings_of_images(
    measured: dict[str, Any], dataset: "Dataset", sets: NDArray[np.object_] | None = None
) -> dict[str, NDArray[np.bool_]]:
    """Kind -> which rows of the index ``(N,)``; kinds that list no image are left out.

    ``measured`` is what an audit keeps of a dataset, or its whole document. Of copies all are
    listed, the first one too. ``sets`` is the set of each row (``gallery.sets_of``); without it
    nothing leaks.
    """
    import pandas as pd

    index = dataset.index

    def files(names: Iterable[str]) -> NDArray[np.bool_]:
        return np.asarray(index["file"].isin(list(names)))

    grouped = ("exact_duplicates", "near_duplicates", "label_conflicts")
    found = {kind: files(chain.from_iterable(measured[kind])) for kind in grouped}
    found |= {
        "own_sources": index["label"].isin(list(measured["own_sources"])).to_numpy(),
        "children": is_of_children(dataset).to_numpy(),
        "unknown_sources": (index["source"] == "").to_numpy(),
        "unknown_patients": (index["group"] == "").to_numpy(),
    }
    if sets is not None:
        dealt = pd.DataFrame({"file": index["file"], "split": sets})
        pictures = picture_ids(index, measured["near_pairs"])
        known = known_from_training(index, dealt, pictures)
        found["leak"] = files(known["file"][known[list(LEAKS)].any(axis=1)])
    for rule in RULES:
        found[rule] = files(one["file"] for one in measured["outliers"] if one["rule"] == rule)
    return {kind: found[kind] for kind in NAMES if kind in found and found[kind].any()}
