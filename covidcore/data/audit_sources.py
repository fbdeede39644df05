"""Do the sources tell the classes? Tables of counts, and figures that are read off them.

No image is looked at. What is said about ages is what file names, sources and published layouts
prove; of all other images nothing is said.
"""

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from covidcore.data.index import Dataset

if TYPE_CHECKING:
    import pandas as pd

_KERMANY = "chest-xray-pneumonia"
"""The collection of Kermany et al. (Kaggle's Mooney): children of one to five years, all of them.
Source: Kermany 2018, Cell 172:1122, "pediatric patients of one to five years old"."""
_KERMANY_PATIENT = re.compile(r"(?:.*:)?(?:person\d+_(?:virus|bacteria)|(?:NORMAL2?-)?IM-\d+)")
_KERMANY_CLASSES = {
    "v1": {"NORMAL": 1341, "Viral Pneumonia": 1345},
    "v3": {"NORMAL": 1341, "Viral Pneumonia": 1345},
    "v5": {"Viral Pneumonia": 1345},
}
"""Classes of the published releases that are of that collection whole, and their sizes."""


def source_by_class(index: "pd.DataFrame") -> "pd.DataFrame":
    """Images of each source (rows; "" where it is not stated) and class (columns), sorted."""
    import pandas as pd

    return pd.crosstab(index["source"], index["label"])


def cramers_v(counts: "pd.DataFrame") -> float:
    """Association of the rows of a table of counts with its columns: 0 none, 1 complete.

    Corrected for the bias that small tables have, which makes independent ones look related;
    empty rows and columns do not count. NaN where one row or one column is left. Source: Bergsma
    2013, "A bias-correction for Cramér's V and Tschuprow's T", J. Korean Stat. Soc. 42:323, eq. 3.
    """
    table = counts.to_numpy(dtype=float)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return math.nan
    total = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    phi2 = ((table - expected) ** 2 / expected).sum() / total
    rows, columns = table.shape
    phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (total - 1))
    least = min(size - (size - 1) ** 2 / (total - 1) for size in table.shape)
    # Fewer images than cells can leave nothing to divide by: then nothing can be said.
    return min(1.0, math.sqrt(phi2 / (least - 1))) if least > 1 else math.nan


def source_only_hits(counts: "pd.DataFrame") -> int | None:
    """How many images a rule gets right that answers the largest class of an image's source.

    It is counted on the images that it learns from, so it is the best that any rule by source
    could do. None where no source is known: a source that is not stated tells nothing.
    """
    if counts.empty or list(counts.index) == [""]:
        return None
    return int(counts.max(axis=1).sum())


def own_sources(counts: "pd.DataFrame") -> dict[str, int]:
    """Classes none of whose images shares a source with another class, and their images.

    For these the source tells the class without fail.
    """
    known = counts.drop(index="", errors="ignore")
    alone = known.gt(0).sum(axis=1) == 1
    return {
        str(name): int(counts[name].sum())
        for name in counts.columns
        if len(known.columns) > 1
        and counts[name].sum() > 0
        and int(known.loc[alone, name].sum()) == int(counts[name].sum())
    }


def is_of_children(dataset: Dataset) -> "pd.Series":
    """For each image, whether it is proven to be of a child; False says nothing.

    Proof is the source, a patient's name of the Kermany collection, or a class of a published
    release that has exactly as many images as were published.
    """
    index = dataset.index
    proven = index["source"].str.casefold() == _KERMANY
    proven |= index["group"].map(lambda name: bool(_KERMANY_PATIENT.fullmatch(name)))
    for name, published in _KERMANY_CLASSES.get(dataset.layout, {}).items():
        of_class = index["label"] == name
        if int(of_class.sum()) == published:
            proven |= of_class
    return proven


def children(dataset: Dataset) -> dict[str, Any]:
    """Images of children (proven) and of unknown age, by class and by source."""
    known = is_of_children(dataset)
    return {
        f"by_{column if column == 'source' else 'class'}": {
            str(name): {"children": int(part.sum()), "unknown": int((~part).sum())}
            for name, part in known.groupby(dataset.index[column])
        }
        for column in ("label", "source")
    }
