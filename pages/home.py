"""What this is and is not; what is here so far; where to go next."""

import streamlit as st

from covidcore.data.filenames import KINDS_READ
from covidcore.data.index import DatasetInfo, known
from covidcore.jobs.folder import State
from covidcore.jobs.info import RunInfo
from covidcore.wording import duration, markdown, percent
from pages import shared

ABOUT = """
- **See** what a dataset holds, **train** on this machine in minutes, **read** an honest evaluation,
  **try** an image of your own.
- A model tells apart the classes it was shown. It may do so by where images come from and not by
  what is in the lungs: the pages help you notice.
"""
PRIVATE = "- Nothing is sent anywhere. Images, models and results stay in one folder here."
PUBLIC = "- Installed on your own machine, it sends nothing anywhere."


def draw() -> None:
    """What this is; a card for each page, or the ways to a first dataset."""
    with shared.frame(
        "covidcore", "A workbench for chest-radiograph classifiers you can question."
    ):
        st.markdown(ABOUT + (PUBLIC if shared.settings().demo else PRIVATE))
        datasets = known(shared.settings().home)
        if datasets:
            cards(datasets[0], shared.store().list())
        else:
            st.header("Start with a dataset", anchor=False)
            shared.offer_data()


def cards(dataset: DatasetInfo, runs: list[RunInfo]) -> None:
    """What there is behind each page; the button of what is to be done next stands out."""
    models = [run for run in runs if run.state is State.DONE]
    done = [run for run in models if run.tested]
    busy = [run for run in runs if not run.state.ended]
    waits = "Waits for a finished run."
    told = (
        (shared.EXPLORE, "Dataset", about_data(dataset), "Explore the data"),
        (shared.TRAIN, "Runs", about_runs(runs), "Follow the run" if busy else "Train a model"),
        (shared.EVALUATE, "Evaluation", about(done[0]) if done else waits, "Read the evaluation"),
        (shared.PREDICT, "Prediction", f"For {KINDS_READ}." if models else waits, "Try an image"),
    )
    suggested = shared.EVALUATE if done and not busy else shared.TRAIN
    with st.grid(4, min_column_width=220):
        for page, title, text, action in told:
            with st.container(border=True, height="stretch"):
                st.subheader(title, anchor=False)
                st.markdown(text)
                st.space("stretch")
                kind = "primary" if page == suggested else "secondary"
                if st.button(action, key=page, type=kind, width="stretch"):
                    st.switch_page(page)


def about_data(dataset: DatasetInfo) -> str:
    """The dataset that was read last, in Markdown."""
    classes = ", ".join(f"{markdown(name)} {images:,}" for name, images in dataset.classes.items())
    text = f"**{markdown(dataset.name)}**: {dataset.images:,} images in {classes}"
    return text + ("  \n:orange-badge[synthetic phantoms]" if dataset.synthetic else "")


def about_runs(runs: list[RunInfo]) -> str:
    """The run that is under way, or how many there are, in Markdown."""
    busy = [run for run in runs if not run.state.ended]
    if not busy:
        return f"{len(runs)} so far, none under way." if runs else "None yet."
    text = f"**{markdown(busy[0].name)}** is {busy[0].state}"
    left = busy[0].eta_seconds
    return text + (f", about {duration(left)} to go" if left else "")


def about(run: RunInfo) -> str:
    """A finished run, in Markdown."""
    return f"**{markdown(run.name)}** is right on {percent(run.accuracy)} of its test images."


shared.page(draw)
