"""A store of its own for each test, whose workers are gone when the test is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from tests.jobs.fake_ray import fake_ray
from tests.jobs.places import Cluster, Failpoints, Local, Place
from tests.jobs.real_ray import RealRay, real_ray
from tests.once import scanned
from tests.runs import Trained, kill_worker, trained


@pytest.fixture(scope="session")
def ray_head() -> Iterator[RealRay]:
    """One real cluster for all tests; skipped where there is no Ray."""
    with real_ray() as cluster:
        yield cluster


PLACES = [
    "local",
    pytest.param("fake_ray", marks=pytest.mark.campaign),
    pytest.param("real_ray", marks=pytest.mark.ray),
]


@pytest.fixture(params=PLACES)
def place(
    request: pytest.FixtureRequest, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Each place where runs are worked on, with room for one."""
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    if request.param == "local":
        yield Local(home)
    elif request.param == "fake_ray":
        (tmp_path / "cluster").mkdir()
        with fake_ray(tmp_path / "cluster", cpus=1) as cluster:
            yield Cluster(cluster, home)
    else:
        head: RealRay = request.getfixturevalue("ray_head")
        monkeypatch.setenv("RAY_AUTH_TOKEN", head.token)
        yield Cluster(head, home)


@pytest.fixture
def failpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Failpoints:
    (tmp_path / "failpoints").mkdir()
    failpoints = Failpoints(tmp_path / "failpoints")
    for name, value in failpoints.environment.items():
        monkeypatch.setenv(name, value)
    return failpoints


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that this test starts wait half a second an epoch instead of training."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "idle"))


@pytest.fixture
def store(settings: Settings) -> Iterator[RunStore]:
    """Runs on this machine."""
    yield from store_until_the_end(settings)


def store_until_the_end(settings: Settings) -> Iterator[RunStore]:
    store = RunStore(settings)
    yield store
    for folder in store.queue.folders():  # first, so that no worker's end starts another
        if store.queue.state(folder) is State.QUEUED:
            folder.write_status(State.CANCELLED)
    for folder in store.queue.folders():
        kill_worker(folder.path)


@pytest.fixture
def dataset(phantoms: Path, home: Path) -> Dataset:
    """The phantoms, known in this test's home."""
    return scanned(phantoms, home)


@pytest.fixture
def finished(phantoms: Path) -> Trained:
    """One finished run for all tests; not to be written to."""
    return trained(phantoms)
