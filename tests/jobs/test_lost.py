"""Runs whose job file is gone or damaged are told, found again or removed; a lock that is gone."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from covidcore.cli import main
from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.errors import RunError
from covidcore.jobs import imports
from covidcore.jobs.causes import LOCK_GONE
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.removal import lost_in_words
from covidcore.jobs.store import RunStore
from tests.runs import LONG, SHORT, Trained, copied, trained, wait_for_end, wait_until


@pytest.fixture
def whole(phantoms: Path) -> Trained:
    return trained(phantoms, SHORT)


@pytest.fixture
def store(whole: Trained, phantoms: Path, home: Path) -> RunStore:
    """A copy of the finished run in a home of its own, in which nothing is started."""
    return copied(whole, phantoms, home, slots=0)


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def changed(path: Path) -> None:
    path.write_text(path.read_text().replace('"epochs": 1', '"epochs": 9'))


@pytest.mark.parametrize("harm", [gone, cut, changed])
def test_a_run_without_its_job_file_is_told_and_submitting_finds_it(
    store: RunStore, whole: Trained, harm: Callable[[Path], None]
) -> None:
    harm(store.path(whole.run) / "job.json")
    assert store.list() == [] and store.lost == [whole.run]
    assert store.find(whole.run[:5]) == whole.run
    with pytest.raises(RunError, match=r"no run|Submit the same recipe on the same dataset again"):
        store.job(whole.run)
    again = store.submit(SHORT, whole.dataset)
    assert (again.run, again.cached) == (whole.run, True)
    (info,) = store.list()
    assert (info.state, store.lost) == (State.DONE, [])
    assert store.evaluation(whole.run) == whole.store.evaluation(whole.run)


def test_a_list_that_was_read_before_knows_it_still(store: RunStore, whole: Trained) -> None:
    before = store.list()
    cut(store.path(whole.run) / "job.json")
    assert store.list() == before  # from the index: it was whole when that was made


@pytest.mark.parametrize("harm", [gone, cut])
def test_it_can_be_removed(store: RunStore, whole: Trained, harm: Callable[[Path], None]) -> None:
    harm(store.path(whole.run) / "job.json")
    store.remove(store.find(whole.run[:6]))
    store.list()
    assert store.lost == [] and not (store.queue.folder / whole.run).exists()


def test_a_folder_of_which_all_else_is_gone_too_is_trained_again(
    store: RunStore, whole: Trained
) -> None:
    folder = store.path(whole.run)
    shutil.rmtree(folder)
    folder.mkdir()
    assert not store.submit(SHORT, whole.dataset).cached
    assert [(info.run, info.state) for info in store.list()] == [(whole.run, State.QUEUED)]


def test_the_command_line_tells(
    store: RunStore,
    whole: Trained,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cut(store.path(whole.run) / "job.json")
    monkeypatch.setenv("COVIDCORE_HOME", str(store.settings.home))
    assert main(["runs"]) == 0
    assert lost_in_words([whole.run]) in capsys.readouterr().out
    assert main(["remove", whole.run[:6]]) == 0
    assert main(["runs"]) == 0
    assert "damaged" not in capsys.readouterr().out


@pytest.mark.parametrize("harm", [gone, cut])
def test_the_project_s_own_model_is_put_back(home: Path, harm: Callable[[Path], None]) -> None:
    store = RunStore(Settings(home=home))
    run = imports.own_model(store)
    (before,) = store.list()
    harm(store.path(run) / "job.json")
    assert imports.own_model(store) == run
    (after,) = store.list()
    assert after._replace(created="") == before._replace(created="")


def test_figures_of_a_changed_history_or_split_are_not_shown(
    store: RunStore, whole: Trained
) -> None:
    folder, history = store.path(whole.run), whole.store.history(whole.run)
    assert len(history) == 1 and store.info(whole.run).epoch == 1
    text = (folder / "history.csv").read_text()
    (folder / "history.csv").write_text(text.replace("\n1,", "\n2,"))
    assert len(store.history(whole.run)) == 0
    assert store.info(whole.run).epoch == 1
    split = (folder / "split.csv").read_text()
    (folder / "split.csv").write_text(split.replace(",test", ",train", 1))
    with pytest.raises(RunError, match="lost who is in which set"):
        store.split(whole.run)


def test_removals_that_were_cut_short_are_swept(store: RunStore, whole: Trained) -> None:
    left = store.queue.folder / ".removed-0123456789abcdef"
    left.mkdir()
    (left / "best.safetensors").touch()
    store.remove(whole.run)
    assert not left.exists()


def test_a_worker_whose_lock_is_removed_ends_at_once(
    store: RunStore, dataset: Dataset, idle: None
) -> None:
    """Else somebody might resume the run, and two would write to it."""
    store = RunStore(replace(store.settings, slots=1))
    run = store.submit(replace(LONG, epochs=400), dataset).run
    folder = RunFolder(store.path(run))
    wait_until(lambda: store.info(run).phase == "training", "the worker")
    folder.lock.unlink()
    wait_until(lambda: store.info(run).message == f"{LOCK_GONE} The run can be resumed.", "its end")
    assert store.info(run).state is State.INTERRUPTED
    store.resume(run)
    wait_until(lambda: store.info(run).phase == "training", "the next worker")
    store.cancel(run)
    assert wait_for_end(store, run) is State.CANCELLED
