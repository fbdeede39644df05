"""The confusion matrix, the figures read off it, and the images behind each of its cells."""

import contextlib
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from covidcore import chart_evaluation, charts
from covidcore.chart_evaluation import Share
from covidcore.chart_files import matrix_png, matrix_svg
from covidcore.errors import DataError
from covidcore.evaluation import operating
from covidcore.evaluation.operating import OperatingPoint
from covidcore.evaluation.predictions import cell
from covidcore.inference.table import as_csv
from covidcore.jobs.info import RunInfo
from covidcore.wording import answered, interval, markdown, percent, visible
from pages import evaluate_figures as parts
from pages import shared, shared_notes

SHOWS = {"counts": "Images", "rows": "Share of the truth", "columns": "Share of the answer"}
FIGURES = {
    "recall": "recall", "specificity": "specificity", "precision": "precision", "f1": "F1",
    "auc": "AUC",
}  # fmt: skip
_CELLS = 6
"""Of the largest errors, offered as buttons."""


def draw(run: RunInfo) -> None:
    """Numbers, matrix, figures of each class, and images."""
    home = shared.settings().home
    classes = shared.results(run.run, home)[0]["classes"]
    top = st.container()
    with st.expander("Thresholds", icon=":material/tune:"):
        st.caption(
            "Move one and the matrix, the figures and the images move with it. Choose and save "
            "them under “Operating point”."
        )
        with st.grid("auto", min_column_width=220):
            limits = parts.thresholds(run, classes)
    report = parts.report(run.run, home, limits)
    with top:
        shared_notes.heading(
            "On the test images", "accuracy", "balanced_accuracy", "f1", "auc", "loss", "interval"
        )
        _numbers(report)
        _sentence(report, limits)
    halves = st.grid(2, min_column_width=380, gap="large")
    with halves.cell():
        _matrix(report, classes)
    with halves.cell():
        _baselines(run, report)
    _each_class(report, classes)
    _images(run, report, limits)


def _numbers(report: dict[str, Any]) -> None:
    with st.grid(5, min_column_width=150):
        parts.number("Accuracy", percent(report["accuracy"]), interval(report["accuracy_ci"]))
        parts.number(
            "Balanced accuracy",
            percent(report["balanced_accuracy"]),
            interval(report["balanced_accuracy_ci"]),
            "The mean recall of the classes: rare classes count as much as common ones.",
        )
        parts.number("Macro F1", percent(report["macro_f1"]), interval(report["macro_f1_ci"]))
        parts.number(
            "Macro AUC",
            percent(report["auc_macro"]),
            interval(report["auc_macro_ci"]),
            "The mean over the classes of: how often an image of the class scores above another.",
        )
        parts.number(
            "Source alone",
            percent(report["source_only_accuracy"]),
            "",
            "What a rule would score that sees no image and only knows where it comes from.",
        )


def _sentence(report: dict[str, Any], limits: parts.Limits) -> None:
    right = sum(row[at] for at, row in enumerate(report["confusion"]))
    by_rule = f" with {markdown(OperatingPoint(dict(limits)))}" if limits else ""
    st.markdown(
        f"**{right:,} of {report['n']:,}** test images are answered right{by_rule}; the loss is "
        f"**{report['loss']:.3f}** nats. Intervals are of 95 %. These figures hold for images like "
        "those of this dataset. They can not tell whether the model looks at the lungs or at signs "
        "of where an image was made: the nearer accuracy is to “source alone”, the less it shows."
    )


def _matrix(report: dict[str, Any], classes: list[str]) -> None:
    shared_notes.heading("Confusion matrix", "matrix")
    with st.container(horizontal=True, vertical_alignment="center"):
        shows = st.segmented_control(
            "Show", list(SHOWS), format_func=SHOWS.get, default="counts", required=True,
            label_visibility="collapsed", key="shares", persist_state="session",
        )  # fmt: skip
        errors = st.toggle("Errors only", key="errors", persist_state="session")
    st.plotly_chart(
        charts.matrix(report["confusion"], classes, shows, errors, dark=shared.is_dark()),
        key="matrix",
        on_select=_cell_clicked,
        selection_mode="points",
        config=parts.NO_MODEBAR,
        alt="Confusion matrix, rows the truth; the select boxes below choose a cell as well",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Click a cell to see its images, or choose it below.")
        given = (report["confusion"], classes, shows)
        st.download_button(
            "PNG", lambda: matrix_png(*given), "matrix.png", "image/png", on_click="ignore",
            icon=":material/image:", help="The matrix as a picture, black on white.",
        )  # fmt: skip
        st.download_button(
            "SVG", matrix_svg(*given), "matrix.svg", "image/svg+xml", on_click="ignore",
            icon=":material/shape_line:", help="The matrix as a drawing for papers and slides.",
        )  # fmt: skip


def _cell_clicked() -> None:
    """Put the clicked cell of the matrix into the select boxes."""
    points = st.session_state["matrix"].selection.points
    if points:
        st.session_state["truth"], st.session_state["predicted"] = points[0]["customdata"]


def _baselines(run: RunInfo, report: dict[str, Any]) -> None:
    """The accuracy beside what can be had without lungs, on one axis."""
    shared_notes.heading("Against rules that see no lungs", "source_alone", "border")
    images = np.array(report["confusion"]).sum(axis=1)
    rows = [
        Share("This run", report["accuracy"], tuple(report["accuracy_ci"])),
        Share("Source alone", report["source_only_accuracy"], None, "of these images", True),
        Share("Largest class", images.max() / images.sum(), None, "always answered", True),
    ]
    audit = parts.audit_of(run)
    for key, name in (("header_only", "File facts alone"), ("border_only", "Border alone")):
        found = (audit or {}).get(key)
        if found and found["accuracy"] is not None:
            about = f"cross-validated on all {found['n']:,} images of the dataset"
            rows.insert(
                -1, Share(name, found["accuracy"], tuple(found["accuracy_ci"]), about, True)
            )
    st.plotly_chart(
        chart_evaluation.shares(rows, "Accuracy"),
        key="baselines",
        config=parts.NO_MODEBAR,
        alt="Accuracy of this run, and of rules that see no lungs: "
        + ", ".join(f"{row.name} {percent(row.value)}" for row in rows),
    )
    st.caption(
        "A rule that sees only the file's facts (size, bytes, colour mode), or only the outer 5 % "
        "of the picture, is cross-validated on all images of the dataset. The nearer such a rule "
        "is to this run, the less the accuracy says about lungs."
        if audit
        else "What the file's facts or the picture's border alone would score is measured by the "
        "dataset's audit, which was not made yet."
    )
    if audit is None:
        st.page_link(
            shared.EXPLORE,
            label="Run the audit",
            icon=":material/troubleshoot:",
            query_params={"dataset": shared.link(run.dataset), "view": "Audit"},
        )


def _each_class(report: dict[str, Any], classes: list[str]) -> None:
    shared_notes.heading("Each class", "recall", "precision", "f1", "auc", "interval")
    of_class = report["per_class"].values()
    rows = {"images": [f"{one['n']:,}" for one in of_class]}
    for name, shown in FIGURES.items():
        rows[shown] = [
            f"{percent(one[name])} ({interval(one[f'{name}_ci'])})"
            if one[name] == one[name]
            else "-"
            for one in of_class
        ]
    names = [visible(name) for name in classes]
    st.dataframe(
        pd.DataFrame(rows, index=names).T.rename_axis("figure"),
        column_config=parts.to_the_right(names),
        alt="Figures of each class, with intervals of 95 %",
    )
    st.caption(
        "Recall (sensitivity): of the images of a class, how many are found. Specificity: of the "
        "others, how many are not called so. Precision: of the answers, how many are right. AUC: "
        "area under the curve of one class against the rest. Intervals of shares are Wilson's, "
        "which take images as independent. Those of F1, of AUC and of means over classes count "
        "films of one patient for as many as they differ; AUC has a score interval for normal "
        "scores, widened where scores spread wider."
    )


def _images(run: RunInfo, report: dict[str, Any], limits: parts.Limits) -> None:
    """The images behind one cell: chosen by click, by button or by name; as a list to take away."""
    home, classes = shared.settings().home, report["classes"]
    st.subheader("Images behind a cell", anchor=False)
    ranked = _largest_errors(report["confusion"])
    if ranked:
        with st.container(horizontal=True):
            for row, column in ranked:
                name = f"{classes[row]} → {classes[column]}: {report['confusion'][row][column]:,}"
                st.button(
                    markdown(name), key=f"cell-{row}-{column}", on_click=_choose,
                    args=(classes[row], classes[column]),
                    help="Truth → answer: images",
                )  # fmt: skip
    first = ranked[0] if ranked else (0, 0)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        link = {"bind": "query-params", "width": 260}
        truth = st.selectbox("Truth", classes, first[0], key="truth", **link)
        predicted = st.selectbox("Answer", classes, first[1], key="predicted", **link)
        table = operating.applied(
            shared.results(run.run, home)[1], classes, OperatingPoint(dict(limits))
        )
        images = cell(table, truth, predicted)
        marks: dict[str, str] = {}
        with contextlib.suppress(DataError):  # the dataset is not here any more
            marks = parts.marks(run.run, run.dataset, home)
        images["copy"] = [marks.get(file, "") for file in images["file"]]
        st.download_button(
            "Download as CSV", as_csv(images), "cell.csv", "text/csv", disabled=images.empty,
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
    st.markdown(answered(len(images), truth, predicted))
    if not images.empty:
        parts.gallery(run, _captioned(images, truth, predicted), f"page-{truth}-{predicted}")


def _captioned(images: pd.DataFrame, truth: str, predicted: str) -> pd.DataFrame:
    lines = {
        "file": images["file"],
        "line:1": [parts.share_of(value, "truth") for value in images["p_true"]],
        "line:2": [parts.share_of(value, "answer") for value in images["p_predicted"]]
        if truth != predicted
        else "",
        "line:3": [f"loss {value:.2f}" for value in images["loss"]],
        "line:4": images["source"],
        "line:5": [f"⚠ {words}" if words else "" for words in images["copy"]],
    }
    return pd.DataFrame(lines)


def _largest_errors(confusion: list[list[int]]) -> list[tuple[int, int]]:
    """Row and column of the cells with most wrong answers, which are the ones to look at first."""
    places = range(len(confusion))
    wrong = [
        (row, column)
        for row in places
        for column in places
        if row != column and confusion[row][column]
    ]
    return sorted(wrong, key=lambda at: -confusion[at[0]][at[1]])[:_CELLS]


def _choose(truth: str, predicted: str) -> None:
    st.session_state["truth"], st.session_state["predicted"] = truth, predicted
