"""Sweeps on the train page: vary fields of the recipe above, and how each group stands."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from covidcore.data.index import Dataset
from covidcore.jobs.folder import State
from covidcore.jobs.grid import LARGEST, expand, in_words
from covidcore.jobs.info import RunInfo
from covidcore.jobs.store import RunStore
from covidcore.jobs.sweep_info import SweepInfo, summarise
from covidcore.jobs.sweeps import Sweeps
from covidcore.training.recipe import CHOICES, Recipe
from covidcore.wording import markdown, visible
from pages import shared, train_runs

FIRST_SHOWN = 5
"""Sweeps that are drawn; the others wait behind a button."""


def vary(store: RunStore, dataset: Dataset, recipe: Recipe) -> None:
    """Ask for every combination of some values, on top of the recipe chosen."""
    with st.expander("Vary values: a sweep", icon=":material/grid_on:"):
        st.markdown(
            "Every combination of the values below is trained, as one group. The best setting is "
            "the one of least mean validation loss over the seeds; test figures play no part."
        )
        grid = _grid(recipe)
        if not grid:
            st.caption("Give two learning rates, say, or three seeds.")
            return
        with shared.told():
            runs = len(expand(recipe, grid))
            label = f"Train {runs} runs"
            if st.button(label, icon=":material/playlist_play:", key="start-sweep"):
                name = f"{recipe.preset} on {dataset.name}"
                Sweeps(store).submit(recipe, grid, dataset, name)
                st.rerun()


def _grid(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """The fields that were given values; nothing typed keeps the recipe's own."""
    with st.grid(3, min_column_width=190):
        rates = st.text_input(
            "Learning rates",
            key="sweep-rates",
            placeholder=f"{recipe.learning_rate}",
            help="With commas between them, such as 1e-4, 3e-4, 1e-3.",
        )
        trained = st.multiselect(
            "What is trained",
            CHOICES["trainable"],
            key="sweep-trainable",
            placeholder=recipe.trainable,
        )
        seeds = st.number_input(
            "Seeds",
            1,
            LARGEST,
            key="sweep-seeds",
            help="So many, from the recipe's own on. Each seed also deals another split.",
        )
    grid = {
        "learning_rate": tuple(rate for rate in rates.split(",") if rate.strip()),
        "trainable": tuple(trained),
        "seed": tuple(str(recipe.seed + more) for more in range(seeds)) if seeds > 1 else (),
    }
    return {field: values for field, values in grid.items() if values}


def sweeps(store: RunStore, infos: list[RunInfo]) -> None:
    """One row a sweep, which opens; the newest first."""
    every = Sweeps(store)
    found = every.list()
    if not found:
        return
    st.header("Sweeps", anchor=False)
    shown = found
    if len(found) > FIRST_SHOWN and not st.toggle(f"Show all {len(found)} sweeps", key="sweeps"):
        shown = found[:FIRST_SHOWN]
    for sweep in shown:
        about = summarise(sweep, infos)
        counts = ", ".join(f"{count} {state}" for state, count in about.counts.items())
        title = f"{markdown(sweep.name)} {train_runs.badge(about.state)} {counts}"
        if about.best:
            title += f" · best: {markdown(in_words(about.best.setting.values))}"
        with st.expander(title, key=f"sweep-{sweep.id}", on_change="rerun") as row:
            if row.open:
                with shared.told():
                    _opened(store, every, about, infos)


def _opened(store: RunStore, every: Sweeps, about: SweepInfo, infos: list[RunInfo]) -> None:
    """The settings of a sweep, the best of them, and what can be done with the group."""
    if not about.state.ended:
        st.progress(about.progress, f"{about.progress:.0%} of the work is done")
    st.dataframe(
        pd.DataFrame(
            {
                "setting": visible(in_words(setting.values)) or "the recipe as it is",
                "runs done": f"{setting.done} of {len(setting.runs)}",
                "mean validation loss": setting.val_loss,
                "deviation over seeds": setting.val_loss_std,
            }
            for setting in about.settings
        ),
        hide_index=True,
        alt="Settings of the sweep with their validation loss",
        column_config={
            name: st.column_config.NumberColumn(format="%.4f")
            for name in ("mean validation loss", "deviation over seeds")
        },
    )
    if about.note:
        st.caption(about.note)
    sweep = about.sweep
    with st.container(horizontal=True):
        if about.best and st.button(
            "Open the best run", key=f"best-{sweep.id}", icon=":material/visibility:"
        ):
            shared.choose("run", about.best.run)
        if not about.state.ended:
            _act("Cancel all", "stop_circle", sweep.id, lambda: every.cancel(sweep))
        elif about.state is not State.DONE:
            _act("Resume", "play_arrow", sweep.id, lambda: every.resume(sweep))
        _act("Forget the group", "link_off", sweep.id, lambda: every.remove(sweep))
    names = {info.run: info for info in infos}
    histories = {
        f"{names[run].name} ({run[:4]})": store.history(run) for run in sweep.runs if run in names
    }
    histories = {name: history for name, history in histories.items() if len(history)}
    if len(histories) > 1 and st.toggle("Show the curves", key=f"curves-{sweep.id}"):
        train_runs.curves(histories, sweep.id)


def _act(label: str, icon: str, key: str, action: Callable[[], object]) -> None:
    """A button that does something to a group and draws the page anew."""
    if st.button(label, key=f"{label}-{key}", icon=f":material/{icon}:"):
        action()
        st.rerun()
