"""What several pages share: the router, a page's frame, cached reads, ways to get data.

Nothing here runs at import, and no function imports torch but ``load_torch``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from covidcore.config import DISCLAIMER, Settings
from covidcore.errors import CovidcoreError, DataError
from covidcore.wording import markdown, visible
from pages import shared_demo
from pages.shared_news import announce

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from covidcore.data.index import Dataset
    from covidcore.jobs.store import RunStore

ROUTED = "_routed"
ROOT = Path(__file__).parent.parent
ICON = ROOT / "pages" / "icon.svg"
HOME, EXPLORE, TRAIN, EVALUATE, PREDICT = (
    f"pages/{name}.py" for name in ("home", "explore", "train", "evaluate", "predict")
)
THUMBNAIL = 224
"""Pixels a side of the cached images that pages show; the size most recipes train on."""

STYLE = """<style>
[data-testid="stButtonGroup"] button[data-selected="true"] p, [data-testid="stSliderThumbValue"] p {
  color: light-dark(#1f6f8b, #7cc0d8);
}
</style>"""
"""Streamlit writes white on the primary colour, and writes with it on the page. On a dark page no
colour is far enough from both (WCAG 2.2, 1.4.3), so where it is written with it is lightened."""


def router() -> Any:
    """Set up the window and declare every page; returns the one asked for."""
    # A Material icon would be fetched from the network; so would a page's, if none were set here.
    st.set_page_config(page_title="covidcore", page_icon=ICON, layout="wide")
    about = (
        (HOME, "Home", "home", "What this is, what is here, and what to do next."),
        (EXPLORE, "Explore", "photo_library", "What a dataset holds, and what was left out."),
        (TRAIN, "Train", "model_training", "Choose a recipe, follow it, stop it."),
        (EVALUATE, "Evaluate", "grid_on", "How often a run is right, and on which images."),
        (PREDICT, "Predict", "upload_file", "Let a run answer about images of your own."),
    )
    return st.navigation(
        [
            st.Page(
                ROOT / path,
                title=title,
                icon=f":material/{icon}:",
                help=text,
                default=path == HOME,
            )
            for path, title, icon, text in about
        ]
    )


def page(draw: Callable[[], None]) -> None:
    """Draw a page; by way of the router where the entry did not run, as on a cold deep link.

    The router then runs the page, in this very run: its widgets are the same ones as ever after,
    and a click that came with this run counts, which ``st.rerun`` would lose. No page calls
    ``st.stop``, which loses the clicks that came while it was drawn: a page returns.
    """
    if st.session_state.pop(ROUTED, False):
        if shared_demo.admitted():
            draw()
        return
    routed = router()
    st.session_state[ROUTED] = True
    routed.run()


@contextmanager
def frame(title: str, about: str) -> Iterator[None]:
    """A page's heading and disclaimer; errors of the library below it are told in a sentence."""
    st.html(STYLE)
    st.title(title, anchor=False)
    st.markdown(about)
    st.caption(f":material/info: {DISCLAIMER}")
    shared_demo.preparation()
    note_seen(title)
    with told():
        announce(store())
    for text in st.session_state.pop("_notes", []):
        st.info(shared_demo.sentence(text), icon=":material/info:")
    with told():
        yield


@contextmanager
def told() -> Iterator[None]:
    """Show an error that the library raised on purpose as its sentence, without a traceback."""
    try:
        yield
    except CovidcoreError as error:
        st.error(shared_demo.sentence(error), icon=":material/error:")


def note_seen(what: str) -> None:
    """Remember for this session that a person has come to a page, by its title, or to a thing."""
    st.session_state.setdefault("_seen", set()).add(what)


def was_seen(what: str) -> bool:
    """Whether ``note_seen`` was told of it in this session."""
    return what in st.session_state.get("_seen", ())


def note(text: str) -> None:
    """Keep a sentence for the next time a page is drawn."""
    st.session_state.setdefault("_notes", []).append(text)


def is_dark() -> bool:
    """Whether this visitor sees the dark scheme."""
    return st.context.theme.type == "dark"


def settings() -> Settings:
    """Settings of this process."""
    return Settings.from_environment()


def store() -> "RunStore":
    """The runs of this home."""
    from covidcore.jobs.store import RunStore

    return RunStore(settings(), shared_demo.visitor())


def link(key: str) -> str:
    """The part of a fingerprint or run id that stands in a link."""
    return key[:12]


def titled(name: str, page: str, action: str, icon: str, **query: str) -> None:
    """What the page is about, as a header, and beside it the way to the step that comes next."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.header(markdown(name), anchor=False, width="content")
        st.page_link(page, label=action, icon=f":material/{icon}:", query_params=query)


def choose(name: str, key: str) -> None:
    """Select a dataset or run as a link would, and draw the page again."""
    st.query_params[name] = link(key)
    st.rerun()


@st.cache_resource(max_entries=4, show_spinner="Opening the dataset")
def open_dataset(fingerprint: str, home: Path) -> "Dataset":
    """A known dataset; shared by all sessions, so never change it.

    Raises: DataError where it is not here any more.
    """
    from covidcore.data.index import known, load

    if all(info.fingerprint != fingerprint for info in known(home)):
        raise DataError(
            f"The dataset {fingerprint[:6]} is not here any more, only what was made of it: read "
            "its folder again to see its images."
        )
    return load(fingerprint, home)


@st.cache_data(max_entries=8, show_spinner=False)
def results(run: str, home: Path) -> "tuple[dict[str, Any], pd.DataFrame]":
    """The figures of a finished run, and its predictions, one row an image."""
    return store().evaluation(run), store().predictions(run)


def pixels(dataset: "Dataset") -> "NDArray[np.uint8]":
    """The dataset's images ``(N, 224, 224)``; read once, with a progress bar, then kept on disk."""
    from covidcore.data.pixels import pixel_array

    with progress_bar("Reading every image once") as progress:
        return pixel_array(dataset, THUMBNAIL, settings().home, progress)


def thumbnail(image: "NDArray[np.uint8]", file: str, *lines: str) -> None:
    """A cached image over its file name and a few plain words."""
    caption = "  \n".join(markdown(line) for line in (file.rpartition("/")[2], *lines) if line)
    st.image(image, caption=caption, width="stretch", alt=visible(file))


@contextmanager
def progress_bar(text: str, every: int = 20) -> Iterator[Callable[[int, int], None]]:
    """A bar that appears with the first report and is gone when the work is done.

    It is drawn at every so manieth report, as each costs a message to the browser.
    """
    place = st.empty()

    def report(done: int, total: int) -> None:
        if done % every == 0 or done == total:
            place.progress(done / max(total, 1), f"{text}: {done:,} of {total:,}")

    try:
        yield report
    finally:
        place.empty()


def offer_data() -> None:
    """The two ways to a dataset: synthetic phantoms, or a folder on this machine."""
    if shared_demo.instead_of_data():
        return
    phantoms, folder = st.columns(2, border=True)
    with phantoms.form("phantoms", border=False):
        st.subheader("Synthetic phantoms", anchor=False)
        st.markdown(
            "Nothing at hand? Drawn by this program in seconds, no patient behind them, to try "
            "every page at once."
        )
        count = st.number_input("How many images", 30, 3000, 240, step=30)
        draws = st.form_submit_button("Make synthetic phantoms", type="primary")
    with folder.form("folder", border=False):
        st.subheader("A folder on this machine", anchor=False)
        st.markdown(
            "It holds one folder of radiographs (PNG, JPEG, DICOM...) for each class, or is a .zip."
        )
        path = st.text_input(
            "Path of the folder", value=str(settings().data or ""), placeholder="/data/radiographs"
        )
        reads = st.form_submit_button("Read the folder", type="primary")
    if reads or draws:  # below the forms, in which there can be no button to stop
        bring_in(path.strip() if reads else f"phantoms:{count}")


def bring_in(spec: str) -> None:
    """Resolve a dataset as the command line would, and select it."""
    from covidcore.data.sources import resolve
    from pages.shared_sources import moving_bar

    with told():
        if not spec:
            raise DataError("Type the path of a folder first.")
        stop = st.empty()
        # A click draws the page anew, which ends this at the next image. What was read is kept.
        stop.button("Stop reading", key="stop_reading", icon=":material/stop:")
        with progress_bar("Reading images") as progress, moving_bar() as moving:
            dataset = resolve(spec, settings(), progress, moving)
        stop.empty()
        choose("dataset", dataset.fingerprint)
