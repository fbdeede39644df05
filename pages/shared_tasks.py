"""What pages show of work in a process of its own: how far it is, or why it brought no answer."""

from typing import TYPE_CHECKING

import streamlit as st

from covidcore.wording import markdown

if TYPE_CHECKING:
    from covidcore.jobs.studies import Standing


def unfinished(phase: str, message: str) -> None:
    """Why the last attempt has no answer, where it failed or was stopped."""
    if phase == "failed":
        st.error(markdown(message), icon=":material/error:")
    elif phase == "stopped":
        st.info("It was stopped before its end.", icon=":material/info:")


def bar(now: "Standing", name: str = "") -> None:
    """How far a study is; ``name`` (Markdown) says which, where there are several."""
    text = f"{now.doing}: {now.done:,} of {now.total:,}" if now.total else now.doing
    named = f"{name} · {text}" if name else text
    st.progress(min(now.done / max(now.total, 1), 1.0), named)
