"""The lower part of the train page: one run as it goes, the queue, and the table of all runs."""

import pandas as pd
import streamlit as st

from covidcore import charts
from covidcore.jobs import ties
from covidcore.jobs.folder import State
from covidcore.jobs.info import RunInfo, matching
from covidcore.jobs.store import RunStore
from covidcore.wording import duration, markdown, percent, visible
from pages import shared, shared_demo, shared_notes

BADGES = {
    State.DONE: ("green", "check_circle"),
    State.RUNNING: ("blue", "play_circle"),
    State.QUEUED: ("gray", "hourglass_empty"),
    State.FAILED: ("red", "error"),
    State.CANCELLED: ("orange", "stop_circle"),
    State.INTERRUPTED: ("orange", "power_off"),
}
PLACES = {ties.Place.BEST: "best", ties.Place.TIED: "= best", ties.Place.BEHIND: "behind"}
REMOVE = "_runs_to_remove"
"""Where the session keeps which runs it was asked to remove (``train_removal``)."""
_FILTERS = ("state", "preset", "dataset", "text")


def badge(state: State) -> str:
    """A state as a coloured word with its sign."""
    colour, icon = BADGES[state]
    return f":{colour}-badge[:material/{icon}: {state}]"


def follow(store: RunStore, run_id: str) -> None:
    """How one run stands, its curves and its log."""
    run, history = store.info(run_id), store.history(run_id)
    busy = not run.state.ended
    if run.imported:
        st.header(f"{markdown(run.name)} :gray-badge[{run.preset}]", anchor=False)
        st.info("This model was imported, not trained here.", icon=":material/info:")
        st.page_link(shared.PREDICT, label="Ask it", icon=":material/upload_file:")
        return
    st.header(f"{markdown(run.name)} {badge(run.state)}", anchor=False)
    if run.message:
        st.error(shared_demo.sentence(run.message), icon=":material/error:")
    if busy:
        done = run.step / max(run.steps, 1)
        if run.phase == "training":
            done = (run.epoch - 1 + done) / run.epochs
        where = f" epoch {run.epoch} of {run.epochs}" if run.phase == "training" else ""
        text = f"{run.phase.capitalize()}{where}, step {run.step:,} of {run.steps:,}"
        st.progress(min(max(done, 0.0), 1.0), text if run.phase else "Waiting for its turn")
    with st.grid(6, min_column_width=130):
        st.metric("Epoch", f"{run.epoch} of {run.epochs}")
        if busy:
            st.metric("Time to go", duration(run.eta_seconds), help="Of training, as measured.")
        st.metric("So far" if busy else "Took", duration(run.seconds))
        if busy:
            speed = run.images_per_second
            st.metric("Images a second", f"{speed:,.0f}" if speed else "\N{EN DASH}")
        if run.memory_mb is not None:
            st.metric("Memory", f"{run.memory_mb:,.0f} MB")
        if run.processor_percent is not None:
            st.metric("CPU", f"{run.processor_percent:,.0f} %", help="100 % is one processor.")
        if not busy:
            st.metric("Test accuracy", percent(run.accuracy))
    with st.container(horizontal=True):
        mine = store.rules.owns(run_id)
        if busy and mine and st.button("Cancel", icon=":material/stop_circle:", key="cancel"):
            store.cancel(run_id)
            st.toast("The run stops within two seconds.")
        if run.state is State.DONE and st.button("Read the evaluation", type="primary"):
            st.switch_page(shared.EVALUATE, query_params={"run": shared.link(run_id)})
        if not busy and run.state is not State.DONE and st.button("Resume", type="primary"):
            store.resume(run_id)
            st.rerun()
    if len(history):
        shared_notes.heading("Learning curves", "epochs", "loss")
        curves({run.name: history})
    if store.rules.bounded:  # a worker's own words are for whoever runs the server
        return
    with st.expander("Log", icon=":material/article:", expanded=run.state is State.FAILED):
        st.code("\n".join(store.log_tail(run_id)) or "Nothing yet.", language=None)


def curves(histories: dict[str, pd.DataFrame], where: str = "") -> None:
    """Loss and accuracy by epoch, of one run or of several on one chart each.

    ``where``: what tells these charts from others on the page.
    """
    with st.grid(2, min_column_width=300):
        for metric in ("loss", "accuracy"):
            if len(histories) == 1:
                drawn = charts.learning_curves(*histories.values(), metric)
            else:
                drawn = charts.compare_curves(histories, metric)
            st.plotly_chart(
                # Not as Streamlit's height, whose box would scroll by a pixel or two.
                drawn.update_layout(height=270 if len(histories) == 1 else 380),
                key=f"{metric}-{len(histories) > 1}{where}",
                alt=f"{metric.capitalize()} by epoch of {visible(', '.join(histories))}",
                config={"displayModeBar": False},
            )


def queue(store: RunStore, every: list[RunInfo]) -> None:
    """What runs and what waits, in the order in which it will start."""
    infos = {info.run: info for info in every if not info.state.ended}
    if store.queue.problem:
        st.warning(shared_demo.sentence(store.queue.problem), icon=":material/warning:")
    if not infos:
        return
    st.header("Queue", anchor=False)
    line = [run for run in store.waiting() if run in infos]
    others = [run for run in infos if run not in line]
    for run in (*others, *line):
        place = line.index(run) + 1 if run in line else 0
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            _in_line(store, infos[run], place, len(line))


def _in_line(store: RunStore, info: RunInfo, place: int, length: int) -> None:
    """One run of the queue with what can be done about it; place 0 is at work already."""
    about = f"Place **{place}** of {length}" if place else badge(info.state)
    if info.eta_seconds:
        about += f" {duration(info.eta_seconds)} to go"
    st.markdown(f"{about}  \n{markdown(info.name)}", width="stretch")
    if st.button("Open", key=f"open-{info.run}", icon=":material/visibility:"):
        shared.choose("run", info.run)
    if place and not store.rules.bounded:
        for label, places, possible in (
            ("Earlier", -1, place > 1),
            ("Later", 1, place < length),
        ):
            icon = f":material/arrow_{'upward' if places < 0 else 'downward'}:"
            key = f"{label.lower()}-{info.run}"
            if st.button(label, key=key, icon=icon, disabled=not possible):
                store.move(info.run, places)
                st.rerun()
    if store.rules.owns(info.run) and st.button(
        "Cancel", key=f"cancel-{info.run}", icon=":material/stop_circle:"
    ):
        store.cancel(info.run)
        st.rerun()


def all_runs(store: RunStore, infos: list[RunInfo]) -> None:
    """Every run of this home, the newest first; chosen rows can be compared and removed."""
    st.header("All runs", anchor=False)
    if not infos:
        st.info("No runs yet. Choose a preset above and train it.", icon=":material/info:")
        return
    shown = _filtered(infos)
    if not shown:
        st.info("No run is like that.", icon=":material/info:")
        st.button("Show all runs", on_click=_forget_filters)
        return
    places = ties.places(store, shown)
    rows = [
        {
            "name": visible(info.name),
            "state": info.state.value,
            "test accuracy": percent(info.accuracy),
            **({"on the same images": PLACES.get(places.get(info.run), "")} if places else {}),
            "epoch": "" if info.imported else f"{info.epoch} of {info.epochs}",
            "preset": info.preset,
            "dataset": visible(info.dataset_name),
            "took": duration(info.seconds),
            "created": pd.Timestamp(info.created),
            "run": info.run[:8],
        }
        for info in shown
    ]
    # A selection is of row numbers: it must not outlive a change of the rows.
    key = f"runs-{hash(tuple(info.run for info in shown))}"
    selection = st.dataframe(
        pd.DataFrame(rows),
        key=key,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        alt="All runs; select rows to open, compare or remove them",
        column_config={"created": st.column_config.DatetimeColumn(format="D MMM, HH:mm")},
    )["selection"]["rows"]
    if places:
        st.caption(
            "“= best”: not distinguishable from the best run on the same test images, compared "
            f"image by image. Looked at are the first {ties.MOST} finished runs of this table."
        )
    _chosen(store, [shown[at] for at in selection if at < len(shown)])


def _filtered(infos: list[RunInfo]) -> list[RunInfo]:
    datasets = {info.dataset: visible(info.dataset_name) for info in infos}
    with st.grid(4, min_column_width=150):
        text = st.text_input("Name", key="filter-text", placeholder="any", type="search")
        states = st.multiselect("State", [s.value for s in State], key="filter-state",
                                placeholder="any")  # fmt: skip
        presets = st.multiselect("Preset", sorted({info.preset for info in infos}),
                                 key="filter-preset", placeholder="any")  # fmt: skip
        chosen = st.multiselect("Dataset", list(datasets), key="filter-dataset",
                                placeholder="any",
                                format_func=lambda key: datasets.get(key, "gone"))  # fmt: skip
    return matching(infos, states, presets, chosen, text)


def _forget_filters() -> None:
    for name in _FILTERS:
        st.session_state.pop(f"filter-{name}", None)


def _chosen(store: RunStore, chosen: list[RunInfo]) -> None:
    """What can be done with the selected rows."""
    if not chosen:
        st.caption("Select rows to open, compare, resume or remove runs.")
        return
    with st.container(horizontal=True):
        if len(chosen) == 1 and st.button("Open", icon=":material/visibility:", key="open"):
            shared.choose("run", chosen[0].run)
        again = [info for info in chosen if info.state.ended and info.state is not State.DONE]
        if again and st.button("Resume", icon=":material/play_arrow:", key="resume-chosen"):
            for info in again:
                store.resume(info.run)
            st.rerun()
        done = [info for info in chosen if info.tested]
        if len(done) > 1 and st.button(
            "Compare on test images", icon=":material/balance:", key="compare",
            help="Paired, image by image: says where runs can not be told apart.",
        ):  # fmt: skip
            first, *others = (shared.link(info.run) for info in done)
            st.switch_page(
                shared.EVALUATE,
                query_params={"run": first, "view": "Compare", "with": ",".join(others)},
            )
        if not store.rules.bounded and st.button("Remove", icon=":material/delete:", key="remove"):
            # Not the dialog itself: what this part draws ends when it is drawn anew.
            st.session_state[REMOVE] = [info.run for info in chosen]
            st.rerun()
    if len(chosen) > 1:
        shared_notes.heading("Compared", "epochs")
        names = [info.name for info in chosen]
        curves(
            {
                info.name if names.count(info.name) == 1 else f"{info.name} ({info.run[:4]})":
                store.history(info.run)
                for info in chosen
            }
        )  # fmt: skip
