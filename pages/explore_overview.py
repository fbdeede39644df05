"""The overview of a dataset: how many, of what, from where, how large, how bright, what is left."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from covidcore import charts
from covidcore.data.gallery import examples
from covidcore.data.split import SPLITS
from covidcore.wording import markdown, visible
from pages import explore_reads, explore_report, shared, shared_notes
from pages.explore_tiles import tiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from covidcore.data.index import Dataset

NOT_STATED = "not stated"
SET_NAMES = {"train": "Training", "val": "Validation", "test": "Test", "": "Left out"}
_EXAMPLES = 12
_BARE = {"displayModeBar": False}


def draw(dataset: "Dataset") -> None:
    """All of it; what needs the pixels of every image comes last, as it may take a while."""
    _figures(dataset)
    with st.grid(2, min_column_width=340, gap="large") as grid:
        with grid.cell():
            _classes(dataset)
        with grid.cell():
            _sources(dataset)
        with grid.cell():
            _sets(dataset)
        with grid.cell():
            _sizes(dataset)
    explore_report.draw(dataset)
    _examples(dataset)
    for title, files in (("Other", dataset.ignored_files), ("Unreadable", dataset.unreadable)):
        if files:
            with st.expander(
                f"{title} files ({len(files):,})", key=f"files-{title}", on_change="rerun"
            ) as row:
                if row.open:  # the fifth release has 21,165 masks, which need not be sent unasked
                    listed = pd.DataFrame(files, columns=["file", "reason"]).map(visible)
                    st.dataframe(listed, hide_index=True, alt=f"{title} files and the reason")
    _intensities(dataset)


def _figures(dataset: "Dataset") -> None:
    with st.grid(5, min_column_width=130):
        st.metric("Images", f"{len(dataset.index):,}")
        st.metric("Classes", len(dataset.classes))
        st.metric(
            "Other files",
            f"{sum(dataset.ignored.values()):,}",
            help="Masks, tables about the images, and what was ignored, listed below with reasons.",
        )
        st.metric("Unreadable", f"{len(dataset.unreadable):,}")
        st.metric(
            "Duplicates",
            f"{dataset.duplicates['exact']:,} + {dataset.duplicates['near']:,}",
            help="Images that repeat an earlier one to the pixel, and those that look alike.",
        )


def _classes(dataset: "Dataset") -> None:
    st.subheader("Images of each class", anchor=False)
    counts = dataset.index["label"].value_counts()
    said = ", ".join(f"{visible(name)} {counts[name]:,}" for name in dataset.classes)
    st.plotly_chart(
        charts.class_counts(dataset.index, dataset.classes),
        key="chart-classes",
        alt=f"Images of each class: {said}",
        config=_BARE,
    )


def _sources(dataset: "Dataset") -> None:
    shared_notes.heading("Where they come from", "source_alone")
    table = _counts(dataset, dataset.index["source"])
    table = table.rename(index=lambda name: visible(name) or NOT_STATED)
    shown = table.loc[table.sum(axis=1).sort_values(ascending=False).index[:12]]
    st.plotly_chart(
        charts.stacked(shown),
        key="chart-sources",
        alt=f"Images of each source by class. {_said(shown)}",
        config=_BARE,
    )
    if len(table) > len(shown):
        st.caption(f"The largest {len(shown)} of {len(table):,} sources.")
    if (table.gt(0).sum(axis=1) == 1).any():
        st.caption(
            "A source that holds one class only lets a model answer by source: its figures then "
            "look better than it is."
        )


def _sets(dataset: "Dataset") -> None:
    st.subheader("Training, validation and test", anchor=False)
    home = shared.settings().home
    with shared.told():
        sets = explore_reads.sets(dataset.fingerprint, split_of(dataset), home)
        table = _counts(dataset, sets)
        table = table.reindex([name for name in (*SPLITS, "") if name in table.index])
        table = table.rename(index=SET_NAMES)
        st.plotly_chart(
            charts.stacked(table),
            key="chart-sets",
            alt=f"Images of each set by class. {_said(table)}",
            config=_BARE,
        )


def split_of(dataset: "Dataset") -> str:
    """Whose split sets are shown by: a run's id, or "" for the default recipe; with its control."""
    known = explore_reads.splits(dataset.fingerprint, shared.settings().home)
    chosen = st.selectbox(
        "Sets as in",
        list(known),
        format_func=lambda run: known.get(run, explore_reads.DEFAULT_RECIPE),
        key="dealt",
        bind="query-params",
        help="Each recipe deals the images by its own seed and shares: by default 70/10/20 by "
        "patient, with seed 0.",
    )
    return chosen if chosen in known else ""


def _sizes(dataset: "Dataset") -> None:
    index = dataset.index
    st.subheader("Sizes", anchor=False)
    longer = index[["width", "height"]].max(axis=1)
    modes = ", ".join(
        f"{visible(mode)} {count:,}" for mode, count in index["mode"].value_counts().items()
    )
    if longer.nunique() == 1:
        st.markdown(f"Every image is {longer.iloc[0]:,} pixels on its longer side.")
    else:
        st.plotly_chart(
            charts.sizes(index, dataset.classes),
            key="chart-sizes",
            alt=f"Longer side of the images of each class, from {longer.min():,} to "
            f"{longer.max():,} pixels",
            config=_BARE,
        )
    st.markdown(f"Modes, as the files store them: {markdown(modes)}.")
    present = _counts(dataset, index["mode"]) > 0
    if not present.all(axis=None) and len(present) > 1:
        st.caption(
            "Not every class comes in the same modes: all are made grey before a model sees them."
        )


def _examples(dataset: "Dataset") -> None:
    st.subheader("Examples", anchor=False)
    each = max(1, _EXAMPLES // len(dataset.classes))
    rows = examples(dataset.index, each)[: 2 * _EXAMPLES].tolist()
    labels = list(dataset.index.loc[rows, "label"])
    in_a_line = each if each in (3, 4, 6) else 0  # a class a line, where that looks like pictures
    tiles(dataset, rows, labels, "examples", columns=in_a_line)


def _intensities(dataset: "Dataset") -> None:
    st.subheader("Intensities", anchor=False)
    found = explore_reads.statistics(dataset)
    if found is None:
        return
    labels = dataset.index["label"].to_numpy()
    means = {name: found.brightness[labels == name] for name in dataset.classes}
    said = ", ".join(f"{visible(name)} {np.mean(part):.0f}" for name, part in means.items())
    with st.grid(2, min_column_width=340, gap="large") as grid:
        with grid.cell():
            st.markdown("**Brightness**: the mean grey level of each image")
            st.plotly_chart(
                charts.brightness({name: part.tolist() for name, part in means.items()}),
                key="chart-brightness",
                alt=f"Mean grey level of the images of each class; on average {said}",
                config=_BARE,
            )
        with grid.cell():
            st.markdown("**Grey levels**: of all pixels of a class")
            st.plotly_chart(
                charts.grey_levels(dict(zip(dataset.classes, found.levels, strict=True))),
                key="chart-levels",
                alt="Share of the pixels of each class by grey level",
                config=_BARE,
            )


def _counts(dataset: "Dataset", by: "pd.Series[str] | NDArray[np.object_]") -> pd.DataFrame:
    """Images by anything (rows) and class (columns); much faster than ``pd.crosstab``."""
    sizes = dataset.index.groupby([by, "label"]).size()
    return sizes.unstack(fill_value=0)[list(dataset.classes)]


def _said(table: pd.DataFrame) -> str:
    """A table of counts in words, for those who can not see the chart."""
    return " ".join(
        f"{visible(row)}: "
        + ", ".join(f"{visible(name)} {count:,}" for name, count in values.items() if count)
        + "."
        for row, values in table.to_dict("index").items()
    )
