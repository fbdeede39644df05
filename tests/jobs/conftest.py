"""A store of its own for each test, whose workers are gone when the test is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.index import Dataset, scan
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.store import RunStore
from tests.runs import Trained, kill_worker, trained


@pytest.fixture
def store(settings: Settings) -> Iterator[RunStore]:
    store = RunStore(settings)
    yield store
    folders = [path for path in store.folder.glob("[!.]*") if path.is_dir()]
    for path in folders:  # first, so that the end of one worker does not start another
        if RunFolder(path).state() is State.QUEUED:
            RunFolder(path).write_status(State.CANCELLED)
    for path in folders:
        kill_worker(path)


@pytest.fixture
def dataset(phantoms: Path, home: Path) -> Dataset:
    """The phantoms, known in this test's home."""
    return scan(phantoms, home)


@pytest.fixture
def finished(phantoms: Path) -> Trained:
    """One finished run for all tests; not to be written to."""
    return trained(phantoms)
