"""The operating point of a run: saved whole, read with distrust, no part of the result."""

import json

import pytest

from covidcore.config import Settings
from covidcore.errors import DataError, RunError
from covidcore.evaluation.operating import OperatingPoint
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from tests.runs import write_run

POINT = OperatingPoint({"a": 0.3}, "a", 0.05, 10.0)


@pytest.fixture
def store(settings: Settings) -> RunStore:
    write_run(settings.home, "r1", State.DONE)
    return RunStore(settings)


def test_it_is_kept_and_removed(store: RunStore) -> None:
    assert store.operating("r1") is None
    store.save_operating("r1", POINT)
    assert store.operating("r1") == POINT
    store.save_operating("r1", None)
    store.save_operating("r1", None)
    assert store.operating("r1") is None


def test_another_run_s_classes_are_refused(store: RunStore) -> None:
    with pytest.raises(DataError, match="'cat' is not one of the classes a, b"):
        store.save_operating("r1", OperatingPoint({"cat": 0.3}))
    assert store.operating("r1") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 9}', json.dumps({"version": 1})])
def test_a_damaged_one_is_an_error_and_not_passed_over(store: RunStore, text: str) -> None:
    (store.path("r1") / "operating.json").write_text(text)
    with pytest.raises(RunError, match=r"operating point of run r1 can not be used.*--clear"):
        store.operating("r1")
    store.save_operating("r1", POINT)
    assert store.operating("r1") == POINT


def test_a_visitor_of_a_demo_changes_nothing(store: RunStore) -> None:
    demo = RunStore(Settings(home=store.settings.home, demo=True))
    with pytest.raises(RunError, match="public demo"):
        demo.save_operating("r1", POINT)
    assert store.operating("r1") is None
