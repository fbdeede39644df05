"""A test image of the run in the place of an upload, for who has no radiograph at hand."""

import random
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from covidcore.errors import DataError, RunError
from covidcore.jobs.info import RunInfo
from covidcore.wording import markdown
from pages import shared


@dataclass(frozen=True)
class Sample:
    """What the page needs of an upload, of a file of the dataset; and what it is."""

    name: str
    path: Path
    label: str

    @property
    def file_id(self) -> str:
        """Tells it from every upload, whose ids Streamlit makes."""
        return f"test image {self.path}"

    def getvalue(self) -> bytes:
        """The file. Raises: DataError where it is gone."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.name} can not be read: {error.strerror}.") from error


def draw(run: RunInfo) -> list[Sample]:
    """The button that takes a test image, the next one each time; the image that the link names.

    Nothing where the run has none here: it was imported, or its dataset is gone.
    """
    labels, root = _of(run)
    if not labels:
        return []
    asked = st.query_params.get("sample", "")
    st.button(
        "Another test image" if asked in labels else "Take a test image",
        icon=":material/casino:",
        key="take_sample",
        on_click=_take,
        args=(list(labels), asked),
        help="No radiograph at hand? One of the run's test images, which it has not learnt.",
    )
    if asked not in labels:
        return []
    name = asked.rpartition("/")[2]
    return [Sample(name, root / asked, labels[asked])]


def say_truth(sample: Sample, answer: str | None) -> None:
    """What the image is, once the run has answered."""
    said = "" if answer is None else " The run is right." if answer == sample.label else (
        " The run is wrong."
    )  # fmt: skip
    st.markdown(f":material/fact_check: In truth it is **{markdown(sample.label)}**.{said}")


def _of(run: RunInfo) -> tuple[dict[str, str], Path]:
    """Class of each test image whose dataset is here, in an order that tells nothing."""
    home = shared.settings().home
    try:
        table = shared.results(run.run, home)[1]
        dataset = shared.open_dataset(run.dataset, home)
    except (RunError, DataError):
        return {}, Path()
    rows = table[table["split"] == "test"]
    files = list(zip(rows["file"], rows["label"], strict=True))
    random.Random(run.run).shuffle(files)
    return dict(files), dataset.root


def _take(files: list[str], last: str) -> None:
    """Put the next image into the link, from the beginning after the last."""
    place = files.index(last) + 1 if last in files else 0
    st.query_params["sample"] = files[place % len(files)]
