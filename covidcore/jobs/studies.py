"""Longer questions about a finished run, each answered by a process of its own and kept with it.

A study is a result file in the run's folder, and beside it the folder of its process
(`data.background`). Knows no torch; what the processes do is in ``*_process.py``.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from covidcore import storage
from covidcore.data.background import Task
from covidcore.errors import DataError, RunError, Stopped
from covidcore.jobs.folder import RunFolder

Phase = Literal["absent", "running", "stopped", "failed", "done"]

Report = Callable[[str, int, int], None]
"""What is being done, how much of it, of how much (0: not known)."""

_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Standing:
    """How far a study is."""

    phase: Phase
    doing: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    """Where it failed: why."""


class Study:
    """One question, of a run or (None) of none: where its answer is, the process that finds it."""

    def __init__(
        self,
        run: RunFolder | None,
        result: Path,
        stamp: dict[str, Any],
        module: str,
        *arguments: str,
    ) -> None:
        self.result, self.stamp = result, stamp
        """``stamp``: what the answer depends on beside its name; another stamp is no answer."""
        self._command = (module, *arguments)
        self._task = Task(result.with_suffix(""), of=run.job if run else None)

    def stored(self) -> dict[str, Any] | None:
        """The answer where it was found before, else None."""
        return read_result(self.result, self.stamp)

    def standing(self) -> Standing:
        """Whether it is answered, under way, stopped or failed; read from disk."""
        running = self._task.running  # before the rest: who has ended in between has written it
        status = self._task.read_status()
        if running:
            doing, done, total = (status.get(name) for name in ("doing", "done", "total"))
            return Standing("running", str(doing or "Starting"), int(done or 0), int(total or 0))
        if self.stored() is not None:
            return Standing("done")
        if not status:
            return Standing("absent")
        message = str(status.get("message") or "")
        ended = bool(status.get("ended"))
        return Standing("failed" if message else "absent" if ended else "stopped", message=message)

    def start(self) -> None:
        """Look for the answer, unless it is there or a process is at it.

        Returns once that works. Raises: DataError where it can not be started.
        """
        if self.stored() is None:
            module, *arguments = self._command
            self._task.start(module, *arguments)

    def stop(self) -> None:
        """Ask the process to end; nothing that is half done is kept."""
        self._task.stop()

    def follow(self, report: Report) -> dict[str, Any]:
        """The answer, waited for; starts the process, or follows the one that is at it.

        An interrupt stops the process too. Raises: DataError where it failed, Stopped where
        somebody stopped it.
        """
        self.start()
        pause = threading.Event()
        try:
            while (now := self.standing()).phase == "running":
                report(now.doing, now.done, now.total)
                pause.wait(_LOOK_SECONDS)
        except KeyboardInterrupt:
            self.stop()
            raise
        found = self.stored()
        if found is not None:
            return found
        if now.message:
            raise DataError(now.message)
        raise Stopped("It was stopped before its end; nothing was kept of it.")

    def work(self, answer: Callable[[Report], dict[str, Any]]) -> int:
        """For its process: answer, and keep the answer; does nothing where another is at it.

        What ``answer`` raises on purpose is written down as a sentence. Returns an exit status.
        """

        def report(doing: str, done: int, total: int) -> None:
            self._task.report(doing, done=done, total=total)

        def find() -> None:
            if self.stored() is not None:
                return
            report("Starting", 0, 0)
            document = answer(report)
            self._task.check_wanted()
            storage.write_json(self.result, {**document, "stamp": self.stamp})
            self._task.write_status(ended=True)

        return self._task.work(find)


def read_result(path: Path, stamp: dict[str, Any]) -> dict[str, Any] | None:
    """What a study wrote, where it is whole and of this ``stamp``."""
    try:
        found = storage.read_json(path)
    except DataError:
        return None
    if not isinstance(found, dict) or found.get("stamp") != storage.plain(stamp):
        return None
    return found


def stamp_of_checkpoint(folder: RunFolder, version: int) -> dict[str, Any]:
    """What an answer depends on that comes from the run's own model: that very checkpoint.

    ``version`` is of what is measured. Raises: RunError where the run has no model.
    """
    try:
        checkpoint = storage.read_json(folder.contract)["sha256"]
    except (DataError, KeyError, TypeError) as error:
        raise RunError(
            f"The run {folder.run} has no model: wait for its end, or resume it."
        ) from error
    return {"version": version, "checkpoint": checkpoint}
