"""A part of the train page: runs that are removed, and those that are damaged and not listed."""

import streamlit as st

from covidcore.errors import CovidcoreError
from covidcore.jobs.removal import lost_in_words
from covidcore.jobs.store import RunStore
from covidcore.wording import markdown
from pages import train_runs

_REFUSED = "_not_removed"


def lost_runs(store: RunStore) -> None:
    """What the list left out, as it is damaged; the way out of it."""
    if not store.lost:
        return
    st.warning(markdown(lost_in_words(store.lost)), icon=":material/heart_broken:")
    if not store.rules.bounded and st.button("Remove what is damaged", key="remove-lost"):
        st.session_state[train_runs.REMOVE] = list(store.lost)
        st.rerun()


def ask_to_remove(store: RunStore) -> None:
    """Open the dialog where somebody asked to remove runs; say what could not be removed."""
    for problem in st.session_state.pop(_REFUSED, []):
        st.error(markdown(problem), icon=":material/error:")
    runs = st.session_state.pop(train_runs.REMOVE, None)
    if runs:
        remove_dialog(store, runs)


@st.dialog("Remove runs?", icon=":material/delete:")
def remove_dialog(store: RunStore, runs: list[str]) -> None:
    """Say what is lost, and remove what may be removed."""
    known = {info.run: info for info in store.list()}
    for run in runs:
        if run in known:
            st.markdown(f"- {markdown(known[run].name)} {train_runs.badge(known[run].state)}")
        elif run in store.lost:
            st.markdown(f"- {markdown(run)}, which is damaged")
    st.markdown(
        "Weights, curves, predictions, figures and logs are deleted for good. Datasets and "
        "stored features stay. A run that is running is not touched."
    )
    with st.container(horizontal=True):
        yes = st.button(
            "Remove", type="primary", icon=":material/delete:", key="remove-yes",
            on_click=_remove, args=(store, runs),
        )  # fmt: skip
        no = st.button("Keep", key="remove-no")
    if yes or no:
        st.rerun()  # which closes the dialog


def _remove(store: RunStore, runs: list[str]) -> None:
    """Remove each; those that can not be removed say why when the page is drawn again."""
    refused = []
    for run in runs:
        try:
            store.remove(run)
        except CovidcoreError as error:
            refused.append(str(error))
    st.session_state[_REFUSED] = refused
