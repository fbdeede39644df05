"""A full disk: told before a run, and in the middle of one a sentence; then it goes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.errors import DataError
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.store import RunStore
from tests.faults.conftest import Saboteur
from tests.faults.wholeness import TINY, assert_whole, remains
from tests.runs import Trained, assert_same_results, wait_for_end, wait_until

ROOMY = 320 << 20


@dataclass
class Disk:
    """A tmpfs, whose size can be changed."""

    path: Path

    def resize(self, size: int) -> None:
        command = ["mount", "-o", f"remount,size={size}", str(self.path)]
        subprocess.run(command, check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("only root may mount the small disk that this test fills")
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOMY}", "none", str(path)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine lets not even root mount a small disk: {done.stderr.strip()}")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def home(disk: Disk) -> Path:
    return disk.path / "home"


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_filled_in_the_middle_a_run_fails_with_a_sentence_and_goes_on_when_there_is_room(
    disk: Disk, store: RunStore, dataset: Dataset, whole: Trained, saboteur: Saboteur
) -> None:
    """At every file that it writes, the last bytes of the disk are taken."""
    run = whole.run
    folder = store.settings.home / "runs" / run
    for name, needs in (
        ("split.csv", False),
        ("pixels-32.npy", True),
        ("*[0-9a-f].npy", True),
        ("history.csv", False),
        ("last.safetensors", True),
        ("predictions.parquet", False),
        ("best.safetensors", True),
        ("contract.json", False),
    ):
        saboteur.plan("fill", at=f"create {name}", disk=str(disk.path))
        if folder.exists():
            store.resume(run)
        else:
            store.submit(TINY, dataset)
        wait_until(lambda: not RunFolder(folder).locked(), "the worker to be gone")
        assert saboteur.reached, name
        assert assert_whole(store, run, (State.FAILED,)) is State.FAILED
        message = store.info(run).message
        assert str(disk.path) in message
        assert message.count("No space left on device") == 1
        assert ("MB are left)" in message) == needs, message
        assert message.endswith("Make room on that disk, then resume the run: it goes on from "
                                "its last checkpoint.")  # fmt: skip
        assert not remains(store.settings.home), name
        disk.resize(ROOMY)
    saboteur.rest()
    store.resume(run)
    assert wait_for_end(store, run) is State.DONE, store.info(run).message
    assert_same_results(folder, whole.folder)


def test_full_before_the_worker_has_written_a_word(
    disk: Disk, store: RunStore, dataset: Dataset, whole: Trained, saboteur: Saboteur
) -> None:
    saboteur.plan("fill", at="start", disk=str(disk.path))
    with pytest.raises(DataError, match=r"/(status|handover)\.json could not be written: No space"):
        store.submit(TINY, dataset)
    wait_until(lambda: not RunFolder(store.path(whole.run)).locked(), "the worker to be gone")
    saboteur.rest()
    assert store.info(whole.run).state is State.QUEUED  # and starts when somebody looks
    disk.resize(ROOMY)
    store.advance()
    assert wait_for_end(store, whole.run) is State.DONE, store.info(whole.run).message
    assert_same_results(store.path(whole.run), whole.folder)


def test_a_disk_that_is_too_small_is_told_before_the_run(
    disk: Disk, store: RunStore, dataset: Dataset, settings: Settings
) -> None:
    disk.resize(16 << 20)
    with pytest.raises(DataError, match=r"needs about 0\.3 GB, and the disk of .* has 0\.0 GB"):
        store.submit(TINY, dataset)
    assert store.list() == []
    assert not remains(settings.home)
