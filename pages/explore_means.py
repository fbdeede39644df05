"""Mean pictures of the classes, and where they differ: lungs, or signs of where they were made."""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from covidcore import charts
from covidcore.data.means import PixelStatistics, border_and_inside, difference
from covidcore.wording import markdown, visible
from pages import explore_reads, shared, shared_notes

if TYPE_CHECKING:
    from covidcore.data.index import Dataset

OTHERS = "All other classes"
SCALES = ("Standard deviations", "Grey levels")


def draw(dataset: "Dataset") -> None:
    """The mean of each class side by side, then the difference of two."""
    found = explore_reads.statistics(dataset)
    if found is None:
        return
    st.subheader("Mean image of each class", anchor=False)
    with st.grid(4, min_column_width=130):
        for name, mean, count in zip(dataset.classes, found.mean, found.images, strict=True):
            st.image(
                np.rint(mean).astype(np.uint8),
                caption=f"{markdown(name)}: {count:,} images",
                width="stretch",
                alt=f"Mean of the {count:,} images of {visible(name)}",
            )
    with shared.told():
        _difference(dataset, found)


def _difference(dataset: "Dataset", found: PixelStatistics) -> None:
    shared_notes.heading("Difference of means", "means")
    classes = dataset.classes
    with st.grid(3, min_column_width=190):
        one = st.selectbox(
            "Class", classes, format_func=visible, key="mean_of", bind="query-params"
        )
        rest = [name for name in classes if name != one]
        other = st.selectbox(
            "Compared with",
            [None, *rest],
            format_func=lambda name: OTHERS if name is None else visible(name),
            key="mean_minus",
            bind="query-params",
        )
        scale = st.segmented_control(
            "Measured in", SCALES, default=SCALES[0], key="mean_scale", required=True,
            bind="query-params",
        )  # fmt: skip
    one = one if one in classes else classes[0]
    others = [other] if other in rest else [name for name in classes if name != one]
    apart = difference(found, classes.index(one), [classes.index(name) for name in others])
    values = apart.deviations if scale == SCALES[0] else apart.levels
    named = others[0] if len(others) == 1 else "the others"
    unit = "SD" if scale == SCALES[0] else "grey levels"
    border, inside = border_and_inside(values)
    with st.grid(2, min_column_width=330, gap="large") as grid:
        with grid.cell():
            st.plotly_chart(
                charts.difference(values, unit, one, named),
                key="chart-difference",
                config={"displayModeBar": False},
                alt=f"Where the mean of {visible(one)} is brighter or darker than that of "
                f"{visible(named)}: on average {border:.2f} {unit} in the border and {inside:.2f} "
                "inside",
            )
        with grid.cell():
            with st.grid(2, min_column_width=130):
                st.metric("In the border", f"{border:.2f} {unit}")
                st.metric("Inside", f"{inside:.2f} {unit}")
            st.markdown(_reading(border, inside))


def _reading(border: float, inside: float) -> str:
    """What the figures mean, with what they can not tell."""
    text = (
        "Mean size of the difference in the outer 5 % of the picture, and in the rest. Where "
        "corners and edges light up, classes can be told by markers, frames and the way a hospital "
        "crops: a shortcut that no lung is needed for. "
    )
    if border > inside:
        text += "**Here the border differs more than the picture within it.**"
    else:
        text += "Here the inside differs more; that alone does not prove that lungs differ."
    return text
