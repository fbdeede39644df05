"""Does 90 % mean right in nine of ten? Before and after the temperature."""

import pandas as pd
import streamlit as st

from covidcore import charts
from covidcore.evaluation import calibration, predictions
from covidcore.jobs.info import RunInfo
from covidcore.wording import interval, percent
from pages import evaluate_figures as parts
from pages import shared, shared_notes


def draw(run: RunInfo) -> None:
    """Numbers, the reliability diagram, and its bins as a table."""
    report, table = shared.results(run.run, shared.settings().home)
    logits, truth = predictions.arrays(table, report["classes"])
    temperature = report["temperature"]
    corrected = calibration.reliability(calibration.softmax(logits, temperature), truth)
    raw = calibration.reliability(calibration.softmax(logits), truth)
    with st.grid(3, min_column_width=150):
        parts.number(
            "Calibration error",
            percent(report["ece"]),
            f"{percent(report['ece_uncalibrated'])} before",
            "ECE, 15 bins: how far stated probabilities are from how often they are right.",
        )
        parts.number(
            "Temperature", f"{temperature:.2f}", "", "Logits are divided by it; above 1 it doubts."
        )
        parts.number("Test images", f"{len(truth):,}")
    st.markdown(
        "The temperature was fitted on the validation images alone and is stored with the run; "
        f"the diagram is of the test images. A temperature of {temperature:.2f} makes the run "
        + ("less" if temperature > 1 else "more")
        + " sure than it was. It changes no answer."
    )
    shared_notes.heading("Reliability diagram", "reliability", "ece", "temperature")
    st.plotly_chart(
        charts.reliability(corrected, raw),
        key="reliability",
        config=parts.NO_MODEBAR,
        alt="Reliability diagram; its bins are in the table below",
    )
    st.caption(
        "A point is a bin of answers with like confidence, with Wilson's interval of 95 %; on the "
        "dashed line is right, below it too sure. Bins of few images say little."
    )
    filled = (corrected["n"] > 0) | (raw["n"] > 0)
    columns = {"probability of the answer": _bins(corrected)}
    for name, one in (("", corrected), (" before", raw)):
        columns[f"images{name}"] = one["n"]
        columns[f"mean probability{name}"] = one["confidence"].map(percent)
        columns[f"right{name}"] = one["accuracy"].map(percent)
    st.dataframe(
        pd.DataFrame(columns)[filled],
        hide_index=True,
        column_config=parts.to_the_right(columns),
        alt="Bins of the reliability diagram",
    )


def _bins(table: pd.DataFrame) -> list[str]:
    return [
        interval((low, high)) for low, high in zip(table["bin_low"], table["bin_high"], strict=True)
    ]
