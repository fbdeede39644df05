"""The audit in a process of its own: ``python -m covidcore.data.audit_process HOME DATASET SPLIT``.

DATASET is a fingerprint, SPLIT is JSON. How far it is, and why it failed, is read from disk.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from covidcore.data.audit import STEPS, SplitSettings, audit, doing, stored
from covidcore.data.background import Task
from covidcore.data.index import Dataset, dataset_folder, load

Phase = Literal["absent", "running", "stopped", "failed", "done"]


@dataclass(frozen=True)
class State:
    """How far the audit of a dataset and a split is."""

    phase: Phase
    done: int = 0
    """Steps of ``audit.STEPS``."""
    doing: str = ""
    """What is being done, for a bar."""
    seconds: float = 0.0
    """Since it was started, at its last report."""
    message: str = ""
    """Where it failed: why."""


def task(fingerprint: str, home: Path) -> Task:
    """One audit a dataset at a time."""
    return Task(dataset_folder(home, fingerprint) / "auditing")


def start(dataset: Dataset, home: Path, chosen: SplitSettings | None = None) -> None:
    """Measure what is not known yet, unless a process is at it.

    Returns once it works. Raises: DataError where it can not be started.
    """
    split = json.dumps(asdict(chosen or SplitSettings()))
    task(dataset.fingerprint, home).start(__name__, str(home), dataset.fingerprint, split)


def stop(dataset: Dataset, home: Path) -> None:
    """Ask the process to end; nothing that is half measured is kept."""
    task(dataset.fingerprint, home).stop()


def state(dataset: Dataset, home: Path, chosen: SplitSettings | None = None) -> State:
    """Whether it is known, under way, stopped or failed; read from disk."""
    work = task(dataset.fingerprint, home)
    running = work.running  # before the status: who has ended in between has written it
    status = work.read_status()
    if running:
        done = int(status.get("done") or 0)
        return State("running", done, doing(done), float(status.get("seconds") or 0))
    if stored(dataset, home, chosen) is not None:
        return State("done", STEPS)
    if not status:
        return State("absent")
    message = str(status.get("message") or "")
    phase: Phase = "failed" if message else "absent" if status.get("done") == STEPS else "stopped"
    return State(phase, message=message)


def main(home: str, fingerprint: str, split: str) -> int:
    """Audit one dataset; does nothing where another process is at it."""
    work, began = task(fingerprint, Path(home)), time.monotonic()

    def report(done: int, total: int) -> None:
        # All of it is done once it is kept: a process that is stopped before that has not finished.
        done = min(done, total - 1)
        work.report(done=done, seconds=round(time.monotonic() - began, 1))

    def measure() -> None:
        report(0, STEPS)
        audit(load(fingerprint, Path(home)), Path(home), _settings(split), report)
        work.write_status(done=STEPS)

    return work.work(measure)


def _settings(text: str) -> SplitSettings:
    fields = json.loads(text)
    return SplitSettings(**fields | {"exclude_sources": tuple(fields["exclude_sources"])})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
