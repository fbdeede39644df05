"""Where workers run: one interface, and the runner for this machine.

A runner starts the worker of a run folder, knows whether it is there, stops it and reads what it
said. It decides nothing about a run: states come from ``folder.derive_state``, the order from the
queue.
"""

import platform
import subprocess
import sys
import threading
import time
from typing import Protocol

from covidcore.config import Settings, child_environment
from covidcore.errors import RecipeError, RunError
from covidcore.jobs.causes import of_a_false_start
from covidcore.jobs.folder import Presence, RunFolder

START_SECONDS = 60.0


class RunnerUnavailable(RunError):
    """The place does not answer; what was asked may be asked again later."""


class Runner(Protocol):
    """A place where workers run. A run is known by its folder, before and after a restart."""

    name: str
    """As in ``COVIDCORE_RUNNER``; written into each run that is handed over."""
    queues: bool
    """Whether it makes jobs wait by itself; else the queue hands over one after another."""

    def submit(self, folder: RunFolder) -> str:
        """Hand the run over; returns the key of this attempt.

        Raises: RunError where the worker can not be started, with the cause in a sentence;
        RunnerUnavailable where the place does not answer.
        """
        ...

    def status(self, folder: RunFolder) -> Presence:
        """Whether the run's worker is there now.

        Raises: RunnerUnavailable where the place does not answer.
        """
        ...

    def stop(self, folder: RunFolder) -> None:
        """Make the worker end; it keeps its last checkpoint. Returns at once."""
        ...

    def logs(self, folder: RunFolder, offset: int = 0) -> tuple[str, int]:
        """What the worker said from ``offset`` on, and the offset to go on from."""
        ...

    def list(self) -> dict[str, Presence]:
        """The runs whose workers are there or waiting."""
        ...

    def version(self) -> str:
        """What the place calls itself.

        Raises: RunnerUnavailable where it does not answer.
        """
        ...


class LocalRunner:
    """Workers as processes of this machine that outlive whoever started them."""

    name = "local"
    queues = False

    def __init__(self, settings: Settings) -> None:
        self._runs = settings.home / "runs"

    def submit(self, folder: RunFolder) -> str:
        """Start a process and wait until it holds the run's lock.

        It has a session of its own: it lives on when the app, its terminal or the tab is closed.
        """
        before = self.logs(folder)[1]  # what earlier attempts said is not this one's
        with folder.log.open("ab") as log:
            process = subprocess.Popen(
                worker_command(folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**child_environment(), "PYTHONUNBUFFERED": "1"},
            )
        # Someone has to take note of the worker's end, or it stays a zombie of a long-lived app.
        threading.Thread(target=process.wait, daemon=True).start()
        deadline, pause = time.monotonic() + START_SECONDS, threading.Event()
        while not folder.begun() and time.monotonic() < deadline:
            if process.poll() is not None and not folder.begun():
                if process.returncode < 0:
                    break  # killed: an interrupted run, as if it had begun
                raise RunError(could_not_start(self.logs(folder, before)[0]))
            pause.wait(0.02)
        return f"local-{process.pid}"

    def status(self, folder: RunFolder) -> Presence:
        """Running while the lock is held: the kernel frees it however the worker ends."""
        return Presence.RUNNING if folder.locked() else Presence.GONE

    def stop(self, folder: RunFolder) -> None:
        """Leave the file that the worker's watchdog looks for; it acts within two seconds."""
        folder.ask_to_stop()

    def logs(self, folder: RunFolder, offset: int = 0) -> tuple[str, int]:
        """The log file from ``offset`` on."""
        try:
            with folder.log.open("rb") as file:
                file.seek(offset)
                data = file.read()
        except OSError:
            return "", offset
        return data.decode("utf-8", "replace"), offset + len(data)

    def list(self) -> dict[str, Presence]:
        """Runs of this home whose lock is held."""
        folders = [RunFolder(path.parent) for path in self._runs.glob("*/lock")]
        return {folder.run: Presence.RUNNING for folder in folders if folder.locked()}

    def version(self) -> str:
        """The system's name."""
        return platform.platform(terse=True)


def open_runner(name: str, settings: Settings) -> Runner:
    """The runner that ``COVIDCORE_RUNNER`` names.

    Raises: RecipeError where there is none of that name.
    """
    if name == "local":
        return LocalRunner(settings)
    if name.startswith("ray:"):
        from covidcore.jobs.ray import RayRunner

        return RayRunner(name, settings)
    raise RecipeError(f"COVIDCORE_RUNNER is “{name}”: use local, or ray:http://host:8265.")


def worker_command(folder: RunFolder, python: str = sys.executable) -> list[str]:
    """What is run, here or elsewhere, for the present attempt."""
    return [python, "-m", "covidcore.jobs.worker", str(folder.path), str(folder.attempt())]


def could_not_start(output: str) -> str:
    """The sentence for a worker that ended before it began, from what it printed."""
    return of_a_false_start(output)
