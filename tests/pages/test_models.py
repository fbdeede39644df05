"""The predict page takes models away and brings them in; other pages know what was imported."""

import pickle
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.sources import resolve
from covidcore.jobs import demo_process
from covidcore.jobs.exports import checkpoint_bytes
from covidcore.jobs.imports import import_model
from covidcore.jobs.info import RunInfo
from covidcore.jobs.store import RunStore
from tests.jobs.checkpoints import write
from tests.pages.conftest import click, texts


def labels(app) -> list[str]:
    return [one.label for one in app.expander]


MODELS = "Take this model away, or bring one in"


def test_a_checkpoint_is_uploaded_and_is_then_the_one_that_answers(
    trained, home: Path, monkeypatch: pytest.MonkeyPatch, open_page
) -> None:
    data = checkpoint_bytes(trained, trained.find("latest"))
    monkeypatch.setenv("COVIDCORE_HOME", str(home))
    app = open_page("predict")
    assert "no finished run yet" in texts(app)
    app.file_uploader(key="checkpoint").upload("mine.zip", data).run()
    click(app, "Bring it in")
    assert not app.error
    assert "mine, imported" in texts(app)
    (run,) = runs(home)
    assert app.query_params["run"] == run.run[:12]
    assert app.sidebar.selectbox[0].value == run.run


def runs(home: Path) -> list[RunInfo]:
    return RunStore(Settings(home=home)).list()


def test_a_pickle_is_refused_in_a_sentence(home: Path, open_page) -> None:
    app = open_page("predict")
    app.file_uploader(key="checkpoint").upload("model.pth", pickle.dumps([1])).run()
    click(app, "Bring it in")
    (error,) = app.error
    assert "no zip archive" in error.value
    assert runs(home) == []


def test_by_its_path_a_folder_is_brought_in(home: Path, tmp_path: Path, open_page) -> None:
    app = open_page("predict")
    app.text_input(key="checkpoint_path").input(str(tmp_path / "nowhere")).run()
    click(app, "Bring it in")
    assert "is not there" in app.error[0].value.replace("\\", "")
    folder = write(tmp_path / "sent")
    app.text_input(key="checkpoint_path").input(str(folder)).run()
    click(app, "Bring it in")
    assert not app.error
    assert [run.name for run in runs(home)] == ["sent, imported"]


@pytest.fixture
def imported(home: Path, tmp_path: Path) -> str:
    return import_model(RunStore(Settings(home=home)), write(tmp_path / "sent")).run


@pytest.mark.parametrize("page", ["", "explore", "train", "evaluate", "predict"])
def test_every_page_bears_a_model_without_figures(imported: str, open_page, page: str) -> None:
    app = open_page(page, run=imported)
    assert not app.error
    if page == "evaluate":
        assert "This model was imported" in texts(app)
        app.segmented_control(key="imported_view").set_value("Report").run()
        assert not app.exception
        assert "NOT REPORTED" in texts(app)
    if page == "predict":
        assert MODELS in labels(app)


def test_pages_bear_it_beside_data(imported: str, home: Path, open_page) -> None:
    resolve("phantoms:30", Settings(home=home))
    for page in ("", "train", "evaluate"):
        app = open_page(page, run=imported)
        assert not app.error


def test_a_demo_offers_neither(trained, monkeypatch: pytest.MonkeyPatch, open_page) -> None:
    monkeypatch.setenv("COVIDCORE_DEMO", "1")
    demo_process.task(trained.settings.home).write_status(ready=True)  # else the page makes it so
    app = open_page("predict")
    assert MODELS not in labels(app)
    assert [one.key for one in app.file_uploader] == ["uploads"]
