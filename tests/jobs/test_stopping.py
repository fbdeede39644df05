"""A run ends within seconds of being asked to, at any moment, and what it did is not lost."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from covidcore.data.index import Dataset
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from tests.jobs.places import Failpoints
from tests.runs import (
    STEPS,
    Trained,
    assert_same_results,
    kill_worker,
    stored_step,
    trained,
    wait_for_end,
    wait_until,
    worker_pid,
)


@pytest.fixture
def whole(phantoms: Path) -> Trained:
    """The run of ``STEPS`` that nobody stopped."""
    return trained(phantoms, STEPS)


def send_end(store: RunStore, run: str) -> None:
    pid = worker_pid(store.path(run))
    assert pid is not None
    os.kill(pid, signal.SIGTERM)


def terminate(store: RunStore, run: str) -> None:
    send_end(store, run)
    wait_until(lambda: store.info(run).state.ended, "the worker to end")


@pytest.mark.parametrize("after", [0.0, 0.4])
def test_a_run_that_has_just_started_is_cancelled_at_once(
    store: RunStore, dataset: Dataset, after: float
) -> None:
    """While torch is being imported nothing looks for the cancel but the watchdog."""
    run = store.submit(STEPS, dataset).run
    threading.Event().wait(after)
    asked = time.monotonic()
    store.cancel(run)
    assert wait_for_end(store, run) is State.CANCELLED
    wait_until(lambda: worker_pid(store.path(run)) is None, "the process to be gone")
    assert time.monotonic() - asked < 3
    assert "finished" in store.status(run)


def test_a_terminated_worker_is_an_interrupted_run(
    store: RunStore, dataset: Dataset, whole: Trained, failpoints: Failpoints
) -> None:
    run = store.submit(STEPS, dataset).run
    terminate(store, run)  # while it starts
    assert store.info(run).state is State.INTERRUPTED
    assert "can be resumed" in store.info(run).message

    failpoints.arm("batch", 5)
    store.resume(run)
    failpoints.wait("batch")
    failpoints.arm("watchdog")  # which is quicker than the step's end on a loaded machine
    send_end(store, run)  # in the middle of a step, which is done before it ends
    failpoints.release("batch")
    wait_until(lambda: store.info(run).state.ended, "the worker to end")
    failpoints.disarm("watchdog")
    assert store.info(run).state is State.INTERRUPTED
    at = stored_step(store.path(run))
    assert (at["epoch"], at["step"]) == (1, 5)

    store.resume(run)
    assert wait_for_end(store, run) is State.DONE
    assert_same_results(store.path(run), whole.folder)


@pytest.mark.campaign
def test_killed_at_any_moment_is_the_run_that_was_never_stopped(
    store: RunStore, dataset: Dataset, whole: Trained
) -> None:
    longest = whole.store.info(whole.run).seconds or 1.0
    moments, pause, kills = random.Random(7), threading.Event(), 0
    run = store.submit(STEPS, dataset).run
    while kills < 8:
        pause.wait(moments.uniform(0, longest))
        kills += kill_worker(store.path(run))
        state = store.info(run).state
        assert state in (State.INTERRUPTED, State.DONE)
        if state is State.DONE:  # too late: once more from the beginning
            assert_same_results(store.path(run), whole.folder)
            store.remove(run)
            store.submit(STEPS, dataset)
        else:
            store.resume(run)
    assert wait_for_end(store, run) is State.DONE
    assert_same_results(store.path(run), whole.folder)
    assert not list(store.path(run).glob(".*")), "what killed workers were writing is swept up"
