"""What the views of the explore page read, kept between drawings."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from covidcore.data import audit, gallery, means, viewing
from covidcore.data.audit_images import findings_of_images
from covidcore.data.audit_leaks import picture_ids
from covidcore.data.pixels import is_stored, squares
from covidcore.errors import CovidcoreError, DataError
from covidcore.wording import visible
from pages import shared, shared_choice, shared_demo

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from covidcore.data.index import Dataset

AUTOMATIC = 5_000
"""So many images are read without asking, where something needs the pixels of all of them."""

DEFAULT_RECIPE = "the default recipe"


@st.cache_data(max_entries=8, ttl="10s", show_spinner=False)
def splits(fingerprint: str, home: Path) -> dict[str, str]:
    """By whose split sets can be shown: a run's id ("" for the default recipe) -> its name."""
    runs = [info for info in shared.store().list() if info.dataset == fingerprint]
    names = {info.run: visible(info.name) for info in runs}
    return shared_choice.told_apart({"": DEFAULT_RECIPE} | names)


@st.cache_data(max_entries=8, show_spinner="Dealing the images into sets")
def sets(fingerprint: str, run: str, home: Path) -> "NDArray[np.object_]":
    """The set of each image, as a run has it, or as a run of the default recipe would get it.

    Raises: DataError where a class is too small for a split, RunError where the run is gone.
    """
    from covidcore.jobs.plan import plan_split
    from covidcore.training.recipe import Recipe

    dataset = shared.open_dataset(fingerprint, home)
    dealt = shared.store().split(run) if run else plan_split(Recipe(), dataset)
    return gallery.sets_of(dataset.index, dealt)


@st.cache_data(max_entries=4, show_spinner="Comparing the images with one another")
def copies(fingerprint: str, home: Path) -> gallery.Copies:
    """The groups of copies; found by the audit where there is one."""
    from covidcore.data.duplicates import near_duplicate_groups

    dataset = shared.open_dataset(fingerprint, home)
    audited = audit.measured(dataset, home)
    pictures = (
        near_duplicate_groups(dataset.index, dataset.near_pairs)
        if audited is None
        else picture_ids(dataset.index, audited["near_pairs"])
    )
    return gallery.copies(dataset.index, pictures)


def findings(dataset: "Dataset", run: str) -> "dict[str, NDArray[np.bool_]] | None":
    """The images of each finding; None where the dataset was not audited yet.

    ``run`` says whose sets they are of which one may leak into another, as in ``sets``.
    """
    home = shared.settings().home
    try:
        stamp = audit.file_of(dataset, home).stat().st_mtime_ns
    except OSError:
        return None
    return _findings(dataset.fingerprint, run, home, stamp)


@st.cache_data(max_entries=4, show_spinner=False)
def _findings(
    fingerprint: str, run: str, home: Path, stamp: int
) -> "dict[str, NDArray[np.bool_]] | None":
    dataset = shared.open_dataset(fingerprint, home)
    audited = audit.measured(dataset, home)
    if audited is None:
        return None
    dealt = None
    with contextlib.suppress(CovidcoreError):  # the overview says why there are no sets
        dealt = sets(fingerprint, run, home)
    return findings_of_images(audited, dataset, dealt)


@st.cache_data(max_entries=8, show_spinner=False)
def view(fingerprint: str, row: int, home: Path) -> viewing.View:
    """One image in full. Raises: DataError where it can not be read."""
    return viewing.view(shared.open_dataset(fingerprint, home), row)


def square(dataset: "Dataset", row: int) -> "NDArray[np.uint8] | None":
    """One image as training sees it; None where its file can not be read any more."""
    return squares(dataset, [row], shared.THUMBNAIL, shared.settings().home)[0]


@st.cache_data(max_entries=8, show_spinner=False)
def neighbours(fingerprint: str, row: int, count: int, home: Path) -> "pd.DataFrame":
    """The images most like one of them."""
    from covidcore.data.neighbours import neighbours as find

    return find(shared.open_dataset(fingerprint, home).index, row, count)


@st.cache_resource(max_entries=4, show_spinner=False)
def _kept_statistics(fingerprint: str, home: Path, stamp: int) -> means.PixelStatistics | None:
    return means.stored(shared.open_dataset(fingerprint, home), home)


def statistics(dataset: "Dataset") -> means.PixelStatistics | None:
    """Figures of all pixels: those on disk, else measured now; None until a person asks for it.

    Only large datasets are asked for, whose images nobody has read yet.
    """
    home = shared.settings().home
    found = _kept(dataset, home)
    if found is not None:
        return found
    count = len(dataset.index)
    if count > AUTOMATIC and not is_stored(dataset, means.SIZE, home):
        st.markdown(f"For this, all {count:,} images have to be read once; it is then kept.")
        if not st.button("Read all images now", icon=":material/play_arrow:", key="read-all"):
            return None
    try:
        with shared.progress_bar("Reading every image once") as progress:
            return means.pixel_statistics(dataset, home, progress)
    except DataError as error:
        st.error(shared_demo.sentence(error), icon=":material/error:")
        return None


def _kept(dataset: "Dataset", home: Path) -> means.PixelStatistics | None:
    try:
        stamp = means.file_of(dataset, home).stat().st_mtime_ns
    except OSError:
        return None
    return _kept_statistics(dataset.fingerprint, home, stamp)
