"""What this is and is not; what is here so far; where to go next."""

from typing import NamedTuple

import streamlit as st

from covidcore.data.filenames import KINDS_READ
from covidcore.data.index import DatasetInfo, known
from covidcore.jobs.info import RunInfo
from covidcore.jobs.openings import times_opened
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
    """What this is; a card for each step, or the ways to a first dataset."""
    with shared.frame(
        "covidcore", "A workbench for chest-radiograph classifiers you can question."
    ):
        st.markdown(ABOUT + (PUBLIC if shared.settings().demo else PRIVATE))
        runs = shared.store().list()
        fingerprint = shared_choice.pick_dataset(runs)
        if fingerprint is None:
            st.header("Start with a dataset", anchor=False)
            st.markdown(
                ":blue-badge[1 · a dataset] &nbsp; :gray-badge[2 · train] &nbsp; "
                ":gray-badge[3 · read the evaluation] &nbsp; :gray-badge[4 · try an image]"
            )
            shared.offer_data()
            return
        st.header("What is here, and what is next", anchor=False)
        infos = {info.fingerprint: info for info in known(shared.settings().home)}
        _cards(steps(infos.get(fingerprint), fingerprint, runs))
        if not shared.settings().demo:
            _more()


def _more() -> None:
    """What is worth a look beside the four steps."""
    st.page_link(
        shared.TRAIN,
        label="Shortcut lab: teach a model the wrong thing",
        icon=":material/science:",
        query_params={"lab": "true"},
    )


class Step(NamedTuple):
    """One of the four things to do, in their order."""

    page: str
    title: str
    text: str
    """How far it is, in Markdown."""
    action: str
    """On its button."""
    done: bool


def steps(dataset: DatasetInfo | None, fingerprint: str, every: list[RunInfo]) -> list[Step]:
    """The way from a dataset to an answer, and what of it was gone already.

    ``dataset`` is None where only runs of it are left.
    """
    runs = [run for run in every if run.dataset == fingerprint and not run.imported]
    tested = [run for run in runs if run.tested]
    models = tested or any(run.imported for run in every)
    busy = [run for run in runs if not run.state.ended]
    read = bool(tested) and bool(times_opened(shared.store().path(tested[0].run)))
    waits = "Waits for a finished run."
    data = about_data(dataset) if dataset else only_runs(runs)
    progress = about_runs(runs, every)
    result = about(tested[0]) if tested else waits
    files = f"For {KINDS_READ}; or take a test image." if models else waits
    follow = "Follow the run" if busy else "Train a model"
    seen = bool(runs) or shared.was_seen("Explore")
    return [
        Step(shared.EXPLORE, "Dataset", data, "Explore the data", seen),
        Step(shared.TRAIN, "Runs", progress, follow, bool(tested) and not busy),
        Step(shared.EVALUATE, "Evaluation", result, "Read the evaluation", read),
        Step(shared.PREDICT, "Prediction", files, "Try an image", shared.was_seen("an answer")),
    ]


def _cards(told: list[Step]) -> None:
    """A card a step; the button of the first that was not gone yet stands out."""
    following = next((step for step in told if not step.done), None)
    with st.grid(4, min_column_width=180):
        for place, step in enumerate(told, 1):
            with st.container(border=True, height="stretch"):
                mark = " :green-badge[:material/check: done]" if step.done else ""
                mark = " :blue-badge[next]" if step is following else mark
                st.subheader(f"{place} · {step.title}{mark}", anchor=False)
                st.markdown(step.text)
                st.space("stretch")
                kind = "primary" if step is following else "secondary"
                if st.button(step.action, key=step.page, type=kind, width="stretch"):
                    st.switch_page(step.page)


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
