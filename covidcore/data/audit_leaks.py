"""Pictures that are in a dataset twice, and those that a split puts on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from covidcore import storage
from covidcore.data.duplicates import closest, connected, near_duplicate_pairs
from covidcore.data.facts import Progress
from covidcore.data.index import Dataset
from covidcore.data.split import GROUPINGS, SPLITS, parse_fractions, split
from covidcore.errors import DataError, RecipeError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


LEAKS = ("exact", "near", "patient")
"""What a test image may be known from training by."""


@dataclass(frozen=True)
class SplitSettings:
    """How a dataset is going to be split; the fields of the same name of a recipe."""

    split: str = "70/10/20"
    """Shares of training, validation and test."""
    seed: int = 0
    group_by: str = "patient"
    """One of ``split.GROUPINGS``."""
    exclude_sources: tuple[str, ...] = ()
    """Sources whose images take no part."""

    def __post_init__(self) -> None:
        """Raises: RecipeError for shares, a grouping or a seed that are none."""
        parse_fractions(self.split)
        if not 0 <= self.seed < 2**31:
            raise RecipeError(f"seed is {self.seed}; it must lie between 0 and {2**31 - 1}.")
        if self.group_by not in GROUPINGS:
            raise RecipeError(
                f"“{self.group_by}” is not a way to group: use {', '.join(GROUPINGS)}."
            )

    def key(self) -> str:
        """16 hex digits; two spellings of the same shares have one."""
        shares = [round(share, 6) for share in parse_fractions(self.split)]
        value = [shares, self.seed, self.group_by, sorted(set(self.exclude_sources))]
        return storage.sha256_bytes(storage.canonical_json(value))[:16]


def repeated(
    index: "pd.DataFrame", progress: Progress | None = None, kept: "Path | None" = None
) -> dict[str, Any]:
    """Which files are the same picture.

    ``exact_duplicates``: groups of files that agree to the pixel. ``near_duplicates``: groups of
    pictures linked by near duplicates, each given by the first file that shows it, so that groups
    of exact copies alone are not among them. ``near_pairs``: first, second, mirrored, correlation:
    the closest links that hold each group together, one less than it has pictures, so that a
    thousand copies are not half a million pairs. All in order of the files. ``kept``: see
    `duplicates.near_duplicate_pairs`.
    """
    distinct = index.drop_duplicates("pixel_sha256").reset_index(drop=True)
    files = distinct["file"].to_numpy()
    pairs = closest(len(distinct), near_duplicate_pairs(distinct, progress, kept))
    groups = connected(len(distinct), pairs.first, pairs.second)
    return {
        "exact_duplicates": _together(index["file"].to_numpy(), index["pixel_sha256"].to_numpy()),
        "near_duplicates": _together(files, groups),
        "near_pairs": [
            {
                "first": files[i],
                "second": files[j],
                "mirrored": bool(turned),
                "correlation": round(float(likeness), 4),
            }
            for i, j, turned, likeness in zip(*pairs, strict=True)
        ],
    }


def _together(files: NDArray[Any], groups: NDArray[Any]) -> list[list[str]]:
    """The groups of two files and more."""
    import pandas as pd

    members = pd.Series(files).groupby(groups, sort=False)
    return [list(map(str, group)) for _, group in members if len(group) > 1]


def picture_ids(index: "pd.DataFrame", near_pairs: Sequence[dict[str, Any]]) -> NDArray[np.int64]:
    """A number a row; files that show the same picture, exactly, nearly or in chains, share one.

    ``near_pairs`` are those of ``repeated``, so that nothing is compared again.
    """
    picture = np.asarray(index["pixel_sha256"].factorize()[0], dtype=np.int64)
    of_file = dict(zip(index["file"], picture, strict=True))
    ends = [
        np.array([of_file[pair[end]] for pair in near_pairs], dtype=np.int64)
        for end in ("first", "second")
    ]
    return np.asarray(connected(int(picture.max()) + 1, *ends)[picture], dtype=np.int64)


def label_conflicts(index: "pd.DataFrame", pictures: NDArray[np.int64]) -> list[list[str]]:
    """Groups of files that show one picture under two labels or more."""
    labels = index.groupby(pictures)["label"].nunique()
    torn = np.isin(pictures, labels.index[labels > 1])
    return _together(index["file"].to_numpy()[torn], pictures[torn])


def known_from_training(
    index: "pd.DataFrame", dealt: "pd.DataFrame", pictures: NDArray[np.int64]
) -> "pd.DataFrame":
    """For each test image, whether a copy of it, or its patient, is among the training images.

    ``dealt`` has the columns file and split, of some or all rows of ``index``; ``pictures`` is that
    of ``picture_ids``. Returns the columns file, exact, near (the same picture, exact copies
    aside) and patient; an image may be several of these.
    """
    import pandas as pd

    sets = index["file"].map(dealt.set_index("file")["split"])
    train, test = (sets == "train").to_numpy(), (sets == "test").to_numpy()
    pixels, patients = index["pixel_sha256"], index["group"]
    exact = pixels[test].isin(pixels[train]).to_numpy()
    near = np.isin(pictures[test], pictures[train])
    known = patients[train & (patients != "").to_numpy()]
    return pd.DataFrame(
        {
            "file": index["file"][test].to_numpy(),
            "exact": exact,
            "near": near & ~exact,
            "patient": patients[test].isin(known).to_numpy(),
        }
    )


def leaks(
    index: "pd.DataFrame", dealt: "pd.DataFrame", pictures: NDArray[np.int64]
) -> dict[str, int]:
    """``known_from_training``, counted: ``test`` images, ``exact``, ``near``, ``patient``, ``any``.

    ``any`` counts an image once that is several of these.
    """
    known = known_from_training(index, dealt, pictures)
    counts = {kind: int(known[kind].sum()) for kind in LEAKS}
    return {"test": len(known)} | counts | {"any": int(known[list(LEAKS)].any(axis=1).sum())}


def deal(
    dataset: Dataset, chosen: SplitSettings, seen: "NDArray[np.bool_] | None" = None
) -> "pd.DataFrame":
    """The split that a run with these settings would get: file, label, group, split, source.

    ``seen`` ``(N,)``: images that weights were trained on, see `split`. Raises: RecipeError for a
    source that is not there; DataError where a class is too small.
    """
    check_sources(dataset, chosen)
    index = dataset.index
    stays = ~index["source"].isin(chosen.exclude_sources)
    kept = index[stays]
    gone = sorted(set(dataset.classes) - set(kept["label"]))
    if gone:
        raise DataError(f"Without these sources, class “{gone[0]}” has no images left.")
    met = None if seen is None else seen[stays.to_numpy()]
    table = split(kept, chosen.split, chosen.seed, chosen.group_by, met, dataset.near_pairs)
    return table.assign(source=kept["source"].to_numpy())


def check_sources(dataset: Dataset, chosen: SplitSettings) -> None:
    """Raises: RecipeError for a source to exclude that the dataset does not have."""
    unknown = sorted(set(chosen.exclude_sources) - set(dataset.index["source"]))
    if unknown:
        raise RecipeError(f"The dataset has no source “{unknown[0]}” that could be excluded.")


def counts(dealt: "pd.DataFrame", column: str) -> dict[str, dict[str, int]]:
    """Images of each value of ``column`` (label or source) in each set."""
    import pandas as pd

    table = pd.crosstab(dealt[column], dealt["split"]).reindex(columns=list(SPLITS), fill_value=0)
    return {
        str(name): {part: int(row[part]) for part in SPLITS}
        for name, row in table.to_dict("index").items()
    }
