"""Sweeps on the train page: asked for, shown as one row that opens, compared, stopped."""

from dataclasses import replace

import pytest

from covidcore.data.sources import resolve
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from covidcore.jobs.sweeps import Sweeps
from covidcore.training.recipe import PRESETS
from tests.pages.conftest import click, texts

CLUSTER = "ray:http://127.0.0.1:1"
"""Nothing answers there: what is submitted waits for ever."""


@pytest.fixture
def store(trained, monkeypatch) -> RunStore:
    monkeypatch.setenv("COVIDCORE_RUNNER", CLUSTER)
    return RunStore(replace(trained.settings, runner=CLUSTER))


def forget(store: RunStore) -> None:
    kept = {info.run for info in store.list() if info.state is State.DONE}
    for sweep in Sweeps(store).list():
        Sweeps(store).remove(sweep)
        for run in set(sweep.runs) - kept:
            store.remove(run)


def opened(app, sweep: str) -> None:
    """As a click on the row does; AppTest keeps no row open over a second drawing."""
    app.session_state[f"sweep-{sweep}"] = True
    app.run()


def test_a_sweep_from_the_page(store, open_page) -> None:
    app = open_page("train")
    assert not any(one.label.startswith("Train 2") for one in app.button)
    app.selectbox(key="quick-weights").set_value("none")
    app.text_input(key="sweep-rates").set_value("1e-3, 1e-2, 0.001").run()
    app.number_input(key="sweep-seeds").set_value(2).run()
    try:
        click(app, "Train 4 runs")  # two of the rates are one
        (sweep,) = Sweeps(store).list()
        assert sweep.grid == {"learning_rate": ("0.001", "0.01"), "seed": ("0", "1")}
        row = next(one for one in app.expander if "4 queued" in one.label)
        assert "quick on phantoms-60" in row.label.replace("\\", "")

        opened(app, sweep.id)
        settings = next(one.value for one in app.dataframe if "setting" in one.value)
        assert list(settings["setting"]) == ["learning_rate=0.001", "learning_rate=0.01"]
        assert list(settings["runs done"]) == ["0 of 2", "0 of 2"]
        click(app, "Cancel all")
        assert {store.info(run).state for run in sweep.runs} == {State.CANCELLED}
        opened(app, sweep.id)
        click(app, "Forget the group")
        assert Sweeps(store).list() == []
        assert store.info(sweep.runs[0]).state is State.CANCELLED, "its runs stay"
    finally:
        for info in store.list():
            if info.state is not State.DONE:
                store.remove(info.run)


def test_the_best_of_a_sweep_opens(store, open_page) -> None:
    (done,) = (info for info in store.list() if info.state is State.DONE)
    recipe = PRESETS["quick"].recipe.with_overrides({"weights": "none", "epochs": "3"})
    dataset = resolve("phantoms:60", store.settings)
    sweep = Sweeps(store).submit(recipe, {"learning_rate": ("0.001",)}, dataset, "one *rate*")
    try:
        app = open_page("train")
        row = next(one for one in app.expander if "one \\*rate\\*" in one.label)
        assert row.label.endswith("1 done · best: learning\\_rate\\=0\\.001")
        opened(app, sweep.id)
        click(app, "Open the best run")
        assert app.query_params["run"] == done.run[:12]
    finally:
        forget(store)


def test_a_grid_that_can_not_be_trained_says_why(store, open_page) -> None:
    app = open_page("train")
    app.text_input(key="sweep-rates").set_value("1e-3, fast").run()
    assert not app.exception
    assert any("fast" in one.value for one in app.error)
    assert "test figures play no part" in texts(app)
    assert Sweeps(store).list() == []
