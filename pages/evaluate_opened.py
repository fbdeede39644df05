"""A part of the evaluate page: how often the test figures were shown; what the weights had seen."""

from typing import TYPE_CHECKING

import streamlit as st

from covidcore.data.known import in_words
from covidcore.jobs.openings import note_opened, times_opened
from pages import shared

if TYPE_CHECKING:
    from covidcore.jobs.info import RunInfo


def draw(run: "RunInfo") -> None:
    """Count this session once for the run, and say how often it was looked at in all."""
    folder = shared.store().path(run.run)
    seen = st.session_state.setdefault("_test_opened", set())
    if run.run in seen:
        times = times_opened(folder)
    else:
        seen.add(run.run)
        times = note_opened(folder)
    st.caption(
        f":material/visibility: The test figures of this run were opened **{times:,}** "
        f"time{'s' * (times != 1)}. The more often a test set is looked at before the next recipe "
        "is chosen, the less its figures say of new images."
    )
    if seen := in_words(shared.store().job(run.run).get("known")):
        st.caption(f":material/history_edu: {seen}")
