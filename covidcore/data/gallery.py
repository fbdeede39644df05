"""Which images of a dataset somebody asks to see: filters over the index, and groups of copies."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from covidcore.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]

_Given = TypeVar("_Given")

COPIES = ("any", "exact", "near")
"""Kinds of copies: of either kind; to the pixel; nearly or mirrored."""


class Copies(NamedTuple):
    """Which rows show a picture that other rows show as well; each array ``(N,)``."""

    group: Rows
    """1 and up for groups of copies, in order of their first rows; 0 for what is there once."""
    exact: Flags
    """Whether another row agrees to the pixel."""
    near: Flags
    """Whether another row of the group does not agree to the pixel."""

    def of_kind(self, kind: str) -> Flags:
        """The rows that have a copy of this kind. Raises: DataError unless it is in ``COPIES``."""
        if kind not in COPIES:
            raise DataError(f"“{kind}” is no kind of copies: use {', '.join(COPIES)}.")
        return {"any": self.group > 0, "exact": self.exact, "near": self.near}[kind]


@dataclass(frozen=True)
class Wanted:
    """What an image must be to be shown; None asks for nothing."""

    label: str | None = None
    source: str | None = None
    """"" is a source that is not stated."""
    split: str | None = None
    """A set: train, val or test; "" are the images that a split leaves out."""
    mode: str | None = None
    longer: tuple[int, int] | None = None
    """Least and greatest longer side, in pixels, both included."""
    copies: str | None = None
    """One of ``COPIES``."""
    group: int | None = None
    """A number of ``Copies.group``."""
    finding: str | None = None
    """A finding of an audit."""


def copies(index: "pd.DataFrame", pictures: Rows) -> Copies:
    """Number the groups of copies; ``pictures`` is a number a row that copies share, in any order.

    ``index`` has the column pixel_sha256.
    """
    _, first, inverse, size = np.unique(
        pictures, return_index=True, return_inverse=True, return_counts=True
    )
    several = size > 1
    number = np.zeros(len(size), dtype=np.int64)
    order = np.flatnonzero(several)[np.argsort(first[several])]
    number[order] = np.arange(1, len(order) + 1)
    exact_size = index.groupby("pixel_sha256")["pixel_sha256"].transform("size").to_numpy()
    return Copies(number[inverse], exact_size > 1, size[inverse] > exact_size)


def sets_of(index: "pd.DataFrame", dealt: "pd.DataFrame") -> NDArray[np.object_]:
    """The set of each row ``(N,)``: train, val or test, and "" where a split leaves the image out.

    ``dealt`` has the columns file and split.
    """
    found = index["file"].map(dealt.set_index("file")["split"]).fillna("")
    return found.to_numpy(dtype=object)


def choose(
    index: "pd.DataFrame",
    wanted: Wanted,
    sets: NDArray[np.object_] | None = None,
    repeats: Copies | None = None,
    findings: "dict[str, Flags] | None" = None,
) -> Rows:
    """The rows of ``index`` that are as ``wanted``, in its order; copies side by side if asked for.

    ``sets``, ``repeats`` and ``findings`` (name -> rows) are needed only where ``wanted`` asks for
    a split, for copies or for a finding. Raises: DataError where they are not given.
    """
    kept = np.ones(len(index), dtype=bool)
    for column in ("label", "source", "mode"):
        value = getattr(wanted, column)
        if value is not None:
            kept &= (index[column] == value).to_numpy()
    if wanted.longer is not None:
        low, high = wanted.longer
        longer = np.maximum(index["width"].to_numpy(), index["height"].to_numpy())
        kept &= (longer >= low) & (longer <= high)
    if wanted.split is not None:
        kept &= _given(sets, "split") == wanted.split
    if wanted.finding is not None:
        kept &= _given(findings, "finding").get(wanted.finding, np.zeros(len(index), dtype=bool))
    if wanted.copies is None and wanted.group is None:
        return np.flatnonzero(kept)
    known = _given(repeats, "copies")
    if wanted.copies is not None:
        kept &= known.of_kind(wanted.copies)
    if wanted.group is not None:
        kept &= known.group == wanted.group
    rows = np.flatnonzero(kept)
    return rows[np.argsort(known.group[rows], kind="stable")]


def _given(value: _Given | None, what: str) -> _Given:
    if value is None:
        raise DataError(f"Images can not be chosen by {what}: it is not known for this dataset.")
    return value


def page_of(rows: Rows, row: int, per_page: int) -> int:
    """The page, from 1, on which ``row`` stands; 1 where it is not among ``rows``."""
    at = np.flatnonzero(rows == row)
    return 1 + int(at[0]) // per_page if len(at) else 1


def beside(rows: Rows, row: int) -> tuple[int | None, int | None]:
    """The rows before and after ``row``; None at an end, and where ``row`` is not among them."""
    at = np.flatnonzero(rows == row)
    if not len(at):
        return None, None
    here = int(at[0])
    before = int(rows[here - 1]) if here else None
    return before, int(rows[here + 1]) if here + 1 < len(rows) else None


def examples(index: "pd.DataFrame", each: int) -> Rows:
    """At most ``each`` rows of every class, evenly over its files, the first one among them."""
    rows = [
        np.asarray(of_class, dtype=np.int64)[
            np.linspace(0, len(of_class), min(each, len(of_class)), endpoint=False).astype(int)
        ]
        for of_class in index.groupby("label", sort=True).indices.values()
    ]
    return np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
