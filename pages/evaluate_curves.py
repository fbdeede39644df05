"""Curves over all thresholds, and how the losses are spread."""

import pandas as pd
import streamlit as st

from covidcore import chart_evaluation
from covidcore.evaluation.curves import GRID
from covidcore.jobs.info import RunInfo
from covidcore.wording import interval, percent
from pages import evaluate_figures as parts
from pages import shared, shared_notes


def draw(run: RunInfo) -> None:
    """ROC, precision-recall, and losses."""
    home = shared.settings().home
    found = parts.all_curves(run.run, home)
    with st.grid(2, min_column_width=380, gap="large"):
        for title, drawn, key, terms in (
            ("ROC", chart_evaluation.roc(found, GRID), "roc", ("roc", "auc")),
            (
                "Precision and recall",
                chart_evaluation.precision_recall(found, GRID),
                "pr",
                ("precision_recall",),
            ),
        ):
            with st.container():
                shared_notes.heading(title, *terms)
                st.plotly_chart(
                    drawn.update_layout(height=440), key=key, config=parts.NO_MODEBAR,
                    alt=f"{title} of each class against the rest; areas are in the table below",
                )  # fmt: skip
    st.caption(
        "One class against the rest, at every threshold. Bands are of 95 % at each place, drawn "
        "over patients, as are intervals of average precision; those of AUC are score intervals, "
        "which hold near 100 % too, but promise 95 % of classes with fewer than 200 images only "
        "where these are alike. Where a class is rare, look at precision and recall: a ROC "
        "looks good even if most positive answers are wrong."
    )
    rows = {
        "images": [f"{one.n:,}" for one in found.values()],
        "AUC": [percent(one.auc) for one in found.values()],
        "AUC, 95 %": [interval(one.auc_ci) for one in found.values()],
        "average precision": [percent(one.average_precision) for one in found.values()],
        "average precision, 95 %": [interval(one.average_precision_ci) for one in found.values()],
    }
    areas = pd.DataFrame(rows, index=list(found)).T.rename_axis("figure")
    st.dataframe(areas, column_config=parts.to_the_right(found), alt="Areas under the curves")
    shared_notes.heading("Losses", "loss")
    table = shared.results(run.run, home)[1]
    st.plotly_chart(
        chart_evaluation.losses(table[table["split"] == "test"]).update_layout(height=320),
        key="losses",
        config=parts.NO_MODEBAR,
        alt="Test images by loss, right and wrong answers",
    )
    st.caption("Wrong answers with a large loss are the ones that the run was sure of.")
