"""Where a worker runs. This release: on this machine, as a process that outlives its parent."""

import subprocess
import sys
import threading
import time

from covidcore.config import child_environment
from covidcore.jobs.folder import RunFolder, State

_START_SECONDS = 60.0


def start_local(folder: RunFolder) -> None:
    """Start a worker on ``folder`` and return once it holds the run's lock, or has ended.

    The worker has a session of its own: it lives on when the app, its terminal or the browser
    tab is closed. If it ends before it has taken the lock, the run is marked as failed.
    """
    with folder.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "covidcore.jobs.worker", str(folder.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**child_environment(), "PYTHONUNBUFFERED": "1"},
        )
    # Someone has to take note of the worker's end, or it stays a zombie of a long-lived app.
    threading.Thread(target=process.wait, daemon=True).start()
    deadline = time.monotonic() + _START_SECONDS
    pause = threading.Event()
    while folder.state() is State.QUEUED and time.monotonic() < deadline:
        if process.poll() is not None and folder.state() is State.QUEUED:
            last = next((line for line in reversed(folder.tail()) if line.strip()), "no output")
            folder.write_status(
                State.FAILED, message=f"The worker could not be started. Its last line: {last}"
            )
            return
        pause.wait(0.02)
