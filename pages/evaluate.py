"""How often a run is right, where it errs, and which images are behind each number."""

from collections.abc import Callable

import streamlit as st

from covidcore.errors import RunError
from covidcore.jobs.info import RunInfo
from covidcore.wording import markdown
from pages import (
    evaluate_calibration,
    evaluate_compare,
    evaluate_curves,
    evaluate_folds,
    evaluate_matrix,
    evaluate_opened,
    evaluate_operating,
    evaluate_outside,
    evaluate_report,
    evaluate_stress,
    evaluate_subgroups,
    shared,
    shared_choice,
    shared_demo,
)

VIEWS: dict[str, Callable[[RunInfo], None]] = {
    "Matrix": evaluate_matrix.draw,
    "Curves": evaluate_curves.draw,
    "Calibration": evaluate_calibration.draw,
    "Operating point": evaluate_operating.draw,
    "Subgroups": evaluate_subgroups.draw,
    "Compare": evaluate_compare.draw,
    "Another dataset": evaluate_outside.draw,
    "Leaks and folds": evaluate_folds.draw,
    "Stress tests": evaluate_stress.draw,
    "Report": evaluate_report.draw,
}


def draw() -> None:
    """The run that is chosen, by one of the views."""
    with shared.frame("Evaluate", "How often a run is right on test images that it never saw."):
        run = shared_choice.pick_finished_run()
        if run is None:
            return
        if run.imported:
            imported(run)
            return
        try:
            shared.results(run.run, shared.settings().home)
        except RunError as error:
            st.error(shared_demo.sentence(error))
            if st.button("Run again", type="primary"):
                shared.store().resume(run.run)
                st.switch_page(shared.TRAIN, query_params={"run": shared.link(run.run)})
            return
        shared.titled(
            run.name, shared.PREDICT, "Try an image", "upload_file", run=shared.link(run.run)
        )
        evaluate_opened.draw(run)
        view = st.pills(  # which may take two lines: ten are wider than most windows
            "View", list(VIEWS), default="Matrix", key="view", bind="query-params", required=True,
            label_visibility="collapsed",
        )  # fmt: skip
        VIEWS[view](run)


def imported(run: RunInfo) -> None:
    """A model that was brought in: what can be found out about it here."""
    st.header(markdown(run.name), anchor=False)
    st.info(
        "This model was imported: it has no test images, and so no figures, of its own. Score it "
        "on labelled images that it has not seen.",
        icon=":material/info:",
    )
    view = st.segmented_control(
        "View", ["Another dataset", "Report"], default="Another dataset", key="imported_view",
        required=True, label_visibility="collapsed",
    )  # fmt: skip
    VIEWS[view](run)


shared.page(draw)
