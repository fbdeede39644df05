"""Ends a worker within two seconds of being asked to, whatever it is doing at that moment.

The work itself looks for the request at every step and then ends in order, with a checkpoint. Where
a step takes longer (torch is being imported, a disk hangs) the watchdog writes the state and ends
the process: files are replaced whole or not at all, so this costs at most the work since the last
checkpoint.
"""

import os
import threading
from collections.abc import Callable

from covidcore.errors import Stopped
from covidcore.failpoints import reach
from covidcore.jobs.folder import RunFolder

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 1.2


class Terminated(Stopped):
    """The process was told to end; the run can be resumed."""


class Watchdog:
    """Watches for the request to stop, on a thread of its own."""

    def __init__(self, folder: RunFolder, give_up: Callable[[], None]) -> None:
        self._folder, self._give_up = folder, give_up
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
        """Raises: Stopped where the run was asked to stop, Terminated where the process was."""
        if self._folder.stop_requested():
            raise Stopped("The run was asked to stop.")
        if self._terminated.is_set():
            raise Terminated("The worker was told to end.")

    def _watch(self) -> None:
        while not self._folder.stop_requested() and not self._terminated.wait(_POLL_SECONDS):
            pass
        threading.Event().wait(_PATIENCE_SECONDS)
        reach("watchdog")
        if self._ending.acquire(blocking=False):
            try:
                if self._folder.stop_requested():
                    self._give_up()
            finally:
                os._exit(1)
