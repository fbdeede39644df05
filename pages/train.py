"""Choose a recipe, submit it, follow the run, stop it; the queue, and all runs."""

import streamlit as st

from pages import (
    shared,
    shared_choice,
    train_lab,
    train_new,
    train_removal,
    train_runs,
    train_sweeps,
)


def draw() -> None:
    """A new run, the run that is followed, and all of them."""
    store = shared.store()
    with shared.frame(
        "Train", "Choose a recipe; it runs in the background, also when this is closed."
    ):
        infos = store.list()
        dataset = shared_choice.pick_known_dataset(infos)
        if dataset is None:
            shared.offer_data()
            train_lab.draw(store)
            return
        run = shared_choice.pick_run([run for run in infos if run.dataset == dataset.fingerprint])
        # While something is under way these parts are drawn anew by themselves; when it has ended,
        # the frame draws the whole page again, and they rest.
        every = "2s" if any(not info.state.ended for info in infos) else None

        train_new.new_run(store, dataset, infos)

        @st.fragment(run_every=every)
        def live(run_id: str) -> None:
            """The run that is selected."""
            with shared.told():
                train_runs.follow(store, run_id)

        @st.fragment(run_every=every)
        def lists() -> None:
            """What waits, the sweeps, and every run."""
            with shared.told():
                now = store.list()
                train_runs.queue(store, now)
                train_sweeps.sweeps(store, now)
                train_runs.all_runs(store, now)
                train_removal.lost_runs(store)

        if run:
            live(run.run)
        train_removal.ask_to_remove(store)
        lists()
        train_lab.draw(store)


shared.page(draw)
