"""A run is a folder; this is the one place that knows the names of the files in it."""

import contextlib
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from covidcore import sealed, storage
from covidcore.errors import DataError, RecipeError, RunError
from covidcore.jobs import history
from covidcore.training.recipe import Recipe

IMPORTED = "imported"
"""In a job file: a model that somebody brought in (`jobs.imports`), done without any worker."""

_TAIL_BYTES = 1 << 16
_WRITING_SECONDS = 60.0  # far longer than a small file takes


class State(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to the run unless somebody asks for it."""
        return self not in (State.QUEUED, State.RUNNING)


class Presence(StrEnum):
    """Whether there is a worker."""

    WAITING = "waiting"
    """Handed over; it will start when there is room."""
    RUNNING = "running"
    GONE = "gone"
    """It has ended, or was never started."""
    LOST = "lost"
    """It is gone, and its place knows nothing of it (any more): it may be handed over anew."""


def derive_state(written: str, presence: Presence, handed_over: bool = False) -> State:
    """The state of a run from what its status file says and whether its worker is there.

    ``handed_over``: a runner was given this attempt. A worker that is gone without having
    written an end was interrupted, whatever it was doing; a run that no runner was given, or that
    its runner lost before it began, waits.
    """
    try:
        state = State(written)
    except ValueError:
        state = State.INTERRUPTED
    if state in (State.DONE, State.FAILED, State.CANCELLED):
        return state
    if presence is Presence.RUNNING:
        return State.RUNNING
    if presence is Presence.WAITING:
        return State.QUEUED
    waits = presence is Presence.LOST or not handed_over
    return State.QUEUED if state is State.QUEUED and waits else State.INTERRUPTED


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class RunFolder:
    """Paths, and the small files that the store and the worker exchange."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path.name
        self.job = path / "job.json"
        self.split = path / "split.csv"
        self.status_file = path / "status.json"
        self.history = path / "history.csv"
        self.log = path / "log.txt"
        self.last = path / "last.safetensors"
        self.failure = path / "failure.json"
        self.predictions = path / "predictions.parquet"
        self.report = path / "report.json"
        self.lock = path / "lock"
        self.cancel_file = path / "cancel"
        self.handover = path / "handover.json"
        self.openings = path / "opened.json"
        self.outside = path / "outside"
        self.folds = path / "folds"
        self.stress = path / "stress.json"
        self.tensors = path / "best.safetensors"
        self.contract = path / "contract.json"
        self.familiar = path / "familiar.safetensors"
        self.known = path / "known.safetensors"
        self.operating = path / "operating.json"
        self._artefacts = (
            self.split,
            self.history,
            self.predictions,
            self.report,
            self.tensors,
            self.contract,
        )
        self._newer_artefacts = (self.familiar, self.known)
        """Which runs of earlier versions do not have, and are whole without."""

    def read_job(self) -> dict[str, Any]:
        """What was asked for: recipe, dataset, weights, name, created.

        Of an imported model what its contract says of that, None where it says nothing.
        Raises: RunError where the file is missing or damaged.
        """
        try:
            job = dict(storage.read_json(self.job))
            if job.get("kind") != IMPORTED or job["recipe"] is not None:
                Recipe.from_json(job["recipe"])
            missing = {"dataset", "classes", "split", "weights"} - set(job)
        except (DataError, RecipeError, KeyError, TypeError, ValueError) as error:
            raise RunError(self._lost("can not be read")) from error
        if missing:
            raise RunError(self._lost("is not complete"))
        return job

    def _lost(self, why: str) -> str:
        return (
            f"The run {self.run} is damaged: its job.json {why}. Submit the same recipe on the "
            "same dataset again (or import the same model), which finds all that is there; or "
            "remove the run."
        )

    def is_lost(self) -> bool:
        """Whether there is a folder, and no telling of what: its job file is gone or damaged."""
        try:
            self.read_job()
        except RunError:
            return self.path.is_dir()
        return False

    def is_imported(self) -> bool:
        """Whether it is a model that was brought in: no images, history or figures of its own."""
        try:
            return bool(storage.read_json(self.job)["kind"] == IMPORTED)
        except (DataError, KeyError, TypeError):
            return False

    def limit_seconds(self) -> float | None:
        """How long a worker may take at the run, where that has a limit (in a public demo)."""
        try:
            return float(storage.read_json(self.job)["limit_seconds"])
        except (DataError, KeyError, TypeError, ValueError):
            return None

    def status(self) -> dict[str, Any]:
        """What the worker last wrote; an unreadable file reads as an interrupted run."""
        try:
            return dict(storage.read_json(self.status_file))
        except (DataError, TypeError, ValueError):
            return {"state": "", "message": "The run's status file can not be read."}

    def write_status(self, state: State, **values: Any) -> None:
        """Replace the status; ``values`` are added to what was there."""
        storage.write_json(self.status_file, {**self.status(), **values, "state": state.value})

    def attempt(self) -> int:
        """How often the run was queued; each time is a worker of its own."""
        return int(self.status().get("attempt") or 0)

    def sweep(self) -> None:
        """Remove what an earlier worker was writing when it was killed; for the lock's holder."""
        # Those the queue, or somebody at a page, may be writing just now.
        others = (".status", ".cancel", ".handover", ".opened", ".operating")
        for path in self.path.glob(".*-*"):
            with contextlib.suppress(FileNotFoundError):
                age = time.time() - path.stat().st_mtime
                if not path.name.startswith(others) or age > _WRITING_SECONDS:
                    path.unlink()

    def begun(self) -> bool:
        """Whether this attempt's worker has got as far as to take the lock."""
        return self.locked() or self.status().get("state") != State.QUEUED.value

    def hash_artefacts(self) -> dict[str, str]:
        """SHA-256 of each file that a finished run is made of."""
        paths = (*self._artefacts, *self._newer_artefacts)
        return {path.name: storage.sha256_file(path) for path in paths}

    def hash_model(self) -> dict[str, str]:
        """SHA-256 of each file that a model is made of: a run without what it was measured on."""
        paths = (self.tensors, self.contract, self.familiar, self.known)
        return {path.name: storage.sha256_file(path) for path in paths if path.exists()}

    def damaged(self) -> list[str]:
        """Which files of a finished run are not as the worker left them."""
        written = self.status().get("artefacts") or {}
        found = []
        newer = [path for path in self._newer_artefacts if path.name in written]
        whole = (self.tensors, self.contract) if self.is_imported() else self._artefacts
        for path in (*whole, *newer):
            if path.name not in written or not self.is_as_left(path):
                found.append(path.name)
        return found

    def is_as_left(self, path: Path) -> bool:
        """Whether a file is as the worker left it; one that is in no finished result is."""
        written = self.status().get("artefacts") or {}
        try:
            if path.name not in written:
                return True
            found = sealed.once_while_it_stays(path, storage.sha256_file)
            return bool(found == written[path.name])
        except OSError:
            return False

    def ask_to_stop(self) -> None:
        """Leave the file that the worker looks for."""
        storage.write_bytes(self.cancel_file, b"")

    def stop_requested(self) -> bool:
        """Whether somebody asked the worker to end."""
        return self.cancel_file.exists()

    def locked(self) -> bool:
        """Whether a worker holds the run's lock."""
        return storage.is_held(self.lock)

    def epochs_done(self) -> int:
        """Epochs in the history so far."""
        return history.count(self.history)

    def events(self) -> list[dict[str, Any]]:
        """The last events of the log; lines that are none, or damaged, are passed over."""
        found: list[dict[str, Any]] = []
        for line in self.tail():
            if line.startswith("{"):
                with contextlib.suppress(ValueError):
                    found.append(sealed.parse(line.encode()))
        return found

    def tail(self) -> list[str]:
        """The log's last lines (64 KiB of it)."""
        try:
            with self.log.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _TAIL_BYTES))
                return file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return []
