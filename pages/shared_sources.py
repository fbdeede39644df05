"""Ways to a dataset beside a folder: an archive sent by the browser, and Kaggle."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from covidcore.data import kaggle
from covidcore.data.uploads import store_upload
from covidcore.wording import markdown, visible
from pages import shared

_PHASES = {
    "absent": ("", "Fetch from Kaggle"),
    "stopped": ("The download was stopped. What has arrived is kept.", "Go on with the download"),
    "failed": ("", "Try again"),
    "downloaded": ("The archive is here.", "Unpack and read it"),
    "imported": ("It is here already.", "Open it"),
}
"""What is said of a dataset that is not being downloaded, and on the button."""


def offer_more() -> None:
    """Bring in a zip archive from this computer, or a public dataset of Kaggle."""
    if shared.settings().demo:
        return
    upload, download = st.columns(2, border=True)
    with upload:
        _offer_upload()
    with download:
        _offer_kaggle()


@contextmanager
def moving_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for bytes, drawn at most ten times a second, that is gone when the work is done."""
    place, drawn = st.empty(), 0.0

    def report(what: str, done: int, total: int) -> None:
        nonlocal drawn
        if time.monotonic() - drawn > 0.1:
            drawn = time.monotonic()
            _bar(place, what, done, total)

    try:
        yield report
    finally:
        place.empty()


def _bar(place: "st.delta_generator.DeltaGenerator", what: str, done: int, total: int) -> None:
    size = f": {done / 1e6:,.1f} of {total / 1e6:,.1f} MB" if total else ""
    place.progress(min(done / max(total, 1), 1.0), markdown(what + size))


def _offer_upload() -> None:
    st.subheader("A zip archive from your computer", anchor=False)
    limit = st.get_option("server.maxUploadSize")
    st.markdown(
        f"Up to {limit} MB, with one folder of radiographs for each class. A larger "
        "one is read where it lies: give its path as you would give a folder's."
    )
    file = st.file_uploader("Zip archive", type="zip", key="archive")
    if st.button("Read the archive", disabled=file is None) and file is not None:
        with shared.told():
            path = store_upload(file, visible(file.name), shared.settings())
            shared.bring_in(str(path))


def _offer_kaggle() -> None:
    st.subheader("Kaggle", anchor=False)
    st.markdown("Public datasets need no account. The default one is about 0.8 GB.")
    name = st.text_input("Dataset on Kaggle", kaggle.DEFAULT, key="kaggle_dataset")
    with shared.told():
        spec = f"kaggle:{name.strip()}"
        now = kaggle.state(spec, shared.settings())
        if now.under_way:
            _watch(spec)
            return
        version = f" Version {now.version}." if now.version else ""
        text, label = _PHASES[now.phase]
        st.markdown(markdown(f"{text or now.message}{version}"))
        if st.button(label, key="kaggle_go"):
            if now.phase in ("downloaded", "imported"):
                shared.bring_in(spec)
            else:
                kaggle.start(spec, shared.settings())
                st.rerun()


@st.fragment(run_every="1s")
def _watch(spec: str) -> None:
    """How far a download is, whoever started it; it goes on where the page is left."""
    now = kaggle.state(spec, shared.settings())
    if not now.under_way:
        st.rerun()
    _bar(st.empty(), kaggle.describe(kaggle.parse(spec), now), now.done, now.total)
    if st.button("Stop the download", key="kaggle_stop"):
        kaggle.cancel(spec, shared.settings())
