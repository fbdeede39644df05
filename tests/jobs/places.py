"""The places where the contract of runners is tried: this machine, and clusters."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from covidcore.failpoints import VARIABLE
from covidcore.jobs.folder import RunFolder
from tests.jobs.fake_ray import FakeRay
from tests.jobs.real_ray import RealRay
from tests.runs import kill_worker, wait_until, worker_pid


class Place(Protocol):
    """Somewhere runs are worked on, one at a time."""

    runner: str
    """As in ``COVIDCORE_RUNNER``."""
    version: str
    """How it begins to tell its version."""

    def kill(self) -> None:
        """A power cut: the place and every worker are gone."""
        ...

    def up(self) -> None:
        """Switch it on again."""
        ...


@dataclass
class Local:
    """This machine; a power cut takes its workers."""

    home: Path
    runner: str = "local"
    version: str = ""

    def kill(self) -> None:
        for folder in (self.home / "runs").iterdir():
            kill_worker(folder)

    def up(self) -> None:
        pass


@dataclass
class Cluster:
    """A Ray cluster, real or not, on this machine."""

    cluster: FakeRay | RealRay
    home: Path
    version: str = "Ray 2."

    @property
    def runner(self) -> str:
        return self.cluster.runner

    def kill(self) -> None:
        self.cluster.kill()
        for folder in (self.home / "runs").iterdir():
            wait_until(lambda one=folder: not RunFolder(one).locked(), "the workers to be gone")

    def up(self) -> None:
        self.cluster.up()


class Failpoints:
    """Moments at which a worker is held (``covidcore.failpoints``)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {VARIABLE: str(folder)}

    def arm(self, name: str, passage: int = 1) -> None:
        self.disarm(name)
        (self.folder / name).write_text(str(passage))

    def disarm(self, name: str) -> None:
        for file in (name, f"{name}.reached"):
            (self.folder / file).unlink(missing_ok=True)

    def wait(self, name: str) -> None:
        wait_until((self.folder / f"{name}.reached").exists, f"a worker to come to “{name}”")

    def release(self, name: str) -> None:
        (self.folder / f"{name}.reached").unlink()


def worker_gone(folder: Path) -> None:
    wait_until(lambda: worker_pid(folder) is None, "the process to be gone")
