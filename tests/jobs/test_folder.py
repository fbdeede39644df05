"""What can be told of a run from the files in its folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from covidcore import storage
from covidcore.config import Settings
from covidcore.errors import RunError
from covidcore.jobs.folder import Presence, RunFolder, State, derive_state
from covidcore.jobs.info import describe
from covidcore.jobs.queue import Queue
from covidcore.training.recipe import Recipe

JOB = {
    "recipe": Recipe().to_json(),
    "dataset": "abc",
    "dataset_name": "set",
    "classes": ["a", "b"],
    "split": "def",
    "weights": {"name": "none"},
    "name": "mine",
    "created": "2026-01-01T00:00:00.000+00:00",
}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "0123456789abcdef")
    folder.path.mkdir()
    folder.job.write_text(json.dumps(JOB))
    return folder


def state_of(folder: RunFolder) -> State:
    return Queue(Settings(home=folder.path.parents[1])).state(folder)


WAITING, RUNNING = Presence.WAITING, Presence.RUNNING
GONE, LOST = Presence.GONE, Presence.LOST


@pytest.mark.parametrize(
    ("written", "presence", "handed_over", "expected"),
    [
        ("queued", GONE, False, State.QUEUED),
        ("queued", WAITING, True, State.QUEUED),
        ("queued", RUNNING, True, State.RUNNING),  # it has begun but has not written yet
        ("queued", GONE, True, State.INTERRUPTED),
        ("queued", LOST, True, State.QUEUED),
        ("running", RUNNING, True, State.RUNNING),
        ("running", GONE, True, State.INTERRUPTED),
        ("running", GONE, False, State.INTERRUPTED),
        ("running", LOST, True, State.INTERRUPTED),
        ("done", RUNNING, True, State.DONE),  # written, and about to end
        ("done", GONE, True, State.DONE),
        ("failed", GONE, True, State.FAILED),
        ("failed", RUNNING, True, State.FAILED),
        ("cancelled", GONE, False, State.CANCELLED),
        ("cancelled", WAITING, True, State.CANCELLED),
        ("cancelled", LOST, True, State.CANCELLED),
        ("interrupted", GONE, True, State.INTERRUPTED),
        ("interrupted", RUNNING, True, State.RUNNING),
        ("", GONE, False, State.INTERRUPTED),
        ("nonsense", GONE, True, State.INTERRUPTED),
    ],
)
def test_derive_state(written: str, presence: Presence, handed_over: bool, expected: State) -> None:
    assert derive_state(written, presence, handed_over) is expected


@pytest.mark.parametrize("state", State)
def test_only_waiting_and_running_runs_go_on_by_themselves(state: State) -> None:
    assert state.ended == (state.value not in ("queued", "running"))


def test_the_lock_tells_who_is_alive(folder: RunFolder) -> None:
    folder.write_status(State.RUNNING)
    assert not folder.locked()
    with FileLock(folder.lock):
        assert folder.locked()
        assert state_of(folder) is State.RUNNING
    assert not folder.locked()
    assert state_of(folder) is State.INTERRUPTED


def test_looking_does_not_keep_a_worker_from_the_lock(folder: RunFolder) -> None:
    with FileLock(folder.lock):
        pass
    for _ in range(20):
        assert not folder.locked()
        with FileLock(folder.lock, timeout=0):
            pass


def test_a_status_grows_and_is_replaced(folder: RunFolder) -> None:
    folder.write_status(State.RUNNING, started="now", message="")
    folder.write_status(State.FAILED, message="Out of luck.")
    status = storage.read_json(folder.status_file)
    assert status == {"state": "failed", "started": "now", "message": "Out of luck."}


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"state": 3}', '"done"'])
def test_a_damaged_status_reads_as_interrupted(folder: RunFolder, text: str) -> None:
    folder.status_file.write_text(text)
    assert state_of(folder) is State.INTERRUPTED
    assert describe(folder, state_of(folder)).state is State.INTERRUPTED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        json.dumps({**JOB, "recipe": {**Recipe().to_json(), "epochs": 0}}),
        json.dumps({**JOB, "recipe": {**Recipe().to_json(), "later": 1}}),
        json.dumps({**JOB, "recipe": None}),
        json.dumps({name: value for name, value in JOB.items() if name != "dataset"}),
    ],
)
def test_a_damaged_job_is_one_sentence(folder: RunFolder, text: str) -> None:
    folder.job.write_text(text)
    with pytest.raises(RunError, match=r"0123456789abcdef is damaged: .*\.$"):
        describe(folder, state_of(folder))


def log(folder: RunFolder, *events: dict[str, Any] | str) -> None:
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    folder.log.write_text("".join(line + "\n" for line in lines))


PROGRESS = {"event": "progress", "phase": "training", "step": 3, "steps": 9, "epoch": 2}


def test_a_running_run_shows_its_last_progress(folder: RunFolder) -> None:
    folder.write_status(State.RUNNING, started="2026-01-01T00:00:00.000+00:00", finished=None)
    log(folder, {"event": "start"}, PROGRESS, "a warning", "{half a li", "{}")
    with FileLock(folder.lock):
        info = describe(folder, state_of(folder))
    assert (info.phase, info.step, info.steps, info.epoch) == ("training", 3, 9, 2)
    assert (info.run, info.name, info.dataset_name) == ("0123456789abcdef", "mine", "set")
    assert info.seconds is not None
    assert info.seconds > 0


def test_progress_of_an_earlier_attempt_does_not_count(folder: RunFolder) -> None:
    folder.write_status(State.RUNNING, started="2026-01-01T00:00:00.000+00:00")
    log(folder, {"event": "start"}, PROGRESS, {"event": "start"})
    with FileLock(folder.lock):
        assert describe(folder, state_of(folder)).phase == "starting"


def test_before_a_worker_has_written_the_log_is_of_an_earlier_attempt(folder: RunFolder) -> None:
    folder.write_status(State.QUEUED)
    log(folder, {"event": "start"}, PROGRESS)
    with FileLock(folder.lock):
        info = describe(folder, state_of(folder))
    assert (info.state, info.phase) == (State.RUNNING, "starting")


def test_a_stopped_run_shows_the_epochs_it_has(folder: RunFolder) -> None:
    folder.write_status(State.CANCELLED)
    assert describe(folder, state_of(folder)).epoch == 0
    folder.history.write_text("epoch,train_loss\n1,0.5\n2,0.4\n")
    assert describe(folder, state_of(folder)).epoch == 2


def test_only_the_end_of_a_long_log_is_read(folder: RunFolder) -> None:
    folder.log.write_text("\xfc" * 200_000 + "\nlast\n")
    assert len("".join(folder.tail())) <= 1 << 16
    assert folder.tail()[-1] == "last"
    assert folder.events() == []


def test_a_run_without_a_log_has_no_lines(folder: RunFolder) -> None:
    assert folder.tail() == []
    assert folder.events() == []
