"""The view Split of the explore page: who would be in which set, and what would leak."""

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from covidcore.data.audit_findings import by_kind
from covidcore.data.audit_leaks import LEAKS, SplitSettings, counts, deal, known_from_training
from covidcore.data.audit_tables import NOT_STATED
from covidcore.data.duplicates import near_duplicate_groups
from covidcore.data.index import Dataset
from covidcore.data.split import GROUPINGS, SPLITS
from covidcore.inference.table import as_csv
from covidcore.wording import percent, visible
from pages import shared, shared_notes

VIEW = "Split"
"""How a link names this view."""
KEYS = ("fractions", "together", "without", "split_seed")
"""Fields, as the address bar has them."""
_KEPT: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}
NAMES = {"train": "training", "val": "validation", "test": "test"}


def chosen(dataset: Dataset) -> SplitSettings:
    """The last split that was looked at in this session, else a recipe's own."""
    found = st.session_state.get(f"_split_{dataset.fingerprint}")
    return found if isinstance(found, SplitSettings) else SplitSettings()


def draw(dataset: Dataset) -> None:
    """Fields, the sets by class and source, the leaks, the table to keep, the way to train."""
    st.markdown(
        "Images of one group all go to the same set. Choose by what, look at what is left, and "
        "train with it."
    )
    with shared.told():
        settings = _fields(dataset)
        table, known = dealt(dataset.fingerprint, settings, shared.settings().home)
        st.session_state[f"_split_{dataset.fingerprint}"] = settings
        _sets(table, known)
        _leaks(dataset, settings, known)
        _take_along(dataset, settings, table)


def _fields(dataset: Dataset) -> SplitSettings:
    usual = SplitSettings()
    sources = sorted(set(dataset.index["source"]) - {""})
    with st.grid(4, min_column_width=190):
        fractions = st.text_input(
            "Train/validation/test, %", usual.split, key=KEYS[0], **_KEPT,
            help="Per cent of the images in each set.",
        )  # fmt: skip
        group_by = st.selectbox(
            "Never divided", GROUPINGS, GROUPINGS.index(usual.group_by),
            key=KEYS[1], **_KEPT,
            help="Images of a patient, say, or copies of one another; both: chains of these.",
        )  # fmt: skip
        without = st.multiselect(
            "Sources left out", sources, usual.exclude_sources, format_func=visible,
            key=KEYS[2], **_KEPT, placeholder="none",
            help="Images of these take no part at all.",
        )  # fmt: skip
        seed = st.number_input(
            "Seed", 0, 2**31 - 1, usual.seed, key=KEYS[3], **_KEPT,
            help="Another seed deals the groups anew.",
        )  # fmt: skip
    return SplitSettings(fractions or "", int(seed or 0), group_by or "none", tuple(without))


def _source(name: str) -> str:
    return visible(name) or NOT_STATED


@st.cache_resource(max_entries=4, show_spinner="Comparing every image with every other")
def pictures(fingerprint: str, home: Path) -> Any:
    """A number an image; copies share one. Depends on the dataset alone."""
    dataset = shared.open_dataset(fingerprint, home)
    return near_duplicate_groups(dataset.index, dataset.near_pairs)


@st.cache_data(max_entries=32, show_spinner="Dealing the images")
def dealt(
    fingerprint: str, settings: SplitSettings, home: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Who is in which set, and which test images are known from training."""
    dataset = shared.open_dataset(fingerprint, home)
    table = deal(dataset, settings)
    return table, known_from_training(dataset.index, table, pictures(fingerprint, home))


def _sets(table: pd.DataFrame, known: pd.DataFrame) -> None:
    leaking = int(known[list(LEAKS)].any(axis=1).sum())
    with st.grid(4, min_column_width=150):
        for part in SPLITS:
            images = int((table["split"] == part).sum())
            st.metric(
                NAMES[part].capitalize(), f"{images:,}", percent(images / len(table)),
                delta_color="off", delta_arrow="off",
            )  # fmt: skip
        st.metric(
            "Leaks", f"{leaking:,}", f"{percent(leaking / max(len(known), 1))} of test",
            delta_color="off", delta_arrow="off",
            help="Test images of which training holds a copy, or another image of the patient.",
        )  # fmt: skip
    left, right = st.columns(2)
    for place, title, column in (
        (left, "By class", "label"),
        (right, "By source", "source"),
    ):
        place.subheader(title, anchor=False)
        rows = pd.DataFrame.from_dict(counts(table, column), "index").rename(index=_source)
        rows = rows.rename(columns=NAMES).rename_axis("class" if column == "label" else "source")
        place.dataframe(
            rows, alt=f"Images of each set, {title.lower()}",
            column_config=dict.fromkeys(
                rows, st.column_config.NumberColumn(format="localized")
            ),
        )  # fmt: skip


def _leaks(dataset: Dataset, settings: SplitSettings, known: pd.DataFrame) -> None:
    """What remains under this split, beside a random one of the same images."""
    shared_notes.heading("Leaks that remain", "leaks")
    leaking = known[known[list(LEAKS)].any(axis=1)]
    if leaking.empty:
        st.success("No test image is known from training, as far as can be told.")
    else:
        told = by_kind({kind: int(known[kind].sum()) for kind in LEAKS})
        st.warning(f"{len(leaking):,} of {len(known):,} test images are known: {told}.")
    unknown = int((dataset.index["group"] == "").sum())
    if unknown:
        st.caption(
            f"Of {unknown:,} images the patient is not known: what they share can not be seen."
        )
    if settings.group_by != "none":
        at_random = SplitSettings(settings.split, settings.seed, "none", settings.exclude_sources)
        other = dealt(dataset.fingerprint, at_random, shared.settings().home)[1]
        count = int(other[list(LEAKS)].any(axis=1).sum())
        st.caption(f"Dealt at random, {count:,} of {len(other):,} test images would be known.")
    if not leaking.empty:
        with st.expander(f"The {len(leaking):,} images", icon=":material/list:"):
            shown = leaking.assign(file=leaking["file"].map(visible))
            st.dataframe(shown, hide_index=True, alt="Test images known from training")


def _take_along(dataset: Dataset, settings: SplitSettings, table: pd.DataFrame) -> None:
    with st.container(horizontal=True):
        if st.button("Train with this split", type="primary", icon=":material/model_training:"):
            st.switch_page(shared.TRAIN, query_params=for_training(dataset, settings))
        st.download_button(
            "Download as CSV",
            partial(as_text, table),
            f"{visible(dataset.name).replace('/', '-')}-split.csv",
            "text/csv",
            on_click="ignore",
            icon=":material/download:",
        )


def as_text(table: pd.DataFrame) -> str:
    """The split as CSV, an image a row."""
    return as_csv(table[["file", "label", "source", "group", "split"]])


def for_training(dataset: Dataset, settings: SplitSettings) -> dict[str, str | list[str]]:
    """The query of a link that opens the train page with this split."""
    return {
        "dataset": shared.link(dataset.fingerprint),
        "split": settings.split,
        "group_by": settings.group_by,
        "seed": str(settings.seed),
        "exclude_sources": list(settings.exclude_sources),
    }
