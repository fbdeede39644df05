"""The audit as a process: it is followed, stopped and started again from disk alone."""

from pathlib import Path

import pytest

from covidcore.data import audit_process
from covidcore.data.audit import STEPS, SplitSettings, doing, stored
from covidcore.data.index import Dataset, scan
from tests.runs import wait_until


@pytest.fixture
def dataset(phantoms: Path, home: Path) -> Dataset:
    return scan(phantoms, home)


def ended(dataset: Dataset, home: Path) -> audit_process.State:
    work = audit_process.task(dataset.fingerprint, home)
    wait_until(lambda: not work.running, "the audit's end")
    return audit_process.state(dataset, home)


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The next process waits before its audit gets its name; this is there once it does."""
    monkeypatch.setenv("COVIDCORE_FAILPOINTS", str(tmp_path))
    (tmp_path / "write audit.json").write_text("1")
    return tmp_path / "write audit.json.reached"


def test_it_is_made_once_and_read_by_whoever_looks(dataset: Dataset, home: Path) -> None:
    assert audit_process.state(dataset, home).phase == "absent"
    audit_process.start(dataset, home)
    assert ended(dataset, home) == audit_process.State("done", STEPS)
    document = stored(dataset, home)
    assert document is not None and document["images"] == 36
    # Another split of the same images: what was measured is not measured again.
    other = SplitSettings("60/20/20", group_by="both")
    assert audit_process.state(dataset, home, other).phase == "absent"
    audit_process.start(dataset, home, other)
    ended(dataset, home)
    found = stored(dataset, home, other)
    assert found is not None and found["split"]["group_by"] == "both"
    assert found["seconds"] == document["seconds"]


def test_it_is_followed_stopped_and_begun_again(dataset: Dataset, home: Path, held: Path) -> None:
    audit_process.start(dataset, home)
    log = audit_process.task(dataset.fingerprint, home).log
    before = log.stat().st_ino, log.stat().st_mtime_ns
    audit_process.start(dataset, home)  # the second one follows the first
    assert (log.stat().st_ino, log.stat().st_mtime_ns) == before
    wait_until(held.exists, "the last moment before the end")
    now = audit_process.state(dataset, home)
    assert now.phase == "running" and 0 < now.done < STEPS and now.doing == doing(now.done)
    audit_process.stop(dataset, home)
    assert ended(dataset, home).phase == "stopped"
    assert stored(dataset, home) is None
    audit_process.start(dataset, home)
    assert ended(dataset, home).phase == "done"


def test_why_it_failed_is_told(dataset: Dataset, home: Path) -> None:
    chosen = SplitSettings(exclude_sources=("Mars",))
    audit_process.start(dataset, home, chosen)
    assert ended(dataset, home) == audit_process.State(
        "failed", message="The dataset has no source “Mars” that could be excluded."
    )
    audit_process.start(dataset, home)
    assert ended(dataset, home).phase == "done"


def test_a_process_that_comes_second_does_nothing(dataset: Dataset, home: Path) -> None:
    work = audit_process.task(dataset.fingerprint, home)
    work.path.mkdir(parents=True)
    with work.at_work() as mine:
        assert mine
        assert audit_process.state(dataset, home).phase == "running"
        assert audit_process.main(str(home), dataset.fingerprint, "{}") == 0
    assert stored(dataset, home) is None


def test_every_step_has_its_words() -> None:
    said = [doing(step) for step in range(STEPS)]
    assert all(said) and len(set(said)) == 6
    assert doing(STEPS) == ""
