"""What every runner owes, tried on this machine, on a made-up Ray cluster and on a real one.

Wherever a run is worked on, the same work leaves the same bytes: also when two ask for it at once,
when it is cancelled or killed at the worst moment, and when the app or the place is started anew.
Moments are hit for certain: a worker is held there (``covidcore.failpoints``).
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open
from streamlit.testing.v1 import AppTest

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.doctor import examine
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.runners import worker_command
from covidcore.jobs.store import RunStore
from tests.conftest import ROOT
from tests.jobs.conftest import store_until_the_end
from tests.jobs.places import Failpoints, Place, worker_gone
from tests.pages.conftest import send_no_probe
from tests.runs import (
    SHORT,
    STEPS,
    Trained,
    assert_same_results,
    kill_worker,
    processes,
    trained,
    wait_until,
    worker_pid,
)

CANCEL_SECONDS = 2.0
MARGIN_SECONDS = 3.0  # a loaded machine: the watchdog, this process and a cluster take their turns

WRITING = "write last.safetensors"


@pytest.fixture
def store(place: Place, settings: Settings) -> Iterator[RunStore]:
    yield from store_until_the_end(replace(settings, runner=place.runner))


@pytest.fixture
def whole(phantoms: Path) -> Trained:
    """The run of ``STEPS`` that nobody stopped, on this machine."""
    return trained(phantoms, STEPS)


def end_of(store: RunStore, run: str) -> State:
    """Follow the list of runs as a page does, until the run has ended."""
    states = {}

    def ended() -> bool:
        states.update({info.run: info.state for info in store.list()})
        return states[run].ended

    wait_until(ended, f"the end of run {run}", every=0.1)
    return states[run]


def kept(folder: Path) -> dict[str, int] | None:
    """The step that the checkpoint is of; None where there is none."""
    if not (folder / "last.safetensors").exists():
        return None
    with safe_open(folder / "last.safetensors", framework="np") as file:
        step = json.loads(file.metadata()["position"])["step"]
        return {name: step[name] for name in ("epoch", "step")}


def events(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "log.txt").read_text().splitlines()
    assert all(line.startswith("{") for line in lines), lines
    return [json.loads(line) for line in lines]


def told(folder: Path) -> list[tuple[object, ...]]:
    """What a worker said, in order, without what depends on its speed: its steps and figures."""
    found: list[tuple[object, ...]] = []
    for event in events(folder):
        line = (event["event"], event.get("phase"), event.get("epoch"), *event)
        if line not in found[-1:]:
            found.append(line)
    return found


def page(settings: Settings, run: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What a person sees of a run, without times."""
    monkeypatch.setenv("COVIDCORE_HOME", str(settings.home))
    monkeypatch.setenv("COVIDCORE_RUNNER", settings.runner)
    send_no_probe(settings.home)
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60)
    app.switch_page("pages/train.py")
    app.query_params["run"] = run[:12]
    app.run()
    assert not app.exception
    problems = [element.value for element in (*app.error, *app.warning)]
    headers = [element.value for element in app.header]
    return {"header": headers, "problem": problems, "metric": [one.label for one in app.metric]}


def submit_held(
    store: RunStore, dataset: Dataset, failpoints: Failpoints, name: str, passage: int
) -> str:
    """A run of ``STEPS`` whose worker is held at the failpoint."""
    failpoints.arm(name, passage)
    run = store.submit(STEPS, dataset, "a finished run").run
    failpoints.wait(name)
    assert store.info(run).state is State.RUNNING
    return run


def resume_held(store: RunStore, run: str, failpoints: Failpoints, name: str, passage: int) -> None:
    """Go on from the last checkpoint to the failpoint."""
    failpoints.arm(name, passage)
    store.resume(run)
    failpoints.wait(name)
    assert store.info(run).state is State.RUNNING


def cancel(store: RunStore, run: str) -> None:
    """Cancel a running run, which has to end in time."""
    asked = time.monotonic()
    store.cancel(run)
    assert end_of(store, run) is State.CANCELLED
    assert time.monotonic() - asked < CANCEL_SECONDS + MARGIN_SECONDS
    worker_gone(store.path(run))


SUBMIT = """
import sys
from pathlib import Path
from covidcore.config import Settings
from covidcore.data.index import load
from covidcore.jobs.store import RunStore
from tests.runs import SHORT, STEPS
settings = Settings(home=Path(sys.argv[1]), runner=sys.argv[2])
store, dataset = RunStore(settings), load(sys.argv[3], settings.home)
for recipe in (STEPS, SHORT)[:int(sys.argv[4])]:
    print(store.submit(recipe, dataset, "a finished run").run, flush=True)
sys.stdin.read()
"""


def app(store: RunStore, dataset: Dataset, runs: int) -> subprocess.Popen[str]:
    """Another process that submits, and stays until its input is closed."""
    about = (str(store.settings.home), store.settings.runner, dataset.fingerprint, str(runs))
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", SUBMIT, *about]
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, start_new_session=True
    )


def test_two_who_submit_at_once_get_one_run_as_of_any_place(
    store: RunStore,
    dataset: Dataset,
    whole: Trained,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = [app(store, dataset, 1) for _ in range(2)]
    answers = {process.communicate(timeout=120)[0].strip() for process in both}
    (run,) = answers
    assert run == whole.run
    folder = RunFolder(store.path(run))
    assert end_of(store, run) is State.DONE, store.log_tail(run)
    assert [info.run for info in store.list()] == [run]
    assert not list(store.queue.folder.glob(".new-*"))

    assert store.submit(STEPS, dataset).cached
    assert_same_results(folder.path, whole.folder)
    assert told(folder.path) == told(whole.folder)  # one start among them
    assert page(store.settings, run, monkeypatch) == page(whole.settings, run, monkeypatch)
    assert store.queue.problem == ""
    assert str(examine(store.settings)["runner_answers"]).startswith(place.version)


def test_cancelled_while_queued(
    store: RunStore, dataset: Dataset, failpoints: Failpoints, phantoms: Path
) -> None:
    first = submit_held(store, dataset, failpoints, "batch", 1)
    run = store.submit(SHORT, dataset).run
    assert store.info(run).state is State.QUEUED
    asked = time.monotonic()
    store.cancel(run)
    assert store.info(run).state is State.CANCELLED
    assert time.monotonic() - asked < CANCEL_SECONDS + MARGIN_SECONDS

    failpoints.release("batch")  # now there is room, and nothing of it may start
    assert end_of(store, first) is State.DONE
    wait_until(lambda: not store.queue.runner.list(), "the place to be empty")
    assert store.info(run).state is State.CANCELLED
    assert not (store.path(run) / "log.txt").exists()
    assert kept(store.path(run)) is None

    store.resume(run)
    assert end_of(store, run) is State.DONE
    assert_same_results(store.path(run), trained(phantoms, SHORT).folder)


@pytest.mark.campaign
def test_stopped_at_every_moment_in_one_life(
    store: RunStore, dataset: Dataset, failpoints: Failpoints, whole: Trained
) -> None:
    run = submit_held(store, dataset, failpoints, "batch", 1)
    folder = store.path(run)
    cancel(store, run)
    assert kept(folder) is None

    failpoints.arm("watchdog")  # which is quicker than the batch's end on a loaded machine
    resume_held(store, run, failpoints, "batch", 1)
    store.cancel(run)
    failpoints.release("batch")
    assert end_of(store, run) is State.CANCELLED
    assert kept(folder) == {"epoch": 1, "step": 1}, "a worker that can end in order does"
    failpoints.disarm("watchdog")

    resume_held(store, run, failpoints, "validation", 2)
    cancel(store, run)
    assert kept(folder) == {"epoch": 2, "step": 0}

    resume_held(store, run, failpoints, WRITING, 1)
    assert list(folder.glob(".last.safetensors-*"))
    cancel(store, run)
    assert kept(folder) == {"epoch": 2, "step": 0}

    resume_held(store, run, failpoints, WRITING, 2)
    assert kill_worker(folder)
    assert end_of(store, run) is State.INTERRUPTED
    assert "can be resumed" in store.info(run).message
    assert kept(folder) == {"epoch": 3, "step": 0}

    store.resume(run)
    assert end_of(store, run) is State.DONE
    assert_same_results(folder, whole.folder)
    assert not list(folder.glob(".*")), "what it was writing is swept up"


def hand_over_again(store: RunStore, folder: RunFolder) -> None:
    """What an app that was killed between handing over and writing it down leads to."""
    command = shlex.join(worker_command(folder))
    assert worker_pid(folder.path) in [pid for pid, line in processes() if line == command]
    key = storage.read_json(folder.handover)["key"]
    again = store.queue.runner.submit(folder)
    assert again == key or store.settings.runner == "local"
    assert store.info(folder.run).state is State.RUNNING
    assert folder.run in store.queue.runner.list()


def test_the_app_is_killed_and_started_anew(
    store: RunStore, dataset: Dataset, failpoints: Failpoints, whole: Trained, phantoms: Path
) -> None:
    failpoints.arm("batch")
    before = app(store, dataset, 2)
    assert before.stdout is not None
    first, second = (before.stdout.readline().strip() for _ in range(2))
    failpoints.wait("batch")
    os.killpg(before.pid, signal.SIGKILL)  # and all that belong to it, as a closed terminal does
    before.communicate()

    states = {info.run: info.state for info in store.list()}
    assert states == {first: State.RUNNING, second: State.QUEUED}
    assert store.submit(STEPS, dataset).run == first
    folder = RunFolder(store.path(first))
    hand_over_again(store, folder)
    failpoints.release("batch")
    assert end_of(store, second) is State.DONE
    assert told(folder.path) == told(whole.folder)  # one start among them
    assert_same_results(folder.path, whole.folder)
    assert_same_results(store.path(second), trained(phantoms, SHORT).folder)


def test_the_place_is_switched_off_and_on(
    store: RunStore,
    dataset: Dataset,
    failpoints: Failpoints,
    whole: Trained,
    place: Place,
    phantoms: Path,
) -> None:
    run = submit_held(store, dataset, failpoints, WRITING, 2)
    second = store.submit(SHORT, dataset).run
    assert store.info(second).state is State.QUEUED
    place.kill()
    assert store.info(second).state is State.QUEUED
    assert kept(store.path(run)) == {"epoch": 2, "step": 0}
    place.up()

    assert end_of(store, second) is State.DONE
    assert_same_results(store.path(second), trained(phantoms, SHORT).folder)
    assert store.info(run).state is State.INTERRUPTED
    store.resume(run)
    assert end_of(store, run) is State.DONE
    assert_same_results(store.path(run), whole.folder)
