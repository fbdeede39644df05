"""Ends a worker within two seconds of being asked to, whatever it is doing at that moment.

The work itself looks for the request at every step and then ends in order, with a checkpoint. Where
a step takes longer (torch is being imported, a disk hangs) the watchdog writes the state and ends
the process: files are replaced whole or not at all, so this costs at most the work since the last
checkpoint.
"""

import os
import sys
import threading
import time
from collections.abc import Callable

from covidcore.errors import RunError, Stopped
from covidcore.failpoints import reach
from covidcore.jobs.causes import LOCK_GONE
from covidcore.jobs.folder import RunFolder, State
from covidcore.wording import duration

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 1.2


def _identity(folder: RunFolder) -> int | None:
    """Which file the run's lock is; None where there is none."""
    try:
        return folder.lock.stat().st_ino
    except FileNotFoundError:
        return None


class Terminated(Stopped):
    """The process was told to end; the run can be resumed."""


class OutOfTime(RunError):
    """The run has taken all the time that it may."""


class Watchdog:
    """Watches for the request to stop, and the clock, on a thread of its own.

    ``give_up(state, message)`` writes how the run ended. ``seconds``: how long the worker may take;
    None: as long as it likes.
    """

    def __init__(
        self, folder: RunFolder, give_up: Callable[[State, str], None], seconds: float | None = None
    ) -> None:
        self._until = None if seconds is None else time.monotonic() + seconds
        self._too_long = f"The run was ended: it may take {duration(seconds)} here."
        self._folder, self._give_up = folder, give_up
        self._lock = _identity(folder)
        self._ending = threading.Lock()
        self._terminated = threading.Event()

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, daemon=True).start()

    def close(self) -> None:
        """From here on the worker writes its end itself; call it once before that.

        Does not return where the watchdog is already ending the process.
        """
        self._ending.acquire()

    def terminate(self) -> None:
        """The system asks for an end (a signal): as a cancel, but the run counts as interrupted."""
        self._terminated.set()

    def check(self) -> None:
        """Raises: Stopped where the run was asked to stop, Terminated where the process was.

        OutOfTime where it has taken all the time that it may.
        """
        if self._folder.stop_requested():
            raise Stopped("The run was asked to stop.")
        if self.late:
            raise OutOfTime(self._too_long)
        if self._terminated.is_set():
            raise Terminated("The worker was told to end.")

    @property
    def late(self) -> bool:
        """Whether the worker has taken all the time that it may."""
        return self._until is not None and time.monotonic() > self._until

    def _watch(self) -> None:
        while not (self._folder.stop_requested() or self.late):
            if self._ending.locked():
                return  # the worker writes its end itself
            if self._lock is not None and _identity(self._folder) != self._lock:
                # Whoever looks takes the run for interrupted now, and may start another worker.
                sys.stderr.write(f"{LOCK_GONE}\n")
                os._exit(1)
            if self._terminated.wait(_POLL_SECONDS):
                break
        threading.Event().wait(_PATIENCE_SECONDS)
        reach("watchdog")
        if self._ending.acquire(blocking=False):
            try:
                if self._folder.stop_requested():
                    self._give_up(State.CANCELLED, "")
                elif self.late:
                    self._give_up(State.FAILED, self._too_long)
            finally:
                os._exit(1)
