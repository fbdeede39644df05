"""The queue: which run is handed to which runner, and when; the state of every run.

No service runs it. Whoever asks for the list of runs, and every worker that ends, moves it on
under a lock. What has been handed over is on disk, so any process can go on with it.
"""

import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from filelock import FileLock

from covidcore import storage
from covidcore.config import Settings
from covidcore.errors import DataError, RunError
from covidcore.jobs.catalogue import Catalogue, Look
from covidcore.jobs.folder import Presence, RunFolder, State, derive_state, now
from covidcore.jobs.runners import (
    LocalRunner,
    Runner,
    RunnerUnavailable,
    could_not_start,
    open_runner,
)

_LAST_MOMENT_SECONDS = 5.0
_SILENCE_SECONDS = 2.0
"""How long a runner that did not answer is left alone, or every look would wait for it."""

_LOST = "The cluster lost the run before it began, or had no room for too long: it waits again."

_T = TypeVar("_T")


@dataclass(frozen=True)
class Handover:
    """To whom an attempt was given, and under which key."""

    attempt: int
    runner: str
    key: str


class Queue:
    """The runs of one home that wait, run and have ended.

    ``indexed``: ended runs are looked up in the home's index, which is not for workers.
    """

    def __init__(self, settings: Settings, indexed: bool = False) -> None:
        self._settings = settings
        self.folder = settings.home / "runs"
        self._catalogue = Catalogue(self.folder, indexed)
        self._runners: dict[str, Runner] = {"local": LocalRunner(settings)}
        self._problems: dict[str, tuple[float, str]] = {}

    @property
    def problem(self) -> str:
        """Why a runner did not answer the last time it was asked; empty where all did."""
        return " ".join(text for _, text in self._problems.values())

    @property
    def runner(self) -> Runner:
        """Where new attempts run.

        Raises: RecipeError where ``COVIDCORE_RUNNER`` names no runner.
        """
        return self._runner(self._settings.runner)

    def _runner(self, name: str) -> Runner:
        if name not in self._runners:
            self._runners[name] = open_runner(name, self._settings)
        return self._runners[name]

    def folders(self, prefix: str = "") -> list[RunFolder]:
        """Every run of this home whose id begins with ``prefix``."""
        if not self.folder.is_dir():
            return []
        paths = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        found = [path for path in paths if path.name.startswith(prefix) and not path.is_symlink()]
        return [RunFolder(path) for path in found if (path / "job.json").is_file()]

    def state(self, folder: RunFolder) -> State:
        """Where a run stands now."""
        status = folder.status()
        written = str(status.get("state"))
        if written in (State.DONE, State.FAILED, State.CANCELLED):
            return State(written)
        handover = self._handover(folder, status)
        if handover is None and folder.locked():
            return State.RUNNING
        presence = Presence.GONE
        if handover is not None:
            presence = self._presence(folder, handover, written)
        if presence in (Presence.GONE, Presence.LOST):
            # The worker may have ended between the two looks: what it wrote last counts.
            written = str(folder.status().get("state"))
        state = derive_state(written, presence, handover is not None)
        if state is State.INTERRUPTED and written == State.QUEUED and self._may_be_false(handover):
            return State.QUEUED  # it ended before it began: ``advance`` finds out why
        return state

    def put(self, folder: RunFolder) -> None:
        """Make a run wait; the caller holds the submit lock, and no worker has the run."""
        # A worker that has just written its end still holds the lock for a moment.
        deadline, pause = time.monotonic() + _LAST_MOMENT_SECONDS, threading.Event()
        while folder.locked() and time.monotonic() < deadline:
            pause.wait(0.02)
        attempt = folder.attempt() + 1
        folder.cancel_file.unlink(missing_ok=True)
        moment = now()
        order = f"{self._last_in_line(moment)} {folder.run}"  # no two alike, for they are exchanged
        waiting = {"submitted": moment, "order": order, "attempt": attempt, "message": ""}
        storage.write_json(folder.status_file, {"state": State.QUEUED.value, **waiting})

    def _last_in_line(self, moment: str) -> str:
        """This moment, or one later than those of all who wait: a clock may be set back."""
        latest = max((str(one.status().get("order")) for one in self.waiting()), default="")
        before = latest.partition(" ")[0]
        return f"{before}+" if before >= moment else moment

    def waiting(self, look: Look | None = None) -> list[RunFolder]:
        """Runs that wait on this machine, in the order in which they will start."""
        waiting = [
            folder
            for folder in (look or self._catalogue.look()).active
            if self.state(folder) is State.QUEUED and not self._handover(folder, folder.status())
        ]
        return sorted(waiting, key=lambda folder: str(folder.status().get("order")))

    def move(self, folder: RunFolder, places: int) -> None:
        """Move a waiting run ``places`` forward (negative) or back in the order.

        Raises: RunError where it does not wait here.
        """
        with self.locked():
            line = self.waiting()
            at = next((i for i, other in enumerate(line) if other.run == folder.run), None)
            if at is None:
                raise RunError(f"The run {folder.run} does not wait in the queue.")
            orders = [str(other.status().get("order")) for other in line]
            line.insert(max(0, min(len(line) - 1, at + places)), line.pop(at))
            for other, order in zip(line, orders, strict=True):
                other.write_status(State.QUEUED, order=order)

    def stop(self, folder: RunFolder) -> State:
        """Ask a run to stop; one that waits is cancelled at once. Returns the state it was in."""
        with self.locked():
            state = self.state(folder)
            if state.ended:
                return state
            folder.ask_to_stop()
            status = folder.status()
            handover = self._handover(folder, status)
            if handover is not None:
                self._ask(handover.runner, lambda runner: runner.stop(folder), None)
            if state is State.QUEUED:
                folder.write_status(State.CANCELLED, finished=now())
        return state

    def advance(self) -> Look:
        """Hand over what may start now; returns the runs that there are.

        Where the home can only be read, nothing is handed over.
        """
        if not os.access(self.folder, os.W_OK):
            return self._catalogue.look()
        with self.locked():
            look = self._catalogue.look()
            self._take_note_of_false_starts(look)
            if waiting := self.waiting(look):
                self._start(waiting, look)
        return look

    def _start(self, waiting: list[RunFolder], look: Look) -> None:
        runner = self.runner
        room = len(waiting)
        if not runner.queues:
            busy = [runner.status(folder) is not Presence.GONE for folder in look.active]
            slots = 1 if self._settings.demo else self._settings.slots
            room = slots - sum(busy)
        for folder in waiting[: max(0, room)]:
            if not self._hand_over(runner, folder):
                return

    def _take_note_of_false_starts(self, look: Look) -> None:
        """A worker that was handed over and ended before it began has failed; say why.

        Where its runner lost it (a cluster was started anew), the run waits here again, in its old
        place of the order; the next attempt has another number, so the lost one can do nothing.
        """
        for folder in look.active:
            status = folder.status()
            handover = self._handover(folder, status)
            if status.get("state") != State.QUEUED or not self._may_be_false(handover):
                continue
            presence = self._presence(folder, handover, State.QUEUED)
            if folder.status().get("state") != State.QUEUED:
                continue  # it began, and may have ended, between the two looks
            if presence is Presence.LOST:
                again = {"attempt": handover.attempt + 1, "message": _LOST}
                folder.write_status(State.QUEUED, **again)
            elif presence is Presence.GONE:
                output = self._ask(handover.runner, functools.partial(_output, folder), "")
                folder.write_status(State.FAILED, message=could_not_start(output), finished=now())

    def _may_be_false(self, handover: Handover | None) -> TypeGuard[Handover]:
        """Whether its runner starts workers later; the others wait until the worker has begun."""
        return handover is not None and self._runner(handover.runner).queues

    def _hand_over(self, runner: Runner, folder: RunFolder) -> bool:
        """Whether the runner answered; else the run stays in the queue until it does."""
        try:
            key = self._ask(runner.name, lambda one: one.submit(folder), "")
        except RunError as error:
            folder.write_status(State.FAILED, message=str(error), finished=now())
            return True
        if not key:
            return False
        handover = {"attempt": folder.attempt(), "runner": runner.name, "key": key}
        storage.write_json(folder.handover, handover)
        return True

    def _handover(self, folder: RunFolder, status: dict[str, Any]) -> Handover | None:
        """To whom the present attempt was given; None where it still waits here."""
        try:
            handover = Handover(**storage.read_json(folder.handover))
        except (DataError, TypeError):
            return None
        return handover if handover.attempt == status.get("attempt") else None

    def _presence(self, folder: RunFolder, handover: Handover, written: str) -> Presence:
        known = Presence.RUNNING if written == State.RUNNING else Presence.WAITING
        return self._ask(handover.runner, lambda runner: runner.status(folder), known)

    def _ask(self, name: str, question: Callable[[Runner], _T], unanswered: _T) -> _T:
        """What a runner says; ``unanswered`` where it does not, which becomes the problem told."""
        silent, _ = self._problems.get(name, (-_SILENCE_SECONDS, ""))
        if time.monotonic() - silent < _SILENCE_SECONDS:
            return unanswered
        try:
            answer = question(self._runner(name))
        except RunnerUnavailable as error:
            self._problems[name] = (time.monotonic(), str(error))
            return unanswered
        self._problems.pop(name, None)
        return answer

    @contextlib.contextmanager
    def locked(self, name: str = "queue") -> Iterator[None]:
        """Keep other processes from changing the queue (or, as ``submit``, from adding runs).

        Raises: DataError where the home can not be written to.
        """
        path: Path = self.folder / f".{name}.lock"
        with _turn(str(path)):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                lock = FileLock(path)
                lock.acquire()
            except OSError as error:
                reason = f"{self.folder} can not be written to: {error.strerror}."
                raise DataError(reason) from error
            try:
                yield
            finally:
                lock.release()


_turns: dict[str, threading.Lock] = {}


def _turn(path: str) -> threading.Lock:
    """Of the threads of this process, a server's sessions: who waits for a file only polls it."""
    return _turns.setdefault(path, threading.Lock())


def _output(folder: RunFolder, runner: Runner) -> str:
    return runner.logs(folder)[0]


if __name__ == "__main__":
    Queue(Settings.from_environment()).advance()
