"""Where to draw the line, for whom: thresholds, prevalence and costs, and what follows."""

from typing import Any

import numpy as np
import streamlit as st

from covidcore import chart_evaluation, charts
from covidcore.errors import CovidcoreError
from covidcore.evaluation import operating
from covidcore.evaluation.operating import OperatingPoint
from covidcore.evaluation.predictive import PREVALENCES
from covidcore.jobs.info import RunInfo
from covidcore.wording import interval, markdown, percent
from pages import evaluate_figures as parts
from pages import shared, shared_notes

COSTS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_REFUSED = "_operating_refused"


def draw(run: RunInfo) -> None:
    """Controls on the left; on the right what they do to the test images."""
    report, table = shared.results(run.run, shared.settings().home)
    classes = report["classes"]
    st.markdown(
        "A test set holds as many cases as somebody collected. Say how common the class is where "
        "the model would be used and what a missed case costs, and choose from which probability "
        "it is answered."
    )
    left, right = st.columns([2, 3], gap="large")
    with left:
        point = _controls(run, classes, table)
    matrix = np.array(parts.report(run.run, shared.settings().home, _limits(point))["confusion"])
    with right:
        shared_notes.heading("On the test images", "recall", "predictive", "prevalence")
        _effect(matrix, classes, point)
    _cost_curve(table, classes, point)


def _limits(point: OperatingPoint) -> parts.Limits:
    return tuple(point.thresholds.items())


def _controls(run: RunInfo, classes: list[str], table: Any) -> OperatingPoint:
    saved, keys = parts.saved_point(run), {"bind": "query-params", "persist_state": "session"}
    wanted = saved.positive or classes[0]
    positive = st.selectbox(
        "Class looked for", classes, classes.index(wanted), key="positive", **keys
    )
    truth = table[table["split"] == "test"]["label"]
    here = float((truth == positive).mean())
    options = ["as here", *(percent(value) for value in PREVALENCES)]
    asked = "as here" if saved.prevalence is None else percent(saved.prevalence)
    chosen = st.select_slider(
        "How common it is (prevalence)",
        options,
        asked if asked in options else "as here",
        key=f"prevalence-{run.run[:4]}",
        help=f"Of the people who are asked about. “As here”: {percent(here)}, as among the test "
        "images.",
        **keys,
    )
    prevalence = None if chosen == "as here" else PREVALENCES[options.index(chosen) - 1]
    cost = st.select_slider(
        "A missed case costs so many false alarms",
        COSTS,
        saved.miss_cost if saved.miss_cost in COSTS else 1.0,
        key=f"cost-{run.run[:4]}",
        **keys,
    )
    limits = parts.thresholds(run, classes)
    point = OperatingPoint(dict(limits), positive, prevalence, cost)
    _buttons(run, classes, table, point)
    return point


def _buttons(run: RunInfo, classes: list[str], table: Any, point: OperatingPoint) -> None:
    with st.container(horizontal=True):
        st.button(
            "Cheapest threshold", icon=":material/savings:", on_click=_cheapest, key="cheapest",
            args=(run, classes, table, point),
            help="Of the class looked for, at this prevalence and cost, on the validation images. "
            "The test images are not used to choose it.",
        )  # fmt: skip
        st.button(
            "Save with the run", type="primary", icon=":material/save:", on_click=_save,
            args=(run, point), key="save-point",
        )  # fmt: skip
        st.button(
            "No thresholds", icon=":material/undo:", on_click=_clear, args=(run, classes),
            key="clear-point", help="Answer with the most probable class, as it was trained.",
        )  # fmt: skip
    for problem in st.session_state.pop(_REFUSED, []):
        st.error(markdown(problem), icon=":material/error:")
    saved = parts.saved_point(run)
    if saved.thresholds and saved.thresholds == point.thresholds:
        st.caption(f":material/check: Predictions of this run use this: {markdown(saved)}.")
    elif saved.thresholds:
        st.caption(f"Predictions of this run use what was saved: {markdown(saved)}.")
    else:
        st.caption("Predictions of this run answer the most probable class: nothing is saved.")


def _cheapest(run: RunInfo, classes: list[str], table: Any, point: OperatingPoint) -> None:
    try:
        best = operating.cheapest(table, classes, point)
        st.session_state[parts.limit_key(run, classes.index(point.positive))] = best
    except CovidcoreError as error:
        st.session_state[_REFUSED] = [str(error)]


def _save(run: RunInfo, point: OperatingPoint) -> None:
    try:
        shared.store().save_operating(run.run, point)
    except CovidcoreError as error:
        st.session_state[_REFUSED] = [str(error)]


def _clear(run: RunInfo, classes: list[str]) -> None:
    try:
        shared.store().save_operating(run.run, None)
        for at in range(len(classes)):
            st.session_state[parts.limit_key(run, at)] = 0.0
    except CovidcoreError as error:
        st.session_state[_REFUSED] = [str(error)]


def _effect(matrix: Any, classes: list[str], point: OperatingPoint) -> None:
    at = classes.index(point.positive)
    found = operating.screening(matrix, at, point.prevalence, point.miss_cost)
    names = {
        "sensitivity": ("Sensitivity", "Of the cases, how many are found."),
        "specificity": ("Specificity", "Of the others, how many are left alone."),
        "ppv": ("PPV", "Of the positive answers, how many are right, at this prevalence."),
        "npv": ("NPV", "Of the negative answers, how many are right, at this prevalence."),
    }
    with st.grid(2, min_column_width=110):
        for name, (title, about) in names.items():
            parts.number(title, percent(found[name]), interval(found[f"{name}_ci"]), about)
    st.markdown(
        f"Of 1,000 people, **{percent(found['prevalence'])}** of them {markdown(point.positive)}: "
        f"about **{found['misses']:.1f}** cases are missed and **{found['false_alarms']:.1f}** "
        "people are alarmed for nothing."
    )
    st.plotly_chart(
        charts.matrix(matrix, classes, dark=shared.is_dark()),
        key="operating-matrix",
        config=parts.NO_MODEBAR,
        alt="Confusion matrix of the test images at these thresholds",
    )
    st.caption(
        f"{found['n']:,} test images are {markdown(point.positive)}, {found['others']:,} are not. "
        "Intervals of 95 %: Wilson's; for PPV and NPV those of Mercaldo, Lau and Zhou, which take "
        "the prevalence as known."
    )


def _cost_curve(table: Any, classes: list[str], point: OperatingPoint) -> None:
    shared_notes.heading("Cost by threshold, on the validation images", "threshold")
    try:
        tried = operating.costs(table, classes, point)
    except CovidcoreError as error:
        st.info(markdown(error), icon=":material/info:")
        return
    st.plotly_chart(
        chart_evaluation.costs(tried, point.thresholds.get(point.positive)),
        key="costs",
        config=parts.NO_MODEBAR,
        alt="Cost of each threshold on the validation images",
    )
    st.caption(
        f"What misses and false alarms among 1,000 people cost, in false alarms, by the threshold "
        f"of {markdown(point.positive)}. Many thresholds cost the same where validation images "
        "are few; of the cheapest the middle one is taken."
    )
