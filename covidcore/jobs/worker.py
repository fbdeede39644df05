"""The process that works on one run: ``python -m covidcore.jobs.worker RUN_FOLDER``.

Glue of data, model, training and store; everything that touches a run's files while it runs is
here and in ``progress.py``. Holds the run's lock for its whole life.
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from covidcore.config import Settings
from covidcore.errors import CovidcoreError, Stopped
from covidcore.jobs.folder import RunFolder, State, now
from covidcore.jobs.progress import Reporter

if TYPE_CHECKING:
    from types import FrameType

_NICENESS = 10  # below the app, which has to answer while a job runs
_LOCK_SECONDS = 5.0  # a reader may hold the lock for a moment to see whether it is free


def main(path: Path) -> int:
    """Run the job in ``path`` to an end; the exit status is 0 where it is done."""
    folder = RunFolder(path)
    lock = FileLock(folder.lock)
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        return 0  # somebody else works on it
    # path is <home>/runs/<run>; the home is what the submitter used, whatever our environment.
    settings = Settings.from_environment({**os.environ, "COVIDCORE_HOME": str(path.parents[1])})
    try:
        state = _work(folder, settings)
    finally:
        lock.release()
    from covidcore.jobs.store import RunStore

    RunStore(settings).advance()
    return 0 if state is State.DONE else 1


def _work(folder: RunFolder, settings: Settings) -> State:
    """Train, and write down how it ended."""
    signal.signal(signal.SIGTERM, _on_terminate)
    with contextlib.suppress(OSError, AttributeError):
        os.nice(max(0, _NICENESS - os.nice(0)))  # the child of a worker is nice already
    reporter = Reporter(folder)
    started = time.monotonic()
    folder.write_status(State.RUNNING, started=now(), finished=None, message="")
    reporter.start()
    values: dict[str, Any] = {}
    try:
        from covidcore.jobs.training import train

        state, values = State.DONE, train(folder, settings, reporter)
    except Stopped:
        state = State.CANCELLED
    except CovidcoreError as error:
        state, values = State.FAILED, {"message": str(error)}
    except Exception as error:  # the run has to end as failed, not as one that vanished
        reporter.traceback()
        state, values = State.FAILED, {"message": _in_words(error)}
    folder.write_status(
        state, finished=now(), seconds=round(time.monotonic() - started, 3), **values
    )
    reporter.end(state)
    return state


def _on_terminate(number: int, frame: "FrameType | None") -> None:
    """End at once: the last epoch's checkpoint is whole on disk, and the run can be resumed."""
    sys.exit(128 + number)


def _in_words(error: Exception) -> str:
    """One sentence for a failure that was not foreseen."""
    text = str(error).strip().splitlines()
    if isinstance(error, MemoryError) or "not enough memory" in str(error).lower():
        return "The machine ran out of memory: try a smaller batch_size or image_size."
    return f"Training failed ({type(error).__name__}: {text[0][:200] if text else 'no message'})."


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
