"""Many at once, and one after another: one run a recipe, in order, over the death of the app.

It is of who starts and when, so workers are idle; ``test_store`` has runs that wait for real ones.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from covidcore.data.index import Dataset
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from tests.runs import SHORT, wait_for_end, wait_until

PROCESSES, RUNS, SLOTS = 8, 20, 2
LASTING = replace(SHORT, epochs=4)  # two seconds, so that the last still waits when the third ends

# Says when it is ready, and submits whenever it is told to: so all can be let go together.
SUBMITTER = """
import sys
from pathlib import Path
from covidcore.config import Settings
from covidcore.data.index import load
from covidcore.jobs.store import RunStore
from tests.jobs.test_many import LASTING
settings = Settings(home=Path(sys.argv[1]))
dataset = load(sys.argv[2], settings.home)
print("ready", flush=True)
for _ in sys.stdin:
    submission = RunStore(settings).submit(LASTING, dataset)
    print(submission.run, submission.cached, flush=True)
"""

# Plays the app: submits, and then asks for the list again and again, as an open page does.
APP = """
import os, sys, time
from dataclasses import replace
from covidcore.config import Settings
from covidcore.data.index import load
from covidcore.jobs.store import RunStore
from tests.jobs.test_many import RUNS, LASTING
store = RunStore(Settings.from_environment({**os.environ, "COVIDCORE_HOME": sys.argv[1]}))
dataset = load(sys.argv[2], store.settings.home)
for seed in range(int(sys.argv[3]), RUNS):
    print(store.submit(replace(LASTING, seed=seed), dataset).run, flush=True)
while True:
    store.list()
    time.sleep(0.2)
"""


@pytest.fixture
def started(tmp_path: Path, idle: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that has a line, the run's folder, for each worker process that ever began."""
    file = tmp_path / "started"
    file.touch()
    monkeypatch.setenv("WORKERS_STARTED", str(file))
    return file


@contextmanager
def process(
    code: str, store: RunStore, dataset: Dataset, *more: object
) -> Iterator["subprocess.Popen[str]"]:
    """Another Python on the same home; killed when the block ends, as by a power cut."""
    arguments = [str(store.settings.home), dataset.fingerprint, *map(str, more)]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def line(running: "subprocess.Popen[str]") -> str:
    assert running.stdout
    return running.stdout.readline().strip()


def starts(folder: Path) -> int:
    """How often a worker took up the run."""
    lines = (folder / "log.txt").read_text().splitlines()
    return sum(json.loads(one)["event"] == "start" for one in lines if one.startswith("{"))


def test_one_run_and_one_worker_however_many_submit_it_at_once(
    store: RunStore, dataset: Dataset, started: Path
) -> None:
    with ExitStack() as stack:
        everyone = [
            stack.enter_context(process(SUBMITTER, store, dataset)) for _ in range(PROCESSES)
        ]
        assert [line(one) for one in everyone] == ["ready"] * PROCESSES

        def at_once() -> list[str]:
            for one in everyone:
                assert one.stdin
                one.stdin.write("go\n")
            return [line(one) for one in everyone]

        answers = [answer.split() for answer in at_once()]
        run = answers[0][0]
        assert answers == [[run, "False"]] * PROCESSES
        assert wait_for_end(store, run) is State.DONE, store.log_tail(run)
        assert at_once() == [f"{run} True"] * PROCESSES

    assert [folder.name for folder in store.queue.folder.iterdir() if folder.is_dir()] == [run]
    assert started.read_text().splitlines() == [str(store.path(run))]
    assert starts(store.path(run)) == 1
    assert store.status(run)["attempt"] == 1


@pytest.mark.timeout(900)
@pytest.mark.campaign
def test_many_runs_in_order_over_the_death_of_the_app(
    store: RunStore, dataset: Dataset, started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVIDCORE_SLOTS", str(SLOTS))
    with process(APP, store, dataset, 0) as app:
        runs = [line(app) for _ in range(RUNS // 2)]
    # It was killed while it submitted the next one, which may be there or not.
    assert len(runs) <= len(store.queue.folders()) <= len(runs) + 1

    with process(APP, store, dataset, len(runs)) as app:
        runs += [line(app) for _ in range(RUNS - len(runs))]
        wait_until(lambda: store.info(runs[2]).state is State.DONE, "the third run")
    assert not store.info(runs[-1]).state.ended

    with process(APP, store, dataset, RUNS):  # the app that is opened next submits nothing
        for run in runs:
            assert wait_for_end(store, run) is State.DONE, store.log_tail(run)
    assert len(set(runs)) == RUNS
    assert {info.run: info.state for info in store.list()} == dict.fromkeys(runs, State.DONE)
    assert [starts(store.path(run)) for run in runs] == [1] * RUNS
    assert [store.status(run)["attempt"] for run in runs] == [1] * RUNS

    # No process is started before the one ahead of it holds its run. One that the dying app had
    # just started may be started once more; it then finds the run taken, and does nothing.
    begun = [Path(one).name for one in started.read_text().splitlines()]
    assert list(dict.fromkeys(begun)) == runs, "in the order of submission"
    assert len(begun) <= RUNS + 2
    spans = [(store.status(run)["started"], store.status(run)["finished"]) for run in runs]
    at_once = [sum(begin <= now < end for begin, end in spans) for now, _ in spans]
    assert max(at_once) <= SLOTS
    assert not list(store.queue.folder.glob(".new-*"))
