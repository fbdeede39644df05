"""The public demo: what is always in view, who is let in, whose turn it is, what is prepared.

Every function does nothing, or lets everything through, where ``COVIDCORE_DEMO`` is not set; only
the login is asked for wherever one is set up.
"""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from covidcore.config import DISCLAIMER, PRIVACY, Settings
from covidcore.errors import Busy, CovidcoreError
from covidcore.inference.turns import Line
from covidcore.jobs import demo_process
from covidcore.jobs.demo import Visitor
from covidcore.limits import Limit, Rate, Seats
from covidcore.wording import markdown, without_folders

SEATS = 80
AWAY_SECONDS = 15 * 60
"""A session that did nothing for so long gives its seat to the next who comes."""
MOST_WAITING = 60
PART = 4
"""Images that one visitor has looked at before it is the next one's turn."""


@dataclass
class Desk:
    """What the visitors of one server share."""

    limits: dict[str, Limit] = field(
        default_factory=lambda: {
            "images": Limit("images", Rate(20, 3.0), Rate(300, 0.2)),
            "training": Limit("runs", Rate(2, 600.0), Rate(6, 120.0)),
            "pages": Limit("pages", Rate(60, 0.5), Rate(1200, 0.02)),
        }
    )
    line: Line = field(default_factory=lambda: Line(MOST_WAITING))
    seats: Seats = field(default_factory=lambda: Seats(SEATS, AWAY_SECONDS))


_desk: list[Desk] = []
_opening = threading.Lock()


def desk() -> Desk:
    """One for the whole server, however many sessions there are.

    Not among Streamlit's resources: any visitor may send a message that clears those, and with them
    every limit and seat.
    """
    with _opening:
        if not _desk:
            _desk.append(Desk())
        return _desk[0]


def close_desk() -> None:
    """Begin anew with empty seats and full limits; for tests."""
    with _opening:
        _desk.clear()


def is_demo() -> bool:
    """Whether this server is a public demo."""
    return Settings.from_environment().demo


def sentence(told: object) -> str:
    """What the library says of an error, as Markdown; strangers are not told where things lie."""
    if is_demo():
        settings = Settings.from_environment()
        told = without_folders(told, settings.home, settings.data, Path.cwd())
    return markdown(told)


def visitor() -> Visitor | None:
    """Who looks at the page, for the store; None outside a demo."""
    if not is_demo():
        return None
    state = st.session_state
    if "_visitor" not in state:
        state["_visitor"] = Visitor(spend=partial(_spend, _name()))
    who: Visitor = state["_visitor"]
    return who


def _name() -> str:
    """A name for this session that nobody else knows; it is not shown or written anywhere."""
    name: str = st.session_state.setdefault("_visitor_name", uuid.uuid4().hex)
    return name


def _spend(name: str, what: str) -> None:
    desk().limits[what].take(name)


def _leave(name: str) -> None:
    """A tab was closed: its seat is free, and it waits no longer."""
    desk().seats.leave(name)
    desk().line.cancel(name)


@st.cache_resource(scope="session", on_release=_leave, show_spinner=False)
def _present(name: str) -> str:
    """Something that Streamlit lets go of when the session's tab is closed."""
    return name


def _logged_in() -> bool:
    """Ask for a login where the server's secrets name who checks it (``docs/deploy.md``)."""
    if not st.secrets.load_if_toml_exists() or "auth" not in st.secrets:
        return True
    if not st.user.get("is_logged_in"):
        st.button("Log in", type="primary", icon=":material/login:", on_click=st.login)
        return False
    st.sidebar.button("Log out", icon=":material/logout:", on_click=st.logout)
    return True


def admitted() -> bool:
    """Whether the page may be drawn; says why not, and what stays in view in any case."""
    if not _logged_in():
        return False
    if not is_demo():
        return True
    with st.bottom:
        st.caption(f":material/info: **{DISCLAIMER}** {PRIVACY}")
    name = _name()
    try:
        desk().limits["pages"].take(name)
        desk().seats.admit(_present(name))
    except Busy as full:
        st.warning(markdown(full), icon=":material/hourglass_empty:")
        return False
    return True


@st.cache_resource(show_spinner="Starting the demo")
def _begun(home: str) -> bool:
    """Begin to make what the demo shows, once a server."""
    settings = Settings.from_environment()
    if demo_process.state(settings.home).phase != "done":
        demo_process.start(settings.home)
    return True


def preparation() -> None:
    """How far the demo's phantoms, audit and run are, until all of it is there."""
    if not is_demo():
        return
    home = Settings.from_environment().home
    try:
        _begun(str(home))
    except CovidcoreError as error:
        st.error(sentence(error), icon=":material/error:")
    now = demo_process.state(home)
    if now.phase == "running":
        _watch()
    elif now.phase == "failed":
        st.error(f"The demo could not be prepared. {sentence(now.message)}")


@st.fragment(run_every="2s")
def _watch() -> None:
    """A bar; the page is drawn anew when it is all there."""
    now = demo_process.state(Settings.from_environment().home)
    if now.phase != "running":
        st.rerun()
    st.progress(now.done, f"This demo is being prepared. {now.doing}")


def instead_of_data() -> bool:
    """In a demo: say that there is one dataset, where a page would offer ways to more."""
    if not is_demo():
        return False
    st.info(
        "The demo has synthetic phantoms, drawn by this program, no patient behind them. Install "
        "covidcore to look at data of your own.",
        icon=":material/info:",
    )
    return True


def at_once(usual: int) -> int:
    """How many images may be asked about at once; ``usual`` where there is no demo."""
    return min(usual, desk().limits["images"].each.burst) if is_demo() else usual


def in_turn(items: list[Any], answer: Callable[[list[Any]], list[Any]]) -> list[Any]:
    """What ``answer`` says to the items; in a demo a few at a time, one visitor after another.

    While others are before one, the place is shown. Raises: Busy, saying when to try again.
    """
    if not is_demo():
        return answer(items)
    name, said, place = _name(), [], st.empty()
    desk().limits["images"].take(name, len(items))

    def told(before: int) -> None:
        others = "visitor is" if before == 1 else "visitors are"
        place.info(f"{before} {others} before you.", icon=":material/hourglass_empty:")

    try:
        for start in range(0, len(items), PART):
            with desk().line.turn(name, told):
                said += answer(items[start : start + PART])
    finally:
        place.empty()
    return said
