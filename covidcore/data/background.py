"""Work in a process of its own, which outlives the page that asked for it.

While it is at work it holds a lock, which the kernel frees however it ends; how far it is stands
in a file. So whoever looks, from any process, sees the same, and nobody starts it a second time.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from covidcore import storage
from covidcore.config import child_environment
from covidcore.errors import DataError

_LOOK_SECONDS = 0.2
_LOOKERS_SECONDS = 1.0


class Task:
    """The files of one piece of work, in a folder of its own; the only place that names them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = path / "lock"
        self.cancel = path / "cancel"
        self.log = path / "log.txt"
        self._status = path / "status.json"

    @property
    def running(self) -> bool:
        """Whether a process is at work on it now."""
        return storage.is_held(self.lock)

    def read_status(self) -> dict[str, Any]:
        """What the last process wrote; empty where there was none, or its file is damaged."""
        with contextlib.suppress(DataError):
            status = storage.read_json(self._status)
            if isinstance(status, dict):
                return status
        return {}

    def write_status(self, **values: Any) -> None:
        """For the process that holds the lock."""
        storage.write_json(self._status, values)

    def start(self, module: str, *arguments: str) -> None:
        """Run ``python -m module arguments``, unless a process is at work on it.

        Returns once it holds the lock, or has ended. Raises: DataError where it can not be started.
        """
        if self.running:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.cancel.unlink(missing_ok=True)
            process = self._spawn((sys.executable, "-m", module, *arguments))
        except OSError as error:
            raise DataError(f"The process can not be started: {error.strerror}.") from error
        threading.Thread(target=process.wait, daemon=True).start()  # no zombie is left
        pause = threading.Event()
        while not self.running and process.poll() is None:
            pause.wait(_LOOK_SECONDS / 4)

    def _spawn(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command,
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # it outlives the page, the command and the server
            )

    def stop(self) -> None:
        """Ask the process to end, where there is one."""
        if self.running:
            storage.write_bytes(self.cancel, b"")

    @contextlib.contextmanager
    def at_work(self) -> Iterator[bool]:
        """Hold the lock, and end this process once somebody asks for it.

        False where another process is at work: then there is nothing to do.
        """
        lock = FileLock(self.lock)
        try:
            # Somebody who only looks whether it is held is gone in a moment.
            lock.acquire(timeout=_LOOKERS_SECONDS)
        except Timeout:
            yield False
            return
        with lock:
            threading.Thread(target=self._watch, daemon=True).start()
            yield True

    def _watch(self) -> None:
        pause = threading.Event()
        while not self.cancel.exists():
            pause.wait(_LOOK_SECONDS)
        with contextlib.suppress(OSError):
            self.cancel.unlink()
        os._exit(1)  # whatever it is waiting for; files are renamed into place whole, or not at all
