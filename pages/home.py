"""What this is and is not; what is here so far; where to go next."""

import streamlit as st

from covidcore.data.filenames import KINDS_READ
from covidcore.data.index import DatasetInfo, known
from covidcore.jobs.info import RunInfo
from covidcore.wording import duration, markdown, percent
from pages import shared, shared_choice

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
        runs = shared.store().list()
        fingerprint = shared_choice.pick_dataset(runs)
        if fingerprint is None:
            st.header("Start with a dataset", anchor=False)
            shared.offer_data()
            return
        infos = {info.fingerprint: info for info in known(shared.settings().home)}
        cards(infos.get(fingerprint), fingerprint, runs)


def cards(dataset: DatasetInfo | None, fingerprint: str, every: list[RunInfo]) -> None:
    """What there is of a dataset behind each page; the button of what is next stands out.

    ``dataset`` is None where only runs of it are left.
    """
    runs = [run for run in every if run.dataset == fingerprint and not run.imported]
    done = [run for run in runs if run.tested]
    models = done or any(run.imported for run in every)
    busy = [run for run in runs if not run.state.ended]
    waits = "Waits for a finished run."
    data = about_data(dataset) if dataset else only_runs(runs)
    progress = about_runs(runs, every)
    told = (
        (shared.EXPLORE, "Dataset", data, "Explore the data"),
        (shared.TRAIN, "Runs", progress, "Follow the run" if busy else "Train a model"),
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
    """What a dataset holds, in Markdown."""
    classes = ", ".join(f"{markdown(name)} {images:,}" for name, images in dataset.classes.items())
    text = f"**{markdown(dataset.name)}**: {dataset.images:,} images in {classes}"
    if not dataset.root.exists():
        text += "  \n:orange-badge[its folder is gone]"
    return text + ("  \n:orange-badge[synthetic phantoms]" if dataset.synthetic else "")


def only_runs(runs: list[RunInfo]) -> str:
    """A dataset that is not here any more, in Markdown."""
    return f"**{markdown(runs[0].dataset_name)}**  \n:orange-badge[only its runs are left]"


def about_runs(runs: list[RunInfo], every: list[RunInfo]) -> str:
    """The dataset's run that is under way, or how many it has, in Markdown; and others' at work."""
    busy = [run for run in runs if not run.state.ended]
    if busy:
        text = f"**{markdown(busy[0].name)}** is {busy[0].state}"
        left = busy[0].eta_seconds
        text += f", about {duration(left)} to go" if left else ""
    else:
        text = f"{len(runs)} so far, none under way." if runs else "None yet."
    others = sum(not run.state.ended for run in every) - len(busy)
    if others:
        what = "run of another dataset is" if others == 1 else "runs of other datasets are"
        text += f"  \n{others} {what} under way."
    return text


def about(run: RunInfo) -> str:
    """A finished run, in Markdown."""
    return f"**{markdown(run.name)}** is right on {percent(run.accuracy)} of its test images."


shared.page(draw)
