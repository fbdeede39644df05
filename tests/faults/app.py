"""What the app does for one who brings in an archive and trains: a process to be killed.

Run as ``python -m tests.faults.app HOME ARCHIVE RECIPE``. For each line of its input it forks a
child, which imports the archive, submits the run and follows it, resuming what was interrupted, as
a person at the page would; the child's number is the answer, and "ended STATUS" once it is gone.
Forked, so that fifty kills cost one start of Python.
"""

import json
import os
import sys
import threading
from pathlib import Path

import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401

from covidcore.config import Settings
from covidcore.data import archives, audit_leaks, decode, duplicates, hashes, pixels  # noqa: F401
from covidcore.data.sources import resolve
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from covidcore.training.recipe import Recipe

LOOK_SECONDS = 0.05
NAME = "a run that outlives the app"


def work(home: Path, archive: str, recipe: Recipe) -> None:
    """Until the run is done."""
    settings, pause = Settings(home=home), threading.Event()
    store = RunStore(settings)
    run = store.submit(recipe, resolve(archive, settings), NAME).run
    while True:
        infos = {info.run: info for info in store.list()}
        if infos[run].state is State.DONE:
            return
        if infos[run].state is State.INTERRUPTED:
            store.resume(run)
        elif infos[run].state.ended:
            raise SystemExit(f"{infos[run].state}: {infos[run].message}")
        pause.wait(LOOK_SECONDS)


def main(home: Path, archive: str, recipe: Recipe) -> None:
    """Fork for each line."""
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            os.setsid()
            work(home, archive, recipe)
            os._exit(0)
        _say(str(child))
        _say(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Recipe.from_json(json.loads(sys.argv[3])))
