"""What pages show of work in a process of its own: how far it is, or why it brought no answer."""

from typing import TYPE_CHECKING

import streamlit as st

from pages import shared_demo

if TYPE_CHECKING:
    from covidcore.jobs.studies import Standing, Study


def unfinished(phase: str, message: str) -> None:
    """Why the last attempt has no answer, where it failed or was stopped."""
    if phase == "failed":
        st.error(shared_demo.sentence(message), icon=":material/error:")
    elif phase == "stopped":
        st.info("It was stopped before its end.", icon=":material/info:")


def ask(study: "Study", about: str, action: str, key: str) -> None:
    """The way to an answer that is not there yet, or how far it is; ``about`` is Markdown."""
    now = study.standing()
    if now.phase == "running":
        _watch(study, key)
        return
    unfinished(now.phase, now.message)
    st.markdown(about)
    if st.button(action, type="primary", key=f"{key}_go"):
        study.start()
        st.rerun()


@st.fragment(run_every="1s")
def _watch(study: "Study", key: str) -> None:
    """A bar, whoever started it; the whole page is drawn anew once it has ended."""
    now = study.standing()
    if now.phase != "running":
        st.rerun()
    bar(now)
    if st.button("Stop", key=f"{key}_stop", icon=":material/stop:"):
        study.stop()


def bar(now: "Standing", name: str = "") -> None:
    """How far a study is; ``name`` (Markdown) says which, where there are several."""
    text = f"{now.doing}: {now.done:,} of {now.total:,}" if now.total else now.doing
    named = f"{name} · {text}" if name else text
    st.progress(min(now.done / max(now.total, 1), 1.0), named)
