"""Where workers run: one interface, and the runner for this machine.

A runner starts the worker of a run folder, knows whether it is there, stops it and reads what it
said. It decides nothing about a run: states come from ``folder.derive_state``, the queue from the
store.
"""

import subprocess
import sys
import threading
import time
from typing import Protocol

from covidcore.config import Settings, child_environment
from covidcore.errors import RecipeError, RunError
from covidcore.jobs.folder import Presence, RunFolder

START_SECONDS = 60.0


class RunnerUnavailable(RunError):
    """The place does not answer; what was asked may be asked again later."""


class Runner(Protocol):
    """A place where workers run. A run is known by its folder, before and after a restart."""

    name: str
    """As in ``COVIDCORE_RUNNER``; written into each run that is handed over."""
    queues: bool
    """Whether it makes jobs wait by itself; else the store hands over one after another."""

    def submit(self, folder: RunFolder) -> str:
        """Hand the run over; returns the key of this attempt.

        Raises: RunError where the worker can not be started, with the cause in a sentence.
        """
        ...

    def status(self, folder: RunFolder) -> Presence:
        """Whether the run's worker is there now.

        Raises: RunError where the place does not answer.
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
                last = next((line for line in reversed(folder.tail()) if line.strip()), "nothing")
                raise RunError(f"The worker could not be started. Its last line: {last}")
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
    """What is run, here or elsewhere; under torchrun where the recipe wants several processes."""
    workers = int(folder.read_job()["recipe"].get("workers", 1))
    worker = ["-m", "covidcore.jobs.worker", str(folder.path)]
    if workers == 1:
        return [python, *worker]
    launch = ["-m", "torch.distributed.run", "--standalone", "--max-restarts=3"]
    return [python, *launch, f"--nproc-per-node={workers}", *worker]
