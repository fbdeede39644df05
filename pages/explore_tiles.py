"""Images of the explore page as tiles that open: a picture, its name to press, a few words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from covidcore.data.pixels import squares
from covidcore.wording import markdown, visible
from pages import shared

if TYPE_CHECKING:
    from covidcore.data.index import Dataset


def open_image(file: str) -> None:
    """Show an image in full, as its link would; for the callback of a button."""
    st.query_params["image"] = file
    st.session_state["view"] = "Images"


def tiles(
    dataset: "Dataset",
    rows: Sequence[int],
    words: Sequence[str],
    key: str,
    width: int = 140,
    columns: int = 0,
) -> None:
    """Index rows side by side, each with a line of plain words; a press on the name opens it.

    As many in a line as there is room for at that ``width``; at most ``columns``, where given.
    """
    pictures = squares(dataset, rows, shared.THUMBNAIL, shared.settings().home)
    grid = st.grid(columns or "auto", min_column_width=width, gap="small", key=f"tiles-{key}")
    for row, picture, line in zip(rows, pictures, words, strict=True):
        file, label = dataset.index.at[row, "file"], dataset.index.at[row, "label"]
        with grid.cell(), st.container(gap="xsmall"):
            if picture is None:
                st.markdown(":material/broken_image: This file can not be read any more.")
            else:
                # Much smaller than PNG, and nobody measures anything in a thumbnail.
                st.image(
                    picture, width="stretch", output_format="JPEG",
                    alt=f"{visible(file)}, {visible(label)}",
                )  # fmt: skip
            st.button(
                markdown(file.rpartition("/")[2]), key=f"{key}-{row}", type="tertiary",
                on_click=open_image, args=(file,), width="stretch",
            )  # fmt: skip
            st.caption(markdown(line), text_alignment="center")
