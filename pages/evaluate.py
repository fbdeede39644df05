"""How often a run is right, where it errs, and which images are behind each number."""

import pandas as pd
import streamlit as st

from covidcore import charts
from covidcore.errors import RunError
from covidcore.evaluation.predictions import cell
from covidcore.inference.table import as_csv
from covidcore.jobs.folder import State
from covidcore.wording import interval, markdown, percent
from pages import shared

PER_PAGE = 12
SHOWS = {"counts": "Images", "rows": "Share of the truth", "columns": "Share of the answer"}

FIGURES = ("recall", "precision", "specificity", "f1", "auc")


def figure(title: str, value: str, below: str = "", about: str | None = None) -> None:
    """One number with its interval below it."""
    st.metric(title, value, below or None, delta_color="off", delta_arrow="off", help=about)


def largest_error(confusion: list[list[int]]) -> tuple[int, int]:
    """Row and column of the cell with most wrong answers: the one to look at first."""
    places = range(len(confusion))
    wrong = [(row, column) for row in places for column in places if row != column]
    return max(wrong, key=lambda at: confusion[at[0]][at[1]])


def cell_clicked() -> None:
    """Put the clicked cell of the matrix into the select boxes."""
    points = st.session_state["matrix"].selection.points
    if points:
        st.session_state["truth"], st.session_state["predicted"] = points[0]["customdata"]


shared.ensure_router()
with shared.frame("Evaluate", "How often a run is right on test images that it never saw."):
    home = shared.settings().home
    run = shared.pick_run([run for run in shared.store().list() if run.state is State.DONE])
    if run is None:
        st.info("There is no finished run yet: train one first.")
        st.page_link(shared.TRAIN, label="Train a model", icon=":material/model_training:")
        st.stop()
    try:
        report, table = shared.results(run.run, home)
    except RunError as error:
        st.error(markdown(str(error)))
        if st.button("Run again", type="primary"):
            shared.store().resume(run.run)
            st.switch_page(shared.TRAIN, query_params={"run": shared.link(run.run)})
        st.stop()
    classes = report["classes"]

    st.header(markdown(run.name), anchor=False)
    with st.grid(6, min_column_width=150):
        figure("Accuracy", percent(report["accuracy"]), interval(report["accuracy_ci"]))
        figure(
            "Source alone",
            percent(report["source_only_accuracy"]),
            about="What a rule would score that sees no image and only knows where it comes from.",
        )
        figure(
            "Balanced accuracy",
            percent(report["balanced_accuracy"]),
            interval(report["balanced_accuracy_ci"]),
        )
        figure("Macro F1", percent(report["macro_f1"]), interval(report["macro_f1_ci"]))
        figure("Loss", f"{report['loss']:.3f}", about="Cross-entropy in nats; 0 is perfect.")
        figure(
            "Calibration error",
            percent(report["ece"]),
            f"{percent(report['ece_uncalibrated'])} uncorrected",
            "How far the stated probabilities are from how often they are right.",
        )
    right = sum(report["confusion"][at][at] for at in range(len(classes)))
    st.markdown(
        f"**{right:,} of {report['n']:,}** test images are answered right; intervals are of 95 %. "
        "These figures hold for images like those of this dataset. They can not tell whether the "
        "model looks at the lungs or at signs of where an image was made: the nearer accuracy is "
        "to “source alone”, the less it shows."
    )

    halves = st.grid(2, min_column_width=380, gap="large")
    matrix, detail = halves.cell(), halves.cell()
    with matrix:
        st.subheader("Confusion matrix", anchor=False)
        with st.container(horizontal=True, vertical_alignment="center"):
            shows = st.segmented_control(
                "Show", list(SHOWS), format_func=SHOWS.get, default="counts", required=True,
                label_visibility="collapsed",
            )  # fmt: skip
            errors = st.toggle("Errors only")
        st.plotly_chart(
            charts.matrix(report["confusion"], classes, shows, errors),
            key="matrix",
            on_select=cell_clicked,
            selection_mode="points",
            config={"displayModeBar": False},
            alt="Confusion matrix, rows the truth; the select boxes below choose a cell as well",
        )
        st.caption("Click a cell to see its images.")
    with detail:
        st.subheader("Each class", anchor=False)
        of_class = report["per_class"].values()
        rows = {"images": [f"{one['n']:,}" for one in of_class]}
        for name in FIGURES:
            rows[name] = [percent(one[name]) for one in of_class]
            if name in ("recall", "precision"):
                rows[f"{name}, 95 %"] = [interval(one[f"{name}_ci"]) for one in of_class]
        st.dataframe(pd.DataFrame(rows, index=classes).T, alt="Figures of each class")
        st.caption(
            "Recall (sensitivity): of the images of a class, how many are found. Precision: of the "
            "answers, how many are right. auc: area under the curve of one class against the rest."
        )

    st.subheader("Images behind a cell", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        at = largest_error(report["confusion"])
        link = {"bind": "query-params", "width": 260}
        truth = st.selectbox("Truth", classes, at[0], key="truth", **link)
        predicted = st.selectbox("Answer", classes, at[1], key="predicted", **link)
        images = cell(table, truth, predicted)
        st.download_button(
            "Download as CSV", as_csv(images), "cell.csv", "text/csv", disabled=images.empty,
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
    st.markdown(
        f"**{len(images):,}** images of {markdown(truth)} are answered {markdown(predicted)}, "
        "the most surprising first."
    )
    if not images.empty:
        dataset = shared.open_dataset(run.dataset, home)
        position = dict(zip(dataset.index["file"], dataset.index.index, strict=True))
        pixels = shared.pixels(dataset)
        gallery = st.container()
        page = st.pagination(-(-len(images) // PER_PAGE), key=f"cell-{truth}-{predicted}")
        with gallery.grid("auto", min_column_width=150):
            for row in images.iloc[(page - 1) * PER_PAGE : page * PER_PAGE].itertuples():
                shared.thumbnail(
                    pixels[position[row.file]],
                    row.file,
                    f"P(truth) {percent(row.p_true)}",
                    f"P(answer) {percent(row.p_predicted)}",
                    f"loss {row.loss:.2f}",
                    row.source,
                )
