"""Training, validation and test sets: seeded, stratified, and never across a group."""

from typing import TYPE_CHECKING

from covidcore import storage
from covidcore.errors import DataError, RecipeError
from covidcore.wording import brief

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

SPLITS = ("train", "val", "test")
GROUPINGS = ("none", "patient", "near_duplicates", "both")
"""What is never divided between sets; ``both``: chains of patients and near duplicates."""


_WORDS = {"near_duplicates": "near duplicates", "both": "patient and near duplicates"}


def parse_fractions(text: str) -> tuple[float, float, float]:
    """Read shares such as ``70/10/20`` as fractions of one.

    Raises: RecipeError unless they are three positive numbers that add up to 100.
    """
    try:
        shares = tuple(float(part) for part in text.split("/"))
    except ValueError:
        shares = ()
    # Negated comparisons so that "nan" is refused too.
    if len(shares) != 3 or not all(share > 0 for share in shares) or not abs(sum(shares) - 100) < 1:
        raise RecipeError(
            f"“{brief(text)}” is not a split: give train/validation/test shares that add up to "
            "100, such as 70/10/20."
        )
    train, val, test = (share / sum(shares) for share in shares)
    return train, val, test


def split(
    index: "pd.DataFrame",
    fractions: str = "70/10/20",
    seed: int = 0,
    group_by: str = "patient",
    seen: "NDArray[np.bool_] | None" = None,
    kept: "Path | None" = None,
) -> "pd.DataFrame":
    """Deal the images of an index into train, val and test.

    Groups (``patient``: the index column ``group``; ``near_duplicates``: chains of images that are
    the same picture, see `duplicates`; ``both``: chains of either; ``none``: each image by itself)
    go whole into one set. An image whose patient is unknown is a patient of its own.
    Groups are dealt in seeded order, the large ones first, each to the set that is furthest from
    its share of the group's classes: so every class is spread as the fractions say. A group of
    which some image was ``seen`` ``(N,)``, by the weights that training starts from, goes into the
    training set; the others are then dealt until validation and test have their share, if they can.
    ``kept``: see `duplicates.near_duplicate_pairs`.

    Returns the columns file, label, group, split. Raises: DataError where a class has too few
    groups for one in each set.
    """
    import numpy as np

    shares = np.array(parse_fractions(fractions))
    groups = group_ids(index, group_by, kept)
    labels, classes = index["label"].factorize(sort=True)
    counts = np.zeros((groups.max() + 1, len(classes)), dtype=np.int64)
    np.add.at(counts, (groups, labels), 1)
    held = np.zeros(len(counts), dtype=bool)
    if seen is not None:
        held[groups[seen]] = True
    _check_enough(counts, held, list(classes), group_by)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    order = order[~held[order]]
    of_group = np.zeros(len(counts), dtype=np.int64)
    of_group[order] = _deal(counts[order], shares, counts[held].sum(axis=0))
    _check_dealt(counts, of_group, list(classes), group_by)
    table = index[["file", "label", "group"]].reset_index(drop=True)
    table["split"] = np.array(SPLITS)[of_group[groups]]
    return table


def _deal(
    counts: "NDArray[np.int64]", shares: "NDArray[np.float64]", training: "NDArray[np.int64]"
) -> list[int]:
    """Choose a set for each group in turn; ``counts`` is ``(groups, classes)``.

    ``training`` ``(classes,)`` is what the training set has already.
    """
    # Plain numbers: most groups are one image, for which numpy takes ten times as long.
    wanted = shares[:, None] * (training + counts.sum(axis=0))[None, :]
    want: list[list[float]] = wanted.tolist()
    have: list[list[int]] = [training.tolist(), *([0] * counts.shape[1] for _ in shares[1:])]
    left: list[int] = (counts > 0).sum(axis=0).tolist()
    sets, chosen = range(len(shares)), []
    for row in counts.tolist():
        present = [(at, images) for at, images in enumerate(row) if images]
        # A set without a class gets one while there are only as many groups left as such sets.
        urgent: set[int] = set()
        for at, _ in present:
            lacking = [part for part in sets if not have[part][at]]
            urgent.update(lacking if left[at] <= len(lacking) else ())
        # How full each set would be, as a share of what it wants, in its fullest class. Half a
        # group is counted (Webster's method): whole ones would favour the largest set.
        filled = [
            max((have[part][at] + images / 2) / want[part][at] for at, images in present)
            for part in sets
        ]
        top = max(filled)
        ranks = [rank - top - 1 if part in urgent else rank for part, rank in enumerate(filled)]
        best = ranks.index(min(ranks))
        for at, images in present:
            have[best][at] += images
            left[at] -= 1
        chosen.append(best)
    return chosen


def group_ids(
    index: "pd.DataFrame", group_by: str, kept: "Path | None" = None
) -> "NDArray[np.int64]":
    """A number a row; rows that must stay together share one.

    ``kept``: see `duplicates.near_duplicate_pairs`.
    """
    import numpy as np

    if group_by == "none":
        return np.arange(len(index))
    if group_by == "patient":
        names = index["group"].where(index["group"] != "", "\0" + index["file"])
        return np.asarray(names.factorize()[0], dtype=np.int64)
    if group_by == "near_duplicates":
        from covidcore.data.duplicates import near_duplicate_groups

        return near_duplicate_groups(index, kept)
    if group_by == "both":
        return linked(group_ids(index, "patient"), group_ids(index, "near_duplicates", kept))
    raise RecipeError(f"“{group_by}” is not a way to group: use {', '.join(GROUPINGS)}.")


def linked(*groupings: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """A number a row; rows that any grouping ``(N,)`` keeps together, in chains, share one."""
    import numpy as np

    from covidcore.data.duplicates import connected

    firsts = []
    for groups in groupings:
        _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
        firsts.append(first[inverse])
    rows = np.arange(len(groupings[0]))
    return connected(len(rows), np.tile(rows, len(groupings)), np.concatenate(firsts))


def _check_dealt(
    counts: "NDArray[np.int64]", chosen: "NDArray[np.int64]", classes: list[str], group_by: str
) -> None:
    """Groups of several classes may leave no way to give each set some of each class."""
    for position, name in enumerate(SPLITS):
        missing = counts[chosen == position].sum(axis=0) == 0
        if missing.any():
            raise DataError(
                f"No {name} images are left for class “{classes[int(missing.argmax())]}” when "
                f"images are grouped by {_WORDS.get(group_by, group_by)}: use another group_by or "
                "split."
            )


def _check_enough(
    counts: "NDArray[np.int64]", held: "NDArray[np.bool_]", classes: list[str], group_by: str
) -> None:
    """Groups that are ``held`` for training serve no other set."""
    unit = {
        "none": "images",
        "patient": "patients",
        "near_duplicates": "groups of near duplicates",
        "both": "groups of patients and near duplicates",
    }[group_by]
    present = counts > 0
    for name, have, free in zip(
        classes, present.sum(axis=0), present[~held].sum(axis=0), strict=True
    ):
        if have < len(SPLITS):
            raise DataError(
                f"Class “{name}” has {have} {unit}; a split into training, validation and test "
                f"sets needs at least {len(SPLITS)}."
            )
        if free < len(SPLITS) - 1:
            raise DataError(
                f"The weights that training would start from were trained on all but {free} of the "
                f"{have} {unit} of class “{name}”, so that too few are left for a test. Start from "
                "other weights, or say known_images=any: figures then flatter."
            )


def digest(table: "pd.DataFrame") -> str:
    """A hash of who is where: 32 hex digits."""
    rows = table[["file", "split"]].sort_values("file").to_numpy().tolist()
    return storage.sha256_bytes(storage.canonical_json(["split-1", rows]))[:32]


def summary(table: "pd.DataFrame") -> "pd.DataFrame":
    """Images a class (rows) and set (columns train, val, test)."""
    import pandas as pd

    counts = pd.crosstab(table["label"], table["split"])
    return counts.reindex(columns=list(SPLITS), fill_value=0)
