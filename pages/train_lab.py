"""The shortcut lab on the train page: a mark on one class, and which figures turn red."""

from typing import Any

import numpy as np
import streamlit as st

from covidcore.data.pixels import squares
from covidcore.errors import DataError
from covidcore.jobs.lab import ARMS, SHARES, lab_study
from covidcore.jobs.store import RunStore
from covidcore.wording import duration, interval, markdown, percent, points
from pages import shared, shared_notes, shared_tasks

ABOUT = """
Phantoms are drawn twice, the same patients each time. Once as they are; once with a mark in the
corner of most images of one class, as a hospital's label would be. Both sets are trained alike, and
asked alike. Watch which figure notices that the second model has learnt the mark. Some minutes; it
goes on when this page is closed.
"""
FIGURES = (
    ("Right on its test images", (), "What a paper would report."),
    ("Right by the border alone", ("border",), "A rule that sees the outer 5 % of the picture."),
    ("Right with the lungs blacked", ("lungs_out",), "There is nothing left to be right about."),
    ("Right on new, unmarked images", ("elsewhere",), "Where the hospital's label is not."),
)


def draw(store: RunStore) -> None:
    """Folded up, unless the link or a person opens it."""
    if store.rules.bounded:  # the library refuses it there as well
        return
    with st.expander(
        "Shortcut lab", icon=":material/science:", key="lab", on_change="rerun",
        bind="query-params",
    ) as opened:  # fmt: skip
        if opened.open:
            with shared.told():
                _lab(store)


def _lab(store: RunStore) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        share = st.select_slider(
            "Images of the first class that are marked", SHARES, 0.9, key="lab_share",
            format_func=lambda share: f"{100 * share:g} %", width=320,
        )  # fmt: skip
        shared_notes.what_is("shortcut", "border", "lungs_out", "interval")
    study = lab_study(store, share)
    found = study.stored()
    if found is None:
        shared_tasks.ask(study, ABOUT, "Plant the shortcut and train", "lab")
        return
    plain, marked = (found["arms"][arm] for arm in ARMS)
    with st.grid(2, min_column_width=300) as grid:
        for arm, before in ((plain, None), (marked, plain)):
            with grid.cell(), st.container(border=True, height="stretch"):
                _arm(arm, before, found["marked_class"])
    st.markdown("\n".join(f"- {markdown(sentence)}" for sentence in found["conclusions"]))
    st.caption(
        f"{found['images']:,} phantoms in each set, {plain['n']:,} of them tested; intervals are "
        f"of 95 %. Took {duration(found['seconds'])}. The same from a shell: `{found['command']}`"
    )


def _arm(arm: dict[str, Any], before: dict[str, Any] | None, label: str) -> None:
    """One of the two: an image, its figures, how far they are from the other's, the way to both."""
    name = markdown(arm["name"])
    st.subheader(name[:1].upper() + name[1:], anchor=False)  # and classes keep their capitals
    picture, figures = st.columns([1, 2], gap="medium")
    with picture:
        _example(arm["dataset"], label)
    with figures:
        for title, keys, about in FIGURES:
            one, other = arm, before
            for key in keys:
                one, other = one[key], other and other[key]
            _figure(title, one, other, about)
    with st.container(horizontal=True):
        query = {"run": shared.link(arm["run"])}
        st.page_link(
            shared.EVALUATE, label="The run", icon=":material/grid_on:", query_params=query
        )
        query = {"dataset": shared.link(arm["dataset"]), "view": "Audit"}
        st.page_link(
            shared.EXPLORE, label="The audit", icon=":material/troubleshoot:", query_params=query
        )


def _figure(title: str, one: dict[str, Any], other: dict[str, Any] | None, about: str) -> None:
    """A share with its interval; a sign, not a colour alone, where it should not be so high."""
    sign = ":red[:material/warning:] " if one.get("red") else ""  # where no long title hides it
    st.metric(f"{sign}{title}", percent(one["accuracy"]), help=about)
    apart = f", {points(one['accuracy'] - other['accuracy'])} points" if other else ""
    beats = " **Beats chance.**" if one.get("red") else ""
    st.caption(f"{interval(one['accuracy_ci'])}{apart}.{beats}")


def _example(fingerprint: str, label: str) -> None:
    """The first image of the class that is marked in one of the sets."""
    try:
        dataset = shared.open_dataset(fingerprint, shared.settings().home)
    except DataError:  # it was removed; the figures are still there
        return
    row = int(np.flatnonzero((dataset.index["label"] == label).to_numpy())[0])
    (square,) = squares(dataset, [row], shared.THUMBNAIL, shared.settings().home)
    if square is not None:
        st.image(square, width="stretch", alt=f"A phantom of {label}")
