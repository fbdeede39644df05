"""What this is and is not; what is here so far; where to go next."""

import streamlit as st

from covidcore.data.index import known
from covidcore.jobs.folder import State
from covidcore.wording import duration, markdown, percent
from pages import shared

shared.ensure_router()
with shared.frame("covidcore", "A workbench for chest-radiograph classifiers you can question."):
    st.markdown(
        "- **See** what a dataset holds, **train** on this machine in minutes, **read** an honest "
        "evaluation, **try** an image of your own.\n"
        "- A model tells apart the classes it was shown. It may do so by where images come from "
        "and not by what is in the lungs: the pages help you notice.\n"
        + (
            "- Installed on your own machine, it sends nothing anywhere."
            if shared.settings().demo
            else "- Nothing is sent anywhere. Images, models and results stay in one folder here."
        )
    )
    datasets = known(shared.settings().home)
    runs = shared.store().list()
    done = [run for run in runs if run.state is State.DONE]
    busy = [run for run in runs if not run.state.ended]

    if not datasets:
        st.header("Start with a dataset", anchor=False)
        shared.offer_data()
        st.stop()

    data = f"**{markdown(datasets[0].name)}**: {datasets[0].images:,} images in " + ", ".join(
        f"{markdown(name)} {images:,}" for name, images in datasets[0].classes.items()
    )
    if datasets[0].synthetic:
        data += "  \n:orange-badge[synthetic phantoms]"
    if busy:
        jobs = f"**{markdown(busy[0].name)}** is {busy[0].state}"
        jobs += f", about {duration(busy[0].eta_seconds)} to go" if busy[0].eta_seconds else ""
    else:
        jobs = f"{len(runs)} so far, none under way." if runs else "None yet."
    if done:
        best = markdown(done[0].name)
        figures = f"**{best}** is right on {percent(done[0].accuracy)} of its test images."
    else:
        figures = "Waits for a finished run."
    cards = (
        (shared.EXPLORE, "Dataset", data, "Explore the data"),
        (shared.TRAIN, "Runs", jobs, "Follow the run" if busy else "Train a model"),
        (shared.EVALUATE, "Evaluation", figures, "Read the evaluation"),
        (
            shared.PREDICT,
            "Prediction",
            "For PNG and JPEG files." if done else "Waits for a finished run.",
            "Try an image",
        ),
    )
    suggested = shared.EVALUATE if done and not busy else shared.TRAIN
    with st.grid(4, min_column_width=220):
        for page, title, text, action in cards:
            with st.container(border=True, height="stretch"):
                st.subheader(title, anchor=False)
                st.markdown(text)
                st.space("stretch")
                if st.button(
                    action,
                    key=page,
                    type="primary" if page == suggested else "secondary",
                    width="stretch",
                ):
                    st.switch_page(page)
