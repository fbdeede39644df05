"""The process that works on one run: ``python -m covidcore.jobs.worker RUN_FOLDER ATTEMPT``.

Glue of data, model, training and store; everything that touches a run's files while it runs is
here and in ``progress.py``. Holds the run's lock for its whole life.
"""

import contextlib
import faulthandler
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from covidcore.config import Settings
from covidcore.data.background import step_back
from covidcore.errors import CovidcoreError, Stopped
from covidcore.jobs.causes import in_words
from covidcore.jobs.folder import RunFolder, State, now
from covidcore.jobs.progress import Reporter
from covidcore.jobs.queue import Queue
from covidcore.jobs.space import Ballast
from covidcore.jobs.watchdog import Terminated, Watchdog
from covidcore.lean import keep_memory

_LOCK_SECONDS = 5.0  # a reader may hold the lock for a moment to see whether it is free


def main(path: Path, attempt: int) -> int:
    """Run the job in ``path`` to an end; the exit status is 0 where it is done."""
    folder = RunFolder(path)
    if not folder.job.is_file():
        sys.stderr.write(f"There is no run in {path}: is COVIDCORE_HOME shared with it?\n")
        return 1
    lock = FileLock(folder.lock)
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        return 0  # somebody else works on it
    if folder.attempt() != attempt or folder.status()["state"] != State.QUEUED:
        lock.release()
        return 0  # it was stopped, or queued anew, before this worker came to it
    # path is <home>/runs/<run>; the home is what the submitter used, whatever our environment.
    settings = Settings.from_environment({**os.environ, "COVIDCORE_HOME": str(path.parents[1])})
    try:
        state = _work(folder, settings)
    finally:
        lock.release()
    if state is not State.INTERRUPTED:  # else the machine is about to be switched off
        with contextlib.suppress(CovidcoreError):  # whoever looks next moves the queue on
            Queue(settings).advance()
    return 0 if state is State.DONE else 1


def _work(folder: RunFolder, settings: Settings) -> State:
    """Train, and write down how it ended; a worker that is told to end writes nothing."""
    started = time.monotonic()

    def end(state: State, **values: Any) -> None:
        seconds = round(time.monotonic() - started, 3)
        ballast.drop()  # on a full disk this is the room for what comes now
        folder.write_status(state, finished=now(), seconds=seconds, **values)

    _print_to(folder.log)
    faulthandler.enable()  # a crash leaves its name in the log
    folder.sweep()
    ballast = Ballast(folder.path)

    def give_up(state: State, message: str) -> None:
        """What the end of a worker is; in its place another process moves the queue on."""
        end(state, message=message)
        os.environ["COVIDCORE_HOME"] = str(settings.home)
        os.execv(sys.executable, [sys.executable, "-m", "covidcore.jobs.queue"])

    watchdog = Watchdog(folder, give_up, folder.limit_seconds())
    signal.signal(signal.SIGTERM, lambda number, frame: watchdog.terminate())
    step_back()
    keep_memory()
    reporter = Reporter(folder, watchdog)
    reporter.start()
    folder.write_status(State.RUNNING, started=now(), finished=None, message="")
    values: dict[str, Any] = {}
    try:
        watchdog.start()
        from covidcore.jobs.training import train

        state, values = State.DONE, train(folder, settings, reporter)
    except Terminated:
        ballast.drop()
        return State.INTERRUPTED
    except Stopped:
        state = State.CANCELLED
    except CovidcoreError as error:
        state, values = State.FAILED, {"message": in_words(error)}
    except Exception as error:  # the run has to end as failed, not as one that vanished
        reporter.traceback()
        state, values = State.FAILED, {"message": in_words(error)}
    watchdog.close()
    end(state, **values)
    reporter.end(state)
    return state


def _print_to(log: Path) -> None:
    """Let everything printed from here on go to the run's log, wherever the process runs."""
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), int(sys.argv[2])))
