"""The view Outside of the evaluate page: the run on a dataset that it was not trained on."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from covidcore.data.index import known
from covidcore.evaluation.outside import check_mapping, suggested_mapping
from covidcore.jobs.outside import outside_results, outside_study, outside_under_way
from covidcore.wording import markdown, visible
from pages import evaluate_outside_result, shared, shared_choice, shared_notes, shared_tasks

if TYPE_CHECKING:
    from covidcore.data.index import Dataset
    from covidcore.jobs.info import RunInfo

LEFT_OUT = ""
_NEXT = "_outside_next"


def draw(run: "RunInfo") -> None:
    """Choose a dataset and say which class is which; what was found before is shown at once."""
    shared_notes.heading("On another dataset", "outside", "interval")
    st.markdown(
        "The run's own test images come from where its training images come from. How it fares "
        "elsewhere is seen elsewhere: on any folder of labelled radiographs. It is never trained "
        "on, and the run's own images among it, copies too, are set aside."
    )
    home = shared.settings().home
    with shared.told():
        results = outside_results(shared.store(), run.run)
        with st.expander("Score a dataset", expanded=not results, icon=":material/add:"):
            _ask(run, home)
        if outside_under_way(shared.store(), run.run):
            _watch(run.run)
        if results:
            evaluate_outside_result.draw(run, results)


def _ask(run: "RunInfo", home: Path) -> None:
    """The dataset, the classes, and the button."""
    if not shared.settings().demo:
        _read_folder()
    infos = {info.fingerprint: info for info in known(home)}
    if _NEXT in st.session_state:
        st.session_state["outside_dataset"] = st.session_state.pop(_NEXT)
    others = sorted(infos, key=lambda fingerprint: fingerprint == run.dataset)
    labels = _labels(infos, run.dataset)
    chosen = st.selectbox(
        "Dataset",
        others,
        format_func=lambda key: labels.get(key, "gone"),
        key="outside_dataset",
    )
    if not chosen:
        return
    dataset = shared.open_dataset(chosen, home)
    mapping = _mapping(run, dataset)
    with shared.told():
        if not mapping:
            st.markdown("Say for one class at least what it means to the run.")
            return
        check_mapping(mapping, dataset.classes, _classes(run))
        study = outside_study(shared.store(), run.run, dataset, mapping)
        now = study.standing()
        shared_tasks.unfinished(now.phase, now.message)
        counts = dataset.index["label"].value_counts()
        images = sum(int(counts[name]) for name in mapping)
        known_already = now.phase in ("done", "running")
        if st.button(
            f"Score {images:,} images",
            type="primary",
            disabled=known_already,
            key="outside_go",
            help="This was scored before, or is under way." if known_already else None,
        ):
            study.start()
            st.rerun()


def _read_folder() -> None:
    """A folder that was not read before; it is then one of the datasets to choose from."""
    with (
        st.form("outside_folder", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        path = st.text_input(
            "A folder on this machine, if it is not in the list below", placeholder="/data/another"
        )
        if st.form_submit_button("Read the folder"):
            with shared.told():
                from covidcore.data.sources import resolve

                with shared.progress_bar("Reading images") as progress:
                    dataset = resolve(path.strip(), shared.settings(), progress)
                st.session_state[_NEXT] = dataset.fingerprint
                st.rerun()


def _labels(infos: dict[str, Any], own: str) -> dict[str, str]:
    note = {own: " · the run's own"}
    labels = {
        key: f"{visible(info.name)} · {info.images:,} images{note.get(key, '')}"
        for key, info in infos.items()
    }
    return shared_choice.told_apart(labels)


def _classes(run: "RunInfo") -> list[str]:
    return list(shared.store().job(run.run)["classes"])


def _mapping(run: "RunInfo", dataset: "Dataset") -> dict[str, str]:
    """Which of the run's classes each of theirs is; some may be left out."""
    ours = _classes(run)
    guess = suggested_mapping(dataset.classes, ours)
    counts = dataset.index["label"].value_counts()
    choices = [LEFT_OUT, *ours]
    chosen = {}
    with st.grid(3, min_column_width=220):
        for number, name in enumerate(dataset.classes):
            chosen[name] = st.selectbox(
                f"{markdown(name)} ({counts[name]:,}) is",
                choices,
                choices.index(guess.get(name, LEFT_OUT)),
                format_func=lambda ours: visible(ours) if ours else "left out",
                key=f"outside-{run.run}-{dataset.fingerprint}-{number}",
            )
    return {name: meant for name, meant in chosen.items() if meant}


@st.fragment(run_every="1s")
def _watch(run: str) -> None:
    """How far each is, whoever started it; the whole page is drawn anew once one has ended."""
    going = outside_under_way(shared.store(), run)
    before = st.session_state.get("_outside_going", set(going))
    st.session_state["_outside_going"] = set(going)
    if not going or before - set(going):
        st.session_state.pop("_outside_going")
        st.rerun()
    names = {info.fingerprint: info.name for info in known(shared.settings().home)}
    for key, study in going.items():
        shared_tasks.bar(study.standing(), markdown(names.get(key.partition("-")[0], "a dataset")))
        if st.button("Stop", key=f"stop-{key}", icon=":material/stop:"):
            study.stop()
