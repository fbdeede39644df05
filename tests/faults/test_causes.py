"""Each way in which a run fails or dies has its sentence, and the run can go on."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from covidcore import storage
from covidcore.data.index import Dataset, dataset_folder, scan
from covidcore.jobs.causes import NO_MEMORY
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.store import RunStore
from tests.faults.conftest import Saboteur
from tests.faults.wholeness import TINY, assert_whole
from tests.runs import (
    STEPS,
    Trained,
    assert_same_results,
    kill_worker,
    trained,
    wait_for_end,
    wait_until,
)

LARGE = replace(TINY, trainable="all", image_size=160, batch_size=24)


@pytest.mark.parametrize(
    ("recipe", "at", "spare"),
    [(TINY, "import torch", 256 << 20), (LARGE, "rename history.csv 0", 64 << 20)],
    ids=["torch", "training"],
)
def test_out_of_memory(
    store: RunStore, dataset: Dataset, saboteur: Saboteur, recipe: object, at: str, spare: int
) -> None:
    saboteur.plan("starve", at=at, spare=spare)
    run = store.submit(recipe, dataset).run  # type: ignore[arg-type]
    wait_until(lambda: not RunFolder(store.path(run)).locked(), "the worker to be gone")
    assert saboteur.reached == [at]
    assert assert_whole(store, run, (State.FAILED,)) is State.FAILED
    assert store.info(run).message == NO_MEMORY


def test_killed_by_the_system(store: RunStore, dataset: Dataset) -> None:
    """As Linux does with a process when memory is short."""
    run = store.submit(TINY, dataset).run
    assert kill_worker(store.path(run))
    assert assert_whole(store, run, (State.INTERRUPTED,))
    message = store.info(run).message
    assert message.startswith("The worker ended without a word: it was killed, the machine ran")
    assert message.endswith("The run can be resumed from its last checkpoint.")


def test_a_file_cut_short_beneath_its_reader(
    store: RunStore, dataset: Dataset, phantoms: Path, saboteur: Saboteur
) -> None:
    """Reading a memory map over less than was there ends a process; the log says how."""
    pixels = dataset_folder(store.settings.home, dataset.fingerprint) / "pixels-32.npy"
    saboteur.plan("cut", at="rename history.csv 0", file=str(pixels))
    run = store.submit(STEPS, dataset).run
    wait_until(lambda: not RunFolder(store.path(run)).locked(), "the worker to be gone")
    assert store.info(run).state is State.INTERRUPTED
    message = store.info(run).message
    assert message.startswith("The worker crashed (Bus error): a file that it was reading was cut")
    store.resume(run)
    assert wait_for_end(store, run) is State.DONE, store.info(run).message
    assert_same_results(store.path(run), trained(phantoms, STEPS).folder)


@pytest.fixture
def own(phantoms: Path, tmp_path: Path, store: RunStore) -> Dataset:
    """A dataset that may be harmed."""
    return scan(shutil.copytree(phantoms, tmp_path / "own"), store.settings.home)


def fails(store: RunStore, run: str, busy: FileLock) -> str:
    """Let a waiting run start; what it fails with."""
    assert store.info(run).state is State.QUEUED
    busy.release()
    store.advance()
    assert wait_for_end(store, run) is State.FAILED
    assert "Traceback" not in "\n".join(store.log_tail(run, 100))
    return store.info(run).message


def test_an_image_that_was_changed_after_submitting(
    store: RunStore, own: Dataset, busy: FileLock
) -> None:
    run = store.submit(TINY, own).run
    file = own.index["file"].iloc[5]
    image = own.root / file
    kept = image.read_bytes()
    image.write_bytes((own.root / own.index["file"].iloc[6]).read_bytes())
    assert fails(store, run, busy) == (
        f"{file} has changed since the dataset was scanned: scan it again."
    )
    image.write_bytes(kept)
    store.resume(run)
    assert wait_for_end(store, run) is State.DONE, store.info(run).message


def test_a_folder_that_was_removed_after_submitting(
    store: RunStore, own: Dataset, busy: FileLock, tmp_path: Path
) -> None:
    run = store.submit(TINY, own).run
    own.root.rename(tmp_path / "elsewhere")
    file = own.index["file"].iloc[0]
    assert fails(store, run, busy) == (
        f"{file} can not be read any more (No such file or directory): scan the dataset again."
    )


def test_a_folder_is_not_needed_once_its_pixels_are_stored(
    store: RunStore, own: Dataset, tmp_path: Path
) -> None:
    first = store.submit(TINY, own).run
    assert wait_for_end(store, first) is State.DONE
    own.root.rename(tmp_path / "elsewhere")
    second = store.submit(replace(TINY, seed=1), own).run
    assert wait_for_end(store, second) is State.DONE, store.info(second).message


def test_a_scan_that_was_removed_after_submitting(
    store: RunStore, own: Dataset, busy: FileLock
) -> None:
    run = store.submit(TINY, own).run
    shutil.rmtree(dataset_folder(store.settings.home, own.fingerprint))
    assert fails(store, run, busy).startswith(
        "What the scan of this run's dataset found is gone or damaged: scan the folder of “own” "
        "again, then resume the run."
    )
    scan(own.root, store.settings.home)
    store.resume(run)
    assert wait_for_end(store, run) is State.DONE, store.info(run).message


@pytest.mark.parametrize("gone", [True, False])
def test_weights_that_are_not_those_that_were_submitted(
    store: RunStore, dataset: Dataset, busy: FileLock, tmp_path: Path, gone: bool
) -> None:
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"as they were")
    run = store.submit(replace(TINY, weights=str(file)), dataset).run
    if gone:
        file.unlink()
    else:
        file.write_bytes(b"as they are")
    what = (
        "can not be read any more (No such file or directory): put the file back, then resume "
        "the run."
        if gone
        else "have changed since the run was submitted: put the file back as it was and resume "
        "the run, or submit it again."
    )
    assert fails(store, run, busy) == f"The weights {file} {what}"


def test_a_false_start_is_told_from_this_attempt_s_words(
    store: RunStore, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.submit(TINY, dataset).run
    assert kill_worker(store.path(run))
    (tmp_path / "filelock.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    store.resume(run)
    info = store.info(run)
    assert info.state is State.FAILED
    assert info.message == "The worker could not be started. It said nothing."


def test_a_run_that_is_not_done_shows_no_figures(
    store: RunStore, dataset: Dataset, whole: Trained, saboteur: Saboteur
) -> None:
    """Even where every file of a result is there already, for they may be of another moment."""
    saboteur.plan("kill", at="rename status.json done")
    run = store.submit(TINY, dataset).run
    wait_until(lambda: not RunFolder(store.path(run)).locked(), "the worker to be gone")
    assert assert_whole(store, run, (State.INTERRUPTED,))
    assert_same_results(store.path(run), whole.folder)
    assert store.info(run).accuracy is None
    assert storage.read_json(store.path(run) / "status.json").get("artefacts") is None
