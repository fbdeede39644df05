"""What the views of the evaluate page share: cached figures, thresholds, a number, images."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from covidcore.data.audit import measured
from covidcore.errors import DataError
from covidcore.evaluation import curves, operating, predictions
from covidcore.evaluation.marks import copies
from covidcore.evaluation.operating import OperatingPoint
from covidcore.jobs.info import RunInfo
from covidcore.wording import markdown, percent
from pages import shared

PER_PAGE = 12
NO_MODEBAR = {"displayModeBar": False}
_STEP = 0.005

Limits = tuple[tuple[str, float], ...]


def number(title: str, value: str, below: str = "", about: str | None = None) -> None:
    """One number with its interval below it."""
    st.metric(title, value, below or None, delta_color="off", delta_arrow="off", help=about)


def to_the_right(columns: Iterable[str]) -> dict[str, Any]:
    """For tables whose figures are texts (shares, intervals): aligned as numbers are."""
    return dict.fromkeys(columns, st.column_config.TextColumn(alignment="right"))


@st.cache_data(max_entries=32, show_spinner=False)
def report(run: str, home: Path, limits: Limits = ()) -> dict[str, Any]:
    """The contract's ``evaluate`` from the stored predictions, with thresholds where given."""
    stored_report, table = shared.results(run, home)
    classes = stored_report["classes"]
    return predictions.evaluate(
        operating.applied(table, classes, OperatingPoint(dict(limits))),
        classes,
        run=run,
        dataset=stored_report["dataset"],
        temperature=stored_report["temperature"],
    )


@st.cache_data(max_entries=8, show_spinner=False)
def all_curves(run: str, home: Path) -> dict[str, curves.Curve]:
    """ROC and precision-recall curves of each class, on the test images."""
    stored_report, table = shared.results(run, home)
    classes, rows = stored_report["classes"], table[table["split"] == "test"]
    _, truth = predictions.arrays(table, classes)
    shares = operating.probabilities(rows, classes)
    found = curves.curves(shares, truth, rows["group"].tolist())
    return dict(zip(classes, found, strict=True))


@st.cache_data(max_entries=8, show_spinner="Looking for copies")
def marks(run: str, dataset: str, home: Path) -> dict[str, str]:
    """Which images have a copy among the run's images, in a few words."""
    found = shared.open_dataset(dataset, home)
    return copies(found.index, shared.store().split(run), found.near_pairs)


@st.cache_data(max_entries=8, show_spinner=False)
def audited(dataset: str, home: Path, made: float) -> dict[str, Any] | None:
    """What an audit measured of the dataset, whatever the split; ``made``: when it was written."""
    return measured(shared.open_dataset(dataset, home), home)


def audit_of(run: RunInfo) -> dict[str, Any] | None:
    """The stored audit of a run's dataset; it is never made here, which would take a minute."""
    home = shared.settings().home
    file = home / "datasets" / run.dataset / "audit.json"
    try:
        return audited(run.dataset, home, file.stat().st_mtime if file.exists() else 0.0)
    except DataError:  # the dataset was removed; the run's own figures are still there
        return None


def saved_point(run: RunInfo) -> OperatingPoint:
    """What was saved with the run, or thresholds of nothing."""
    return shared.store().operating(run.run) or OperatingPoint()


def limit_key(run: RunInfo, at: int) -> str:
    """Key, and name in a link, of one class's threshold."""
    return f"limit-{run.run[:4]}-{at}"


def thresholds(run: RunInfo, classes: list[str]) -> Limits:
    """A slider a class; 0 is no threshold. The same sliders in every view that has them."""
    saved, found = saved_point(run).thresholds, []
    for at, name in enumerate(classes):
        value = st.slider(
            f"{markdown(name)}: answered from",
            0.0,
            0.995,
            round(saved.get(name, 0.0) / _STEP) * _STEP,
            _STEP,
            format="percent",
            key=limit_key(run, at),
            bind="query-params",
            persist_state="session",
            help="The probability from which the class is answered. 0 %: no threshold.",
        )
        if value:
            found.append((name, float(value)))
    return tuple(found)


def gallery(run: RunInfo, images: pd.DataFrame, key: str) -> None:
    """Images with what is said of them; columns file and, each optional word, ``line:<n>``."""
    try:
        dataset = shared.open_dataset(run.dataset, shared.settings().home)
    except DataError as error:  # their names and figures are still there, to take away
        st.info(markdown(error), icon=":material/info:")
        return
    position = dict(zip(dataset.index["file"], dataset.index.index, strict=True))
    pixels = shared.pixels(dataset)
    lines = [name for name in images if str(name).startswith("line:")]
    place = st.container()
    page = st.pagination(-(-len(images) // PER_PAGE), key=key)
    with place.grid("auto", min_column_width=150):
        for row in images.iloc[(page - 1) * PER_PAGE : page * PER_PAGE].to_dict("records"):
            shared.thumbnail(
                pixels[position[row["file"]]], row["file"], *(row[name] for name in lines)
            )


def share_of(value: float | None, name: str) -> str:
    """``P(name) 94.7 %``."""
    return f"P({name}) {percent(value)}"
