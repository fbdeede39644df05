"""Several datasets side by side: one choice for every page, and links that bring it along."""

import json
import shutil
from pathlib import Path

import pytest
import streamlit as st

from covidcore import storage
from covidcore.config import Settings
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.store import RunStore
from pages.shared_choice import told_apart
from tests.once import phantoms_in
from tests.pages.conftest import texts

PAGES = ("home", "explore", "train", "evaluate", "predict")


@pytest.fixture
def two(trained: RunStore, home: Path, monkeypatch) -> tuple[RunStore, str, str, str]:
    """A home of two datasets: one with a finished run, a newer one without."""
    shutil.copytree(trained.settings.home, home, dirs_exist_ok=True)
    monkeypatch.setenv("COVIDCORE_HOME", str(home))
    settings = Settings(home=home)
    store = RunStore(settings)
    run = store.find("latest")
    newer = phantoms_in(home, 33).fingerprint
    return store, store.job(run)["dataset"], newer, run


def copy_of(store: RunStore, run: str, name: str, dataset: str) -> str:
    """The same run again under another id, as of another dataset."""
    other = RunFolder(store.path(run).parent / name)
    shutil.copytree(store.path(run), other.path)
    job = storage.read_json(other.job)
    job |= {"dataset": dataset, "dataset_name": "the other one", "name": f"run {name}"}
    other.job.write_text(json.dumps(job), "utf-8")
    return name


def boxes(app) -> list[str]:
    return [one.label for one in app.sidebar.selectbox]


def test_one_dataset_needs_no_choice(trained, open_page) -> None:
    for name in PAGES:
        app = open_page(name)
        assert "Dataset" not in boxes(app)
        assert "dataset" not in app.query_params


def test_a_choice_holds_on_every_page(two, open_page) -> None:
    _, old, newer, _ = two
    app = open_page()
    assert app.selectbox(key="dataset").value == newer
    assert "33 images" in texts(app) and "None yet." in texts(app)
    app.selectbox(key="dataset").set_value(old).run()
    assert "60 images" in texts(app) and "1 so far, none under way" in texts(app)
    assert "is right on" in texts(app)
    for name in (*PAGES[1:], "home"):
        app.switch_page(f"pages/{name}.py").run()
        assert not app.exception and not app.error
        assert app.selectbox(key="dataset").value == old
        assert app.query_params["dataset"] == old[:12]
    app.selectbox(key="dataset").set_value(newer).run()
    app.switch_page("pages/explore.py").run()
    assert app.header[0].value == "phantoms\\-33"


@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_runs_are_those_of_the_dataset(two, open_page, name: str) -> None:
    store, old, newer, run = two
    other = copy_of(store, run, "0" * 16, newer)
    app = open_page(name, dataset=newer[:12])
    assert app.selectbox(key="run").value == other
    assert len(app.selectbox(key="run").options) == 1
    app.selectbox(key="dataset").set_value(old).run()
    assert app.selectbox(key="run").value == run
    app = open_page(name, run=other[:12], dataset=old[:12])  # the run says more than the dataset
    assert app.selectbox(key="dataset").value == newer
    assert app.selectbox(key="run").value == other
    assert not app.warning
    app.selectbox(key="dataset").set_value(old).run()  # a link is followed once
    assert app.selectbox(key="run").value == run
    assert app.query_params["run"] == run[:12]


def test_a_session_begins_where_there_is_a_result(two, open_page) -> None:
    _, old, newer, run = two
    app = open_page("evaluate")
    assert app.selectbox(key="dataset").value == old
    assert app.selectbox(key="run").value == run
    app = open_page("evaluate", dataset=newer[:12])
    assert "no finished run of this dataset yet" in texts(app)
    assert "finished runs of 1" in texts(app)


@pytest.mark.parametrize("name", PAGES)
def test_a_dataset_of_which_only_runs_are_left(two, open_page, name: str) -> None:
    store, old, _, run = two
    shutil.rmtree(store.settings.home / "datasets" / old)
    st.cache_resource.clear()
    app = open_page(name, dataset=old[:12])
    assert app.selectbox(key="dataset").value == old
    assert not app.error
    assert "phantoms-60 · only runs are left" in app.selectbox(key="dataset").options
    told = {"home": "only its runs are left", "explore": "Read its folder again"}
    assert told.get(name, "") in texts(app)
    if name in ("evaluate", "predict"):
        assert app.selectbox(key="run").value == run


def test_what_is_under_way_elsewhere_is_told(two, open_page) -> None:
    store, old, newer, run = two
    other = RunFolder(store.path(copy_of(store, run, "0" * 16, newer)))
    other.write_status(State.QUEUED, order="1", attempt=9)
    app = open_page("", dataset=old[:12])
    assert "1 so far, none under way" in texts(app)
    assert "1 run of another dataset is under way" in texts(app)


def test_labels_that_read_the_same_are_told_apart() -> None:
    labels = {"a1b2c3d4": "first · 90.0 %", "f00df00d": "first · 90.0 %", "99999999": "second"}
    assert told_apart(labels) == {
        "a1b2c3d4": "first · 90.0 % · a1b2c3",
        "f00df00d": "first · 90.0 % · f00df0",
        "99999999": "second",
    }


@pytest.mark.parametrize("name", ["explore", "train"])
def test_a_home_without_a_dataset_says_so_above_the_ways_to_one(home, open_page, name) -> None:
    assert "There is no dataset here yet" in texts(open_page(name))
