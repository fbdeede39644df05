"""A run that ends is announced in every open tab, on whichever page it is."""

from typing import TYPE_CHECKING

import streamlit as st

from covidcore.jobs.folder import State
from covidcore.wording import markdown, percent
from pages import shared_demo

if TYPE_CHECKING:
    from covidcore.jobs.store import RunInfo, RunStore

_SEEN, _NEWS = "_under_way", "_news"
_EVERY = "2s"
_ICONS = {State.DONE: ":material/check_circle:", State.CANCELLED: ":material/stop_circle:"}


def announce(store: "RunStore") -> None:
    """Tell what ended since this session saw it under way, and go on watching what has not.

    Nothing is looked at again unless something is under way.
    """
    first = store.list()
    if _ended(first):
        _keep_news(first)
    for text, icon in st.session_state.pop(_NEWS, []):
        st.toast(text, icon=icon, duration="long")
    seen = {info.run for info in first if not info.state.ended}
    st.session_state[_SEEN] = seen
    if seen:
        looked = [True]  # just now: the first drawing need not look again
        st.fragment(_watch, run_every=_EVERY)(store, looked)


def _watch(store: "RunStore", looked: list[bool]) -> None:
    """Draw the page again once something has ended: it shows the news, and where things stand."""
    if looked:
        looked.clear()
        return
    infos = store.list()
    if _ended(infos):
        _keep_news(infos)
        st.rerun()


def _ended(infos: "list[RunInfo]") -> list["RunInfo"]:
    seen = st.session_state.get(_SEEN, set())
    return [info for info in infos if info.run in seen and info.state.ended]


def _keep_news(infos: "list[RunInfo]") -> None:
    """Keep what is to be told for the next drawing, for a toast of this one might be lost."""
    ended = _ended(infos)
    st.session_state[_SEEN] = st.session_state[_SEEN] - {info.run for info in ended}
    news = st.session_state.setdefault(_NEWS, [])
    news.extend((_sentence(info), _ICONS.get(info.state, ":material/error:")) for info in ended)


def _sentence(info: "RunInfo") -> str:
    name = f"“{markdown(info.name)}”"
    if info.state is State.DONE:
        return f"{name} is done: {percent(info.accuracy)} of its test images are answered right."
    return f"{name} is {info.state}. {shared_demo.sentence(info.message)}".strip()
