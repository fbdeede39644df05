"""The report on the evaluate page: what is not reported, what to do, and two files."""

import shutil
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.evaluation.report_answers import NOT_REPORTED
from covidcore.jobs.folds import folds_study
from covidcore.jobs.openings import times_opened
from covidcore.jobs.store import RunStore
from tests.pages.conftest import texts


@pytest.fixture
def store(trained: RunStore, home: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """The trained home, copied: folds are trained in it."""
    shutil.copytree(trained.settings.home, home, dirs_exist_ok=True)
    monkeypatch.setenv("COVIDCORE_HOME", str(home))
    return RunStore(Settings(home=home))


def items(app):
    table = app.dataframe[-1].value
    return table.set_index("item")


def test_what_is_lacking_comes_first_with_what_to_do(store: RunStore, open_page) -> None:
    run = store.find("latest")
    app = open_page("evaluate", view="Report")
    shown = items(app)
    absent = shown["stored"] == NOT_REPORTED
    assert absent.iloc[0] and not absent.iloc[-1] and absent.is_monotonic_decreasing
    assert f"**{absent.sum()}** are {NOT_REPORTED}" in texts(app)
    assert "crossvalidate" in shown.loc["30", "what to do"]
    assert not app.error
    opened = times_opened(store.path(run))
    assert f"opened {opened} time" in shown.loc["40", "stored"]  # this one is counted
    app.segmented_control(key="checklist").set_value("TRIPOD+AI").run()
    assert len(items(app)) == 52


def test_what_was_measured_is_reported(store: RunStore, open_page) -> None:
    folds_study(store, store.find("latest"), 3, 1).follow(lambda *_: None)
    shown = items(open_page("evaluate", view="Report"))
    assert "3 folds, 1 times" in shown.loc["30", "stored"]


def test_two_files_are_offered(store: RunStore, open_page) -> None:
    app = open_page("evaluate", view="Report")
    labels = [one.proto.label for one in app.get("download_button")]
    assert labels == ["Report as HTML", "Report as Markdown"]
