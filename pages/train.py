"""Choose a recipe, submit it, follow the run, stop it."""

import pandas as pd
import streamlit as st

from covidcore import charts
from covidcore.data.split import GROUPINGS, summary
from covidcore.jobs.folder import State
from covidcore.jobs.plan import plan_split
from covidcore.training.recipe import PRESETS, Recipe
from covidcore.wording import duration, markdown, percent, visible
from pages import shared

COLOURS = {State.DONE: "green", State.RUNNING: "blue", State.QUEUED: "gray", State.FAILED: "red"}


def choose_recipe() -> Recipe:
    """The preset's recipe with what was changed under Advanced."""
    name = st.radio(
        "Preset",
        list(PRESETS),
        format_func=lambda key: PRESETS[key].title,
        captions=[preset.text for preset in PRESETS.values()],
        key="preset",
        persist_state="session",
    )
    start = PRESETS[name].recipe
    with st.expander("Advanced", icon=":material/tune:"), st.grid(2, min_column_width=140):
        typed = {
            field: st.text_input(title, str(getattr(start, field)), key=f"{name}-{field}")
            for field, title in (
                ("epochs", "Epochs"),
                ("batch_size", "Images a step"),
                ("learning_rate", "Learning rate"),
                ("seed", "Seed"),
                ("split", "Train/validation/test, %"),
            )
        }
        for field, title, choices, about in (
            ("group_by", "Never divided", GROUPINGS, "Images of one group go to the same set."),
            ("weights", "Starting weights", ("auto", "imagenet", "radiographs", "none"),
             "auto: ImageNet's where they can be had, else the radiograph backbone."),
        ):  # fmt: skip
            at = choices.index(getattr(start, field))
            typed[field] = st.selectbox(title, choices, at, key=f"{name}-{field}", help=about)
    return start.with_overrides(typed)


def follow(run_id: str) -> None:
    """How one run stands, its curves and its log."""
    run, history = store.info(run_id), store.history(run_id)
    busy = not run.state.ended
    colour = COLOURS.get(run.state, "orange")
    st.header(f"{markdown(run.name)} :{colour}-badge[{run.state}]", anchor=False)
    if run.message:
        st.error(markdown(run.message))
    line = store.waiting()
    if run_id in line:
        place = line.index(run_id) + 1
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"Place **{place}** of {len(line)} in the queue")
            for label, places, possible in (
                ("Earlier", -1, place > 1),
                ("Later", 1, place < len(line)),
            ):
                if st.button(label, disabled=not possible):
                    store.move(run_id, places)
                    st.rerun()
    if store.queue.problem:
        st.warning(markdown(store.queue.problem))
    if busy:
        done = run.step / max(run.steps, 1)
        if run.phase == "training":
            done = (run.epoch - 1 + done) / run.epochs
        text = f"{run.phase.capitalize() or 'Waiting'}, step {run.step:,} of {run.steps:,}"
        st.progress(min(max(done, 0.0), 1.0), text)
    with st.grid(4, min_column_width=110):
        st.metric("Epoch", f"{run.epoch} of {run.epochs}")
        if busy:
            st.metric("Images a second", f"{run.images_per_second or 0:,.0f}")
        if run.memory_mb is not None:
            st.metric("Memory", f"{run.memory_mb:,.0f} MB")
        if run.processor_percent is not None:
            st.metric("CPU", f"{run.processor_percent:,.0f} %", help="100 % is one processor.")
        st.metric(
            "Time to go" if busy else "Took", duration(run.eta_seconds if busy else run.seconds)
        )
        st.metric("Test accuracy", percent(run.accuracy))
    with st.container(horizontal=True):
        if busy and st.button("Cancel", icon=":material/stop_circle:"):
            store.cancel(run_id)
            st.toast("The run stops within two seconds.")
        if run.state is State.DONE and st.button("Read the evaluation", type="primary"):
            st.switch_page(shared.EVALUATE, query_params={"run": shared.link(run_id)})
        if not busy and run.state is not State.DONE and st.button("Resume", type="primary"):
            store.resume(run_id)
            st.rerun()
    with st.grid(2, min_column_width=240):
        for metric in ("loss", "accuracy") if len(history) else ():
            st.plotly_chart(
                charts.learning_curves(history, metric),
                key=metric,
                height=270,
                alt=f"{metric.capitalize()} by epoch",
                config={"displayModeBar": False},
            )
    with st.expander("Log", expanded=run.state is State.FAILED):
        st.code("\n".join(store.log_tail(run_id)) or "Nothing yet.", language=None)


def list_runs() -> None:
    """Every run of this home, the newest first."""
    st.header("All runs", anchor=False)
    rows = [
        {
            "name": visible(run.name),
            "state": run.state.value,
            "epoch": f"{run.epoch} of {run.epochs}",
            "test accuracy": percent(run.accuracy),
            "took": duration(run.seconds),
            "created": pd.Timestamp(run.created),
            "run": run.run,
        }
        for run in store.list()
    ]
    when = st.column_config.DatetimeColumn(format="D MMM, HH:mm")
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, alt="All runs", column_config={"created": when}
    )


shared.ensure_router()
store = shared.store()
with shared.frame("Train", "Choose a recipe; it runs in the background, also when this is closed."):
    dataset = shared.pick_dataset()
    if dataset is None:
        shared.offer_data()
        st.stop()
    runs = store.list()
    run = shared.pick_run(runs)
    busy = any(not other.state.ended for other in runs)
    halves = st.grid(2, min_column_width=340, gap="large")
    first, second = halves.cell(), halves.cell()

    @st.fragment(run_every="2s" if busy else None)
    def live(run_id: str) -> None:
        """The chosen run, drawn anew while anything is under way."""
        with shared.told():
            if busy and all(other.state.ended for other in store.list()):
                st.rerun()  # before anything is drawn, so that no button is drawn and lost
            follow(run_id)

    with second if run else first, shared.told():
        st.header("New run", anchor=False)
        recipe = choose_recipe()
        st.dataframe(
            summary(plan_split(recipe, dataset)).rename_axis("class"),
            alt="Images of each class and set",
        )
        if st.button("Train", type="primary", icon=":material/play_arrow:", width="stretch"):
            submission = store.submit(recipe, dataset)
            if submission.cached:
                shared.note("This very run was finished before: here it is.")
            if submission.note:
                shared.note(submission.note)
            shared.choose("run", submission.run)
    if run:
        with first:
            live(run.run)
        st.fragment(list_runs, run_every="2s" if busy else None)()
