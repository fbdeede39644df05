"""A store of its own for each test, whose workers are gone when the test is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.index import Dataset, scan
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from tests.runs import Trained, kill_worker, trained


@pytest.fixture
def store(settings: Settings) -> Iterator[RunStore]:
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
    return scan(phantoms, home)


@pytest.fixture
def finished(phantoms: Path) -> Trained:
    """One finished run for all tests; not to be written to."""
    return trained(phantoms)
