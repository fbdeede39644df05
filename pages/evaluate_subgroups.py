"""The same run on parts of its test images."""

import pandas as pd
import streamlit as st

from covidcore import chart_evaluation
from covidcore.chart_evaluation import Share
from covidcore.evaluation import subgroups
from covidcore.jobs.info import RunInfo
from covidcore.wording import interval, percent, visible
from pages import evaluate_figures as parts
from pages import shared, shared_notes


def draw(run: RunInfo) -> None:
    """One way of parting the images at a time."""
    home = shared.settings().home
    report, table = shared.results(run.run, home)
    ways = subgroups.groupings(shared.open_dataset(run.dataset, home).index)
    rows = table[table["split"] == "test"]
    ways = {name: values for name, values in ways.items() if rows["file"].isin(values.index).any()}
    if not ways:
        st.info("The index says nothing by which these images could be parted.")
        return
    first = list(ways).index("source") if "source" in ways else 0
    way = st.selectbox(
        "Part the images by", list(ways), first, key="by", bind="query-params", width=320
    )
    shared_notes.heading(f"Accuracy by {way}", "subgroups", "interval")
    found = subgroups.by(rows, ways[way], report["classes"])
    drawn = [
        Share(
            f"{visible(part['value'])} ({part['n']:,})",
            part["accuracy"],
            tuple(part["accuracy_ci"]),
            "too few images to say much" if part["small"] else "",
            part["small"],
        )
        for part in found
    ]
    st.plotly_chart(
        chart_evaluation.shares(drawn, "Accuracy", report["accuracy"]),
        key="subgroups",
        config=parts.NO_MODEBAR,
        alt=f"Accuracy by {way}; the same is in the table below",
    )
    few = sum(part["small"] for part in found)
    st.caption(
        f"Dashed: all {report['n']:,} test images. Bars are Wilson's intervals of 95 %. "
        + (f"Grey: under {subgroups.SMALL} images, too few to say much. " if few else "")
        + "Parts differ in how many images of each class they hold, so look at the recalls too."
    )
    lines = [
        {
            way: visible(part["value"]),
            "images": part["n"],
            "accuracy": percent(part["accuracy"]),
            "accuracy, 95 %": interval(part["accuracy_ci"]),
            "balanced accuracy": percent(part["balanced_accuracy"]),
            "balanced, 95 %": interval(part["balanced_accuracy_ci"]),
            **{
                f"recall of {visible(name)}": f"{percent(one['value'])} of {one['n']:,}"
                if one["n"]
                else "-"
                for name, one in part["recall"].items()
            },
        }
        for part in found
    ]
    greyed = [part["small"] for part in found]
    shown = pd.DataFrame(lines)
    st.dataframe(
        shown.style.apply(
            lambda row: ["color: #7a7a7a" if greyed[row.name] else ""] * len(row), axis=1
        ),
        hide_index=True,
        column_config=parts.to_the_right(shown.columns[1:]),
        alt=f"Figures by {way}",
    )
