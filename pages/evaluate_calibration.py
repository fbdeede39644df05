"""Does 90 % mean right in nine of ten? Before and after the temperature."""

import streamlit as st

from covidcore import charts
from covidcore.evaluation import calibration, predictions
from covidcore.jobs.info import RunInfo
from covidcore.wording import percent
from pages import evaluate_figures as parts
from pages import shared


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
    shown = corrected[["bin_low", "bin_high"]].assign(
        images_before=raw["n"], confidence_before=raw["confidence"], right_before=raw["accuracy"],
        images=corrected["n"], confidence=corrected["confidence"], right=corrected["accuracy"],
    )  # fmt: skip
    shown.columns = [name.replace("_", " ") for name in shown]
    shares = [name for name in shown if "images" not in name]
    st.dataframe(
        shown[(shown["images"] > 0) | (shown["images before"] > 0)],
        hide_index=True,
        alt="Bins of the reliability diagram",
        column_config=dict.fromkeys(shares, st.column_config.NumberColumn(format="percent")),
        placeholder="",
    )
