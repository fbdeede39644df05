"""A store of its own for each test, and means to harm its workers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from covidcore.config import Settings
from covidcore.jobs.folder import State
from tests.faults.wholeness import TINY
from tests.jobs.conftest import dataset, store
from tests.runs import Trained, trained, write_run

__all__ = ["dataset", "store"]  # fixtures


ODD = 'it\'s “a” "home"\nwith $(echo) `two` lines; & * ? [x] {y} %41 #z \\ Ünïcode '
"""A folder's name."""


@dataclass
class Saboteur:
    """Harms the programs that are started from here on (see ``saboteur/sitecustomize.py``)."""

    record: Path
    patch: pytest.MonkeyPatch

    def plan(self, do: str, at: str, program: str = "covidcore.jobs.worker", **values: Any) -> None:
        self.record.unlink(missing_ok=True)
        plan = {"do": do, "at": at, "program": program, "record": str(self.record), **values}
        self.patch.setenv("SABOTAGE", json.dumps(plan))
        self.patch.setenv("PYTHONPATH", str(Path(__file__).parent / "saboteur"))

    def rest(self) -> None:
        self.patch.delenv("SABOTAGE")

    @property
    def reached(self) -> list[str]:
        """The moments at which harm was done."""
        return self.record.read_text().splitlines() if self.record.exists() else []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in an odd place: what holds here holds anywhere."""
    return tmp_path / ODD


@pytest.fixture
def saboteur(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saboteur:
    return Saboteur(tmp_path / "sabotage", monkeypatch)


@pytest.fixture
def whole(phantoms: Path) -> Trained:
    """The run of ``TINY`` that nobody stopped."""
    return trained(phantoms, TINY)


@pytest.fixture
def busy(settings: Settings) -> Iterator[FileLock]:
    """As if another worker were there: until it is released, runs that are submitted wait."""
    folder = write_run(settings.home, "another", State.RUNNING)
    with FileLock(folder.lock) as lock:
        yield lock
