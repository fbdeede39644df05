"""The validation images most like an upload, with what they are and what the run said of them."""

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from covidcore.data.pixels import squares
from covidcore.errors import CovidcoreError, DataError
from covidcore.inference.alike import FILE, Alike
from covidcore.jobs.alike import Neighbour, Search, known, neighbours
from covidcore.jobs.info import RunInfo
from covidcore.wording import markdown, percent, visible
from pages import shared, shared_demo, shared_model
from pages.predict_answers import Asked, kept

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COUNT = 5


@st.cache_resource(max_entries=4, show_spinner=False)
def _known(run: str, home: Path, made: int) -> Alike | None:
    """What was found before of a run; ``made``: when it was written."""
    return known(shared.store(), run)


def draw(one: Asked, run: RunInfo) -> None:
    """The images side by side, or the button that looks for them the first time."""
    features = kept().features(one.upload, run.run)
    if features is None:
        return
    st.subheader("The validation images most like it", anchor=False)
    home, file = shared.settings().home, shared.store().path(run.run) / FILE
    with shared.told():
        found = _known(run.run, home, file.stat().st_mtime_ns) if file.is_file() else None
        found = found or st.session_state.get(f"_alike-{run.run}")
        if found is None:
            st.markdown(
                "To the network, that is. It has to look at all validation images of this run "
                "once, which may take a minute; what it finds is kept."
            )
            if not st.button("Look for them", key="alike", icon=":material/image_search:"):
                return
            found = _search(run)
            if not file.is_file():  # a home that can only be read; this session has it
                st.session_state[f"_alike-{run.run}"] = found
        table = shared.results(run.run, home)[1]
        _tiles(neighbours(found, features, table, COUNT), run, home)


def _search(run: RunInfo) -> Alike:
    """Look at the validation images, a few at a time; in a demo every few wait for their turn."""
    model = shared_model.predictor(run.run, shared.settings().home)
    search, parts, done = Search(shared.store(), run.run, model), [], 0
    with shared.progress_bar("Looking at validation images", every=1) as bar:

        def look(chunks: list[list[str]]) -> list["NDArray[np.float32]"]:
            nonlocal done
            found = []
            for chunk in chunks:
                found.append(search.look(chunk))
                done += len(chunk)
                bar(done, len(search.files))
            return found

        parts = shared_demo.in_turn(search.chunks, look)
    return search.keep(parts)


def _tiles(found: list[Neighbour], run: RunInfo, home: Path) -> None:
    pictures, gone = _pictures(found, run, home)
    if gone:
        st.info(gone, icon=":material/info:")
    with st.grid("auto", min_column_width=130, gap="small"):
        for one, picture in zip(found, pictures, strict=True):
            right = one.label == one.predicted
            with st.container(gap="xsmall"):
                if picture is not None:
                    st.image(
                        picture, width="stretch", output_format="JPEG",
                        alt=f"{visible(one.file)}, {visible(one.label)}",
                    )  # fmt: skip
                sign = ":material/check:" if right else ":material/close:"
                st.markdown(f"**{markdown(one.label)}**")
                st.caption(
                    f"{sign} answered {markdown(one.predicted)}, {percent(one.probability)}  \n"
                    f"{markdown(one.file.rpartition('/')[2])}, alike {one.likeness:.2f}"
                )
    st.caption(
        "In bold what the image is; the run has not learnt from these, but its epoch was chosen by "
        "them. Alike to the network need not be alike to a physician: 1 is the same picture, 0 any."
    )


def _pictures(
    found: list[Neighbour], run: RunInfo, home: Path
) -> "tuple[list[NDArray[np.uint8] | None], str]":
    """Thumbnails, None where there is none; and a sentence where the images are gone."""
    gone = "The pictures are not here any more: the folder of the run's dataset is gone."
    try:
        dataset = shared.open_dataset(run.dataset, home)
    except DataError:
        return [None] * len(found), gone
    row_of = dict(zip(dataset.index["file"], dataset.index.index, strict=True))
    try:
        rows = [int(row_of[one.file]) for one in found]
        pictures = squares(dataset, rows, shared.THUMBNAIL, home)
    except (KeyError, CovidcoreError):
        return [None] * len(found), gone
    return pictures, gone if all(one is None for one in pictures) else ""
