"""What a page is about: the dataset and the run chosen in the sidebar, the same on every page.

A choice holds on the next page; a link says which, and a link to a run brings its dataset along.
"""

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import streamlit as st

from covidcore.data.index import DatasetInfo, known
from covidcore.errors import DataError, RunError
from covidcore.jobs.folder import State
from covidcore.jobs.imports import own_model
from covidcore.wording import brief, markdown, percent, visible
from pages import shared

if TYPE_CHECKING:
    from covidcore.data.index import Dataset
    from covidcore.jobs.info import RunInfo


def pick(name: str, title: str, options: dict[str, str], alone: bool = True) -> str | None:
    """A select box in the sidebar, in step with ``?name=``; ``options``: key -> label.

    A link just followed wins over what was selected before. None where there is no option; where
    there is one, the box is drawn and the address written only with ``alone``.
    """
    state, shown = st.session_state, f"_{name}_in_link"
    asked = st.query_params.get(name, "")
    if asked and asked != state.get(shown):
        found = [key for key in options if key.startswith(asked)]
        if found:
            state[name] = found[0]
        else:
            st.warning(f"There is no {title.lower()} “{markdown(brief(asked))}” here.")
    if not options:
        return None
    # Set also where it is right: on another page the box is another one, and begins with the first.
    state[name] = state[name] if state.get(name) in options else next(iter(options))
    if len(options) == 1 and not alone:
        state[shown] = asked
        only: str = state[name]
        return only
    chosen: str = st.sidebar.selectbox(
        title,
        list(options),
        format_func=lambda key: options.get(key, key),
        key=name,
        persist_state="session",
    )
    state[shown] = shared.link(chosen)
    if asked != shared.link(chosen):
        st.query_params[name] = shared.link(chosen)
    return chosen


def told_apart(labels: dict[str, str]) -> dict[str, str]:
    """The same; labels that several keys have end with the start of the key."""
    often = Counter(labels.values())
    return {
        key: f"{label} · {key[:6]}" if often[label] > 1 else label for key, label in labels.items()
    }


def pick_dataset(runs: "list[RunInfo]", first: str = "") -> str | None:
    """The fingerprint of the dataset that the page is about; ``runs`` are those it may show.

    Among the known ones, ``COVIDCORE_DATA``'s first, then the newest; then those of which only
    runs are left. ``first`` is what a session begins with that has not chosen. No box is drawn
    where there is nothing to choose. None where there is no dataset.
    """
    options = _options(known(shared.settings().home), runs)
    _bring_along(runs)
    if first in options and st.session_state.get("dataset") not in options:
        st.session_state["dataset"] = first
    return pick("dataset", "Dataset", options, alone=False)


def _options(infos: list[DatasetInfo], runs: "list[RunInfo]") -> dict[str, str]:
    """Fingerprint -> label of every dataset that is known or that runs were trained on."""
    data = shared.settings().data
    labels = {
        info.fingerprint: f"{visible(info.name)} · {info.images:,} images"
        for info in sorted(infos, key=lambda info: info.root != data)
    }
    for run in runs:
        if run.imported:
            continue
        labels.setdefault(run.dataset, f"{visible(run.dataset_name)} · only runs are left")
    return told_apart(labels)


def _bring_along(runs: "list[RunInfo]") -> None:
    """Where a link to a run has just been followed, let the dataset be that run's."""
    asked = st.query_params.get("run", "")
    if asked and asked != st.session_state.get("_run_in_link"):
        found = [run for run in runs if run.run.startswith(asked) and not run.imported]
        if found:  # whatever else the link says of a dataset
            st.session_state["dataset"] = found[0].dataset
            st.session_state["_dataset_in_link"] = st.query_params.get("dataset", "")


def pick_known_dataset(runs: "list[RunInfo]") -> "Dataset | None":
    """The dataset chosen, opened; says so where only runs of it are left.

    ``COVIDCORE_DATA`` is read first where it was not yet, which may take a while.
    """
    infos, data = known(shared.settings().home), shared.settings().data
    if data and not st.session_state.setdefault("_data_opened", False):
        st.session_state["_data_opened"] = True
        if all(info.root != data for info in infos):
            shared.bring_in(str(data))
    fingerprint = pick_dataset(runs)
    if fingerprint is None:
        if not shared.settings().demo:
            st.info("There is no dataset here yet: bring one in first.", icon=":material/info:")
        return None
    if all(info.fingerprint != fingerprint for info in infos):
        say_gone(runs, fingerprint)
        return None
    return shared.open_dataset(fingerprint, shared.settings().home)


def say_gone(runs: "list[RunInfo]", fingerprint: str) -> None:
    """Say that there are runs of a dataset that is not here any more."""
    of_it = [run for run in runs if run.dataset == fingerprint]
    st.info(
        f"Of the dataset {markdown(of_it[0].dataset_name)} only runs are left here "
        f"({len(of_it)}). Read its folder again to see its images.",
        icon=":material/info:",
    )


def pick_run(runs: "list[RunInfo]") -> "RunInfo | None":
    """The run chosen in the sidebar, the newest at first."""
    options = {run.run: f"{visible(run.name)}{_standing(run)}" for run in runs}
    chosen = pick("run", "Run", told_apart(options))
    return next((run for run in runs if run.run == chosen), None)


def _standing(run: "RunInfo") -> str:
    """What tells runs of one name apart; the name of an imported model says it all."""
    if run.imported:
        return ""
    return f" · {run.state if run.accuracy is None else percent(run.accuracy)}"


def _is_asked_for(runs: "list[RunInfo]") -> bool:
    """Whether one of them was chosen before, or is in the link."""
    asked = (st.query_params.get("run", ""), st.session_state.get("run", ""))
    return any(key and run.run.startswith(key) for run in runs for key in asked)


def pick_finished_run(own: bool = False) -> "RunInfo | None":
    """A run of the dataset chosen that is done; the way to a first one where there is none.

    Models that were brought in are of no dataset that is here, and come last; with ``own`` the one
    that comes with the project is among them.
    """
    if own:
        try:
            with contextlib.suppress(RunError):
                own_model(shared.store())
        except DataError as error:  # a home that can only be read, or whose disk is full
            st.warning(f"The project's own model is not at hand here: {markdown(error)}")
    every = shared.store().list()
    trained = [run for run in every if not run.imported]
    done = [run for run in trained if run.state is State.DONE]
    fingerprint = pick_dataset(trained, done[0].dataset if done else "")
    of_it = [run for run in done if run.dataset == fingerprint]
    imported = [run for run in every if run.imported]
    run = pick_run(of_it + imported if own or of_it or _is_asked_for(imported) else [])
    if run is None:
        elsewhere = len({run.dataset for run in done})
        st.info(
            "There is no finished run of this dataset yet: train one, or choose another dataset "
            f"on the left. There are finished runs of {elsewhere}."
            if elsewhere
            else "There is no finished run yet: train one first."
        )
        if st.button("Train a model", type="primary", icon=":material/model_training:"):
            st.switch_page(shared.TRAIN)
    return run
