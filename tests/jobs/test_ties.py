"""Ties in a list of runs: on the same test images only, remembered, never from damaged files."""

import json
from pathlib import Path

import pytest

from covidcore import storage
from covidcore.config import Settings
from covidcore.evaluation import compare
from covidcore.jobs import ties
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from covidcore.jobs.ties import Place, places
from tests.evaluation.test_compare import CLASSES, table_of
from tests.runs import write_run

IMAGES = 240


@pytest.fixture
def store(home: Path) -> RunStore:
    return RunStore(Settings(home=home))


def finished(home: Path, run: str, wrong: int, split: str = "one", start: int = 0) -> None:
    """A finished run that is wrong on so many of 240 test images, from ``start`` on."""
    folder = write_run(home, run, State.DONE)
    job = storage.read_json(folder.job) | {"split": split, "classes": list(CLASSES)}
    folder.job.write_text(json.dumps(job))
    storage.write_table(folder.predictions, table_of(range(start, start + wrong), IMAGES))
    digest = storage.sha256_file(folder.predictions)
    folder.write_status(
        State.DONE,
        accuracy=1 - wrong / IMAGES,
        artefacts={folder.predictions.name: digest},
    )


def test_ties_and_clear_differences(store: RunStore, home: Path) -> None:
    for run, wrong in (("a", 11), ("b", 10), ("c", 60)):
        finished(home, run, wrong)
    finished(home, "d", 12, start=100)  # as good, on other images
    assert places(store, store.list()) == {
        "a": Place.TIED, "b": Place.TIED, "c": Place.BEHIND, "d": Place.TIED,
    }  # fmt: skip


def test_the_best_alone_is_the_best(store: RunStore, home: Path) -> None:
    finished(home, "a", 5)
    finished(home, "b", 60)
    assert places(store, store.list()) == {"a": Place.BEST, "b": Place.BEHIND}


def test_runs_on_other_test_images_are_not_compared(store: RunStore, home: Path) -> None:
    finished(home, "a", 5)
    finished(home, "b", 60, split="two")
    write_run(home, "c", State.FAILED)
    assert places(store, store.list()) == {}
    finished(home, "d", 61, split="two")
    assert places(store, store.list()) == {"b": Place.TIED, "d": Place.TIED}


def test_a_damaged_run_is_left_out_until_it_is_mended(store: RunStore, home: Path) -> None:
    finished(home, "a", 5)
    finished(home, "b", 6)
    file = home / "runs" / "b" / "predictions.parquet"
    whole = file.read_bytes()
    storage.write_table(file, table_of(range(60), IMAGES))  # of another run, and readable
    assert places(store, store.list()) == {}
    file.write_bytes(whole)
    assert places(store, store.list()) == {"a": Place.TIED, "b": Place.TIED}


def test_each_pair_is_compared_once_and_few_runs_are(
    store: RunStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = compare.difference
    monkeypatch.setattr(compare, "difference", lambda *given: asked.append(given) or real(*given))
    for number in range(5):
        finished(home, f"run{number}", 7 + number)
    assert len(places(store, store.list())) == 5
    assert len(asked) == 4
    assert len(places(store, store.list())) == 5
    assert len(asked) == 4
    monkeypatch.setattr(ties, "MOST", 3)
    assert set(places(store, store.list())) == {info.run for info in store.list()[:3]}
