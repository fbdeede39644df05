"""The filters of the gallery: every one is in the link, and all of them narrow together."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import streamlit as st

from covidcore.data import gallery
from covidcore.data.audit_images import NAMES
from covidcore.data.gallery import Copies, Wanted
from covidcore.errors import CovidcoreError
from covidcore.wording import visible
from pages import explore_reads, shared
from pages.explore_overview import NOT_STATED, SET_NAMES, split_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from covidcore.data.index import Dataset

LISTS = ("class", "source", "split", "copies", "group", "mode", "finding")
"""Query parameters of what is chosen from a list; beside them there are ``size`` and ``page``."""

_COPIES = {"any": "All copies", "exact": "Exact copies", "near": "Near copies"}


class Chosen(NamedTuple):
    """What the filters leave."""

    rows: "NDArray[np.int64]"
    filtered: bool
    sets: "NDArray[np.object_] | None"
    """The set of every image; None where the dataset can not be split."""
    repeats: Copies | None
    """Known only where copies were asked for."""
    findings: "dict[str, NDArray[np.bool_]]"
    """The images of each finding; empty where the dataset was not audited."""


def draw(dataset: "Dataset") -> Chosen:
    """The filters, and the images that they leave."""
    index, home = dataset.index, shared.settings().home
    with st.grid(4, min_column_width=150):
        label = _one_of("Class", "class", "All classes", dataset.classes)
        sources = sorted(index["source"].unique())
        source = _one_of("Source", "source", "All sources", sources, _source)
        run = split_of(dataset)
        sets, findings = _sets(dataset, run), explore_reads.findings(dataset, run)
        present = set() if sets is None else set(sets)
        known = [name for name in SET_NAMES if name in present]
        split = _one_of("Set", "split", "All sets", known, SET_NAMES.get)
        kind = _one_of("Copies", "copies", "All images", _COPIES, _COPIES.get)
        repeats = explore_reads.copies(dataset.fingerprint, home) if kind else None
        group = _group(repeats, kind) if repeats else None
        mode = _one_of("Mode of the file", "mode", "All modes", sorted(index["mode"].unique()))
        finding = _finding(findings)
        longer = _longer(dataset)
    wanted = Wanted(label, source, split, mode, longer, kind, group, finding)
    rows = gallery.choose(index, wanted, sets, repeats, findings)
    return Chosen(rows, wanted != Wanted(), sets, repeats, findings or {})


def clear(dataset: "Dataset") -> None:
    """Ask for all images again; for the callback of a button."""
    for key in LISTS:
        st.session_state[key] = None
    st.session_state["size"] = _sides(dataset)
    changed()


def changed() -> None:
    """Begin at the first page of what is now asked for."""
    st.session_state["page"] = 1
    st.query_params.pop("image", None)


def _one_of(
    title: str,
    key: str,
    every: str,
    options: Iterable[Any],
    named: Callable[[Any], str | None] = visible,
    **more: Any,
) -> Any:
    """A list to choose from; None, worded as ``every``, asks for nothing."""
    known = list(options)
    chosen = st.selectbox(
        title,
        [None, *known],
        format_func=lambda option: every if option is None else named(option) or str(option),
        key=key,
        bind="query-params",
        on_change=changed,
        **more,
    )
    return chosen if chosen in known else None  # of another dataset, or sent by a stranger


def _source(name: str) -> str:
    return visible(name) or NOT_STATED


def _sets(dataset: "Dataset", run: str) -> "NDArray[np.object_] | None":
    try:
        return explore_reads.sets(dataset.fingerprint, run, shared.settings().home)
    except CovidcoreError:  # the overview says why
        return None


def _group(repeats: Copies, kind: str) -> int | None:
    numbers, sizes = np.unique(repeats.group[repeats.of_kind(kind)], return_counts=True)
    names = {
        int(number): f"Group {number} ({size} images)"
        for number, size in zip(numbers, sizes, strict=True)
    }
    return _one_of("Group of copies", "group", "All groups", names, names.get)


def _finding(findings: "dict[str, NDArray[np.bool_]] | None") -> str | None:
    return _one_of(
        *("Finding", "finding", "All images"),
        [kind for kind in NAMES if kind in (findings or {})],
        NAMES.get,
        disabled=findings is None,
        help="What an audit found about single images."
        if findings is not None
        else "Known once the dataset has been audited.",
    )


def _longer(dataset: "Dataset") -> tuple[int, int] | None:
    """The longer side, where the images are not all of one size."""
    low, high = _sides(dataset)
    if low == high:
        return None
    chosen = st.slider(
        "Longer side (pixels)", low, high, (low, high), key="size",
        bind="query-params", on_change=changed,
    )  # fmt: skip
    return None if chosen == (low, high) else chosen


def _sides(dataset: "Dataset") -> tuple[int, int]:
    longer = dataset.index[["width", "height"]].max(axis=1)
    return int(longer.min()), int(longer.max())
