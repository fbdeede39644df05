"""Folders that appear whole or not at all, and what becomes of those that died on the way."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from covidcore.data import staging as module
from covidcore.data.staging import publish, staging, sweep
from covidcore.errors import DataError, Stopped
from tests.conftest import ROOT

CHILD = """
import os, signal, sys
from pathlib import Path
from covidcore.data.staging import staging
with staging(Path(sys.argv[1]), sys.argv[2]) as folder:
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def kill_one(to: Path, key: str = "") -> None:
    """Let a process die in the middle of staging."""
    done = subprocess.run([sys.executable, "-c", CHILD, str(to), key], cwd=ROOT, check=False)
    assert done.returncode < 0


@pytest.mark.parametrize("files", [1, module._MANY + 1])
@pytest.mark.parametrize("key", ["", "key"])
def test_it_appears_at_the_end(tmp_path: Path, key: str, files: int) -> None:
    to = tmp_path / "deep/set"
    with staging(to, key) as folder:
        for number in range(files):
            (folder / f"{number}").write_text("whole")
        assert not to.exists()
        assert all(name.startswith(".") for name in names(to.parent))
        publish(folder, to)
    assert names(to.parent) == ["set"]
    assert len(names(to)) == files


@pytest.mark.parametrize("key", ["", "key"])
@pytest.mark.parametrize("error", [DataError("no."), OSError(28, "No space left on device")])
def test_an_error_leaves_nothing(tmp_path: Path, key: str, error: Exception) -> None:
    with pytest.raises(DataError), staging(tmp_path / "set", key) as folder:
        (folder / "file").write_text("half")
        raise error
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [Stopped("enough"), KeyboardInterrupt()])
def test_an_interrupt_leaves_what_can_be_gone_on_with(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), staging(tmp_path / "set") as folder:
        raise error
    assert names(tmp_path) == []
    with pytest.raises(type(error)), staging(tmp_path / "set", "key") as folder:
        (folder / "file").write_text("half")
        raise error
    with staging(tmp_path / "set", "key") as again:
        assert again == folder
        assert names(again) == ["file"]
    assert names(tmp_path) == []


def test_what_the_dead_left_is_cleared_away(tmp_path: Path) -> None:
    kill_one(tmp_path / "set")
    assert len(names(tmp_path)) == 2
    (tmp_path / ".mine").mkdir()
    (tmp_path / ".mine.lock").touch()
    with staging(tmp_path / "other") as folder:
        assert names(tmp_path) == sorted(
            [".mine", ".mine.lock", folder.name, f"{folder.name}.lock"]
        )
    assert names(tmp_path) == [".mine", ".mine.lock"]


def test_what_can_be_gone_on_with_is_kept_for_a_week(tmp_path: Path) -> None:
    kill_one(tmp_path / "set", "key")
    sweep(tmp_path)
    folder = tmp_path / ".key.kept"
    assert names(folder) == ["half"]
    eight_days_ago = time.time() - 8 * 24 * 3600
    os.utime(folder, (eight_days_ago, eight_days_ago))
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_what_is_at_work_is_left_alone(tmp_path: Path) -> None:
    with staging(tmp_path / "set") as folder, staging(tmp_path / "kept", "key") as kept:
        for one in (folder, kept):
            os.utime(one, (0, 0))
        sweep(tmp_path)
        assert folder.is_dir()
        assert kept.is_dir()


def test_a_place_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with staging(tmp_path / "set") as folder:
        (folder / "file").touch()
        publish(folder, tmp_path / "set")  # an empty folder gives way
    with (
        pytest.raises(DataError, match="could not be made: Directory not empty"),
        staging(tmp_path / "set") as folder,
    ):
        publish(folder, tmp_path / "set")
    assert names(tmp_path) == ["set"]
    assert names(tmp_path / "set") == ["file"]
    with (
        pytest.raises(DataError, match="could not be made: Not a directory"),
        staging(tmp_path / "set/file/below"),
    ):
        pass
