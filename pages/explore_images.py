"""The gallery of a dataset: what the filters leave, page by page, or one image in full."""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from covidcore.data.gallery import page_of
from covidcore.wording import brief, markdown
from pages import explore_filters, explore_image
from pages.explore_filters import Chosen
from pages.explore_overview import SET_NAMES
from pages.explore_tiles import tiles

if TYPE_CHECKING:
    from covidcore.data.index import Dataset

PER_PAGE = 24


def draw(dataset: "Dataset") -> None:
    """The filters; below them the image that the link names, else a page of the gallery."""
    file = st.query_params.get("image", "")
    found = np.flatnonzero((dataset.index["file"] == file).to_numpy()) if file else []
    if len(found):
        with st.expander("Filters", icon=":material/tune:"):
            chosen = explore_filters.draw(dataset)
        # To go back is to go to the page of the image that was looked at last.
        st.session_state["page"] = page_of(chosen.rows, int(found[0]), PER_PAGE)
        explore_image.draw(dataset, int(found[0]), chosen)
        return
    if file:
        st.warning(f"There is no image “{markdown(brief(file))}” in this dataset.")
    _gallery(dataset, explore_filters.draw(dataset))


def _gallery(dataset: "Dataset", chosen: Chosen) -> None:
    count, every = len(chosen.rows), len(dataset.index)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{count:,}** of {every:,} images" if chosen.filtered else f"**{every:,}** images"
        )
        if chosen.filtered:
            st.button(
                "Clear the filters", icon=":material/filter_alt_off:", key="clear-filters",
                on_click=explore_filters.clear, args=(dataset,),
            )  # fmt: skip
    if not count:
        st.info("No image is like that: widen or clear the filters.")
        return
    page = st.pagination(-(-count // PER_PAGE), key="page", bind="query-params")
    rows = chosen.rows[(page - 1) * PER_PAGE : page * PER_PAGE].tolist()
    tiles(dataset, rows, [_words(dataset, row, chosen) for row in rows], "gallery")


def _words(dataset: "Dataset", row: int, chosen: Chosen) -> str:
    """What is said below a picture: its class, its set, and its group where copies are shown."""
    parts = [str(dataset.index.at[row, "label"])]
    if chosen.sets is not None:
        parts.append(SET_NAMES[chosen.sets[row]].lower())
    if chosen.repeats is not None:
        parts.append(f"group {chosen.repeats.group[row]}")
    return ", ".join(parts)
