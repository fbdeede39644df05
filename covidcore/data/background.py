"""Work in a process of its own, which outlives the page that asked for it.

While it is at work it holds a lock, which the kernel frees however it ends; how far it is stands
in a file. So whoever looks, from any process, sees the same, and nobody starts it a second time.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from covidcore import storage
from covidcore.config import DEMO_WORK, Settings, child_environment
from covidcore.errors import CovidcoreError, DataError, Stopped

_NICENESS = 10
_LOOK_SECONDS = 0.2
_LOOKERS_SECONDS = 1.0
_REPORT_SECONDS = 0.5


def step_back() -> None:
    """Let the app, which has to answer while this process works, go first."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(max(0, _NICENESS - os.nice(0)))  # the child of such a process is nice already
    # Where Linux groups processes by session, niceness counts within the process's own session
    # only, in which there is nobody else: the session has to be nice itself. Not somebody else's,
    # such as that of a terminal.
    if os.name != "posix" or os.getsid(0) != os.getpid():
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICENESS))


class Task:
    """The files of one piece of work, in a folder of its own; the only place that names them.

    ``of`` is a file of what the work is about: once that is removed nothing is written any more,
    which would bring its folder back. ``in_demo``: it may be started in a public demo, where
    visitors could else start as many processes as there are questions.
    """

    def __init__(self, path: Path, of: Path | None = None, in_demo: bool = False) -> None:
        self._of, self._in_demo = of, in_demo
        self._reported, self._said = 0.0, ""
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
        """For the process that holds the lock.

        Raises: Stopped where what the work is about was removed.
        """
        self.check_wanted()
        storage.write_json(self._status, values)

    def report(self, doing: str = "", **values: Any) -> None:
        """Write down how far it is: twice a second at most, as each time waits for the disk."""
        now = time.monotonic()
        if now - self._reported > _REPORT_SECONDS or doing != self._said:
            self._reported, self._said = now, doing
            self.write_status(doing=doing, **values)

    def check_wanted(self) -> None:
        """Raises: Stopped where what the work is about was removed."""
        if self._of is not None and not self._of.is_file():
            raise Stopped("What it was about was removed.")

    def start(self, module: str, *arguments: str) -> None:
        """Run ``python -m module arguments``, unless a process is at work on it.

        Returns once it holds the lock, or has ended. Raises: DataError where it can not be started,
        and in a public demo.
        """
        if self.running:
            return
        if not self._in_demo and Settings.from_environment().demo:
            raise DataError(DEMO_WORK)
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

    def work(self, do: Callable[[], object]) -> int:
        """For its process: ``do`` it, unless another is at it; why it failed is written down.

        Returns an exit status.
        """
        step_back()
        with self.at_work() as mine:
            if not mine:
                return 0
            try:
                do()
            except CovidcoreError as error:
                return self._failed(str(error))
            except Exception as error:  # whatever it is, a page has to show it
                traceback.print_exc()
                return self._failed(f"It failed ({type(error).__name__}); more is in {self.log}.")
        return 0

    def _failed(self, message: str) -> int:
        with contextlib.suppress(Stopped):
            self.write_status(message=message)
        return 1

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
