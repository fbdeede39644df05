"""A full disk: told before a run, and in the middle of one a sentence; then it goes on."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from covidcore.config import Settings
from covidcore.data.index import Dataset, scan
from covidcore.data.means import pixel_statistics
from covidcore.data.pixels import pixel_array
from covidcore.data.sources import resolve
from covidcore.errors import CovidcoreError, DataError
from covidcore.evaluation.operating import OperatingPoint
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.store import RunStore
from tests.data.zips import zip_folder
from tests.faults.conftest import Saboteur
from tests.faults.wholeness import TINY, assert_readable, assert_whole, remains
from tests.once import scanned
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


@dataclass(frozen=True)
class Deed:
    """Something that an app does and that writes."""

    prepare: Callable[[Settings, Path], Any]
    do: Callable[[Settings, Any], Any]


def an_archive(settings: Settings, phantoms: Path) -> Path:
    settings.home.mkdir()
    return zip_folder(phantoms, settings.home.parent / "phantoms.zip")


def a_run(settings: Settings, phantoms: Path) -> RunStore:
    store = RunStore(replace(settings, slots=0))
    store.submit(TINY, scanned(phantoms, settings.home))
    return store


DEEDS = {
    "import": Deed(an_archive, lambda settings, file: resolve(str(file), settings).fingerprint),
    "index": Deed(
        lambda settings, phantoms: phantoms,
        lambda settings, phantoms: scan(phantoms, settings.home).fingerprint,
    ),
    "pixel cache": Deed(
        lambda settings, phantoms: scanned(phantoms, settings.home),
        lambda settings, dataset: pixel_array(dataset, 64, settings.home).tobytes(),
    ),
    "statistics": Deed(
        lambda settings, phantoms: scanned(phantoms, settings.home),
        lambda settings, dataset: pixel_statistics(dataset, settings.home).mean.tobytes(),
    ),
    "queue": Deed(a_run, lambda settings, store: [store.move(store.waiting()[0], 1), store.list()]),
    "operating point": Deed(
        a_run, lambda settings, store: store.save_operating(store.waiting()[0], OperatingPoint())
    ),
}


@pytest.mark.parametrize("name", DEEDS)
def test_whatever_an_app_does_on_a_full_disk_is_a_sentence_and_works_when_there_is_room(
    disk: Disk, settings: Settings, phantoms: Path, name: str
) -> None:
    deed = DEEDS[name]
    given, failed = deed.prepare(settings, phantoms), 0
    for pages in (0, 1, 2, 5, 12, 30, 80, 200):
        used = os.statvfs(disk.path)
        disk.resize((max(used.f_blocks - used.f_bfree, 8) + pages) * used.f_frsize)
        try:
            deed.do(settings, given)
        except CovidcoreError as error:
            failed += 1
            assert str(disk.path) in str(error), error
            assert re.search(r"No space left on device|[\d.]+ MB left: make room", str(error)), (
                error
            )
            assert str(error).endswith(".")
        assert_readable(disk.path)
        left = [path for path in remains(disk.path) if not path.name.endswith(".lock")]
        assert not left, pages
    assert failed or name == "queue", "the disk was never full"
    disk.resize(ROOMY)
    found = deed.do(settings, given)
    assert found == deed.do(settings, given)
