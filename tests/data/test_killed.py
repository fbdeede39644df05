"""Imports killed at twenty random moments: not there, or whole; and the next try goes on.

Of zip archives the same is tested in ``test_archives``.
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.index import scan
from covidcore.data.joining import join
from covidcore.data.kaggle import parse, state
from covidcore.data.kaggle_folder import Folder
from covidcore.data.layout import LEFT_OUT
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.data.sources import resolve
from tests.conftest import ROOT, MakeDataset
from tests.data.fake_kaggle import FakeKaggle
from tests.data.zips import zip_folder

KILLS = 20
Kill = Callable[..., tuple[str, float]]


@pytest.fixture
def kill(home: Path, tmp_path: Path) -> Iterator[Kill]:
    """Start a job in a process of its own, and kill it after some seconds if it lives so long."""
    with contextlib.ExitStack() as stack:
        yield Killer(home, tmp_path, stack)


class Killer:
    """The process of ``killed``, started with the first job."""

    def __init__(self, home: Path, scratch: Path, stack: contextlib.ExitStack) -> None:
        self.home, self.scratch, self.stack = home, scratch, stack
        self.process: subprocess.Popen[str] | None = None

    def __call__(self, what: str, seconds: float = 120, **more: object) -> tuple[str, float]:
        """How it ended, and after how many seconds."""
        process = self.process = self.process or self._start()
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps({"what": what, "seconds": seconds, **more}) + "\n")
        process.stdin.flush()
        how, status, lasted = process.stdout.readline().split()
        assert (how, status) in (("done", "0"), ("killed", "9"))
        return how, float(lasted)

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.data.killed", str(self.home)],
            cwd=ROOT,
            env={**os.environ, "HOME": str(self.scratch), "KAGGLE_LOGGING_ENABLED": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.stack.callback(process.wait, 60)
        assert process.stdin
        self.stack.callback(process.stdin.close)
        return process


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def visible(folder: Path) -> list[str]:
    """What people and programs see in a folder that may not be there."""
    names = (path.name for path in folder.glob("*")) if folder.is_dir() else ()
    return sorted(name for name in names if not name.startswith("."))


def whole_or_not_there(
    kill: Kill, what: str, to: Path, expected: dict[str, bytes], **more: object
) -> None:
    """Kill it within the time that it took once, and see twenty times what is left."""
    how, lasted = kill(what, to=str(to), **more)
    assert (how, tree(to)) == ("done", expected)
    chance, cut_short = random.Random(4), 0
    for _ in range(KILLS):
        shutil.rmtree(to, ignore_errors=True)
        kill(what, chance.uniform(0, lasted), to=str(to), **more)
        assert visible(to.parent) in ([], [to.name])
        if to.exists():
            assert tree(to) == expected
        else:
            cut_short += 1
    assert cut_short >= KILLS // 4, "the kills came too late to tell anything"
    shutil.rmtree(to, ignore_errors=True)
    assert kill(what, to=str(to), **more)[0] == "done"
    assert tree(to) == expected
    assert [path for path in to.parent.iterdir() if path.is_dir()] == [to]


def test_phantoms(kill: Kill, tmp_path: Path) -> None:
    expected = tree(write(PhantomSpec(images=18, size=64), tmp_path / "expected"))
    whole_or_not_there(kill, "phantoms", tmp_path / "drawn/phantoms", expected)


def test_folders_that_are_joined(
    kill: Kill, make_dataset: MakeDataset, home: Path, tmp_path: Path
) -> None:
    one = scan(make_dataset({"a": 5, "b": 5}, inner="images", masks=True), home)
    expected = tree(join([one, one], {}, tmp_path / "expected"))
    assert len(expected) == 41
    to = tmp_path / "joined/both"
    whole_or_not_there(kill, "join", to, expected, dataset=one.fingerprint)


@pytest.fixture
def server(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeKaggle]:
    """An archive that takes a while to come and to unpack."""
    pytest.importorskip("kagglehub", reason="kagglehub (requirements.txt) is not installed")
    source = make_dataset({"COVID": 8, "Normal": 8}, inner="images", masks=True)
    (source / "COVID/images/noise.png").write_bytes(random.Random(0).randbytes(3 << 20))
    fake = FakeKaggle(zip_folder(source, tmp_path / "bundle.zip").read_bytes())
    fake.be_found(monkeypatch)
    yield fake
    fake.close()


def test_a_download_from_kaggle(kill: Kill, server: FakeKaggle, home: Path) -> None:
    """Nothing of it is seen as a dataset, and what has arrived stays."""
    server.pace = 0.02
    folder, settings = Folder(parse("kaggle"), Settings(home=home)), Settings(home=home)
    _, lasted = kill("download")
    assert folder.archive(3).read_bytes() == server.archive
    folder.archive(3).unlink()
    chance, arrived = random.Random(4), 0
    for _ in range(KILLS):
        how, _ = kill("download", chance.uniform(lasted / 4, lasted))
        assert not (home / "imports").exists()
        now = state("kaggle", settings)
        if how == "done":
            assert now.phase == "downloaded"
            folder.archive(3).unlink()
            arrived = 0
        else:
            assert now.phase in ("absent", "stopped", "downloaded")
            there = folder.part(3).stat().st_size if folder.part(3).exists() else 0
            assert there >= arrived or now.phase == "downloaded"
            arrived = there
    assert kill("download")[0] == "done"
    assert folder.archive(3).read_bytes() == server.archive
    assert any(call["range"] for call in server.calls("files"))


def test_what_kaggle_sent(kill: Kill, server: FakeKaggle, home: Path, tmp_path: Path) -> None:
    """Unpacked, read and noted down: killed on the way, it is there whole, or not at all."""
    settings, imports = Settings(home=home), home / "imports"
    folder, expected = Folder(parse("kaggle"), settings), tree(tmp_path / "set")
    folder.path.mkdir(parents=True)

    def arrive() -> None:
        shutil.rmtree(imports, ignore_errors=True)
        folder.record(3).unlink(missing_ok=True)
        folder.archive(3).write_bytes(server.archive)

    arrive()
    _, lasted = kill("kaggle")
    chance, cut_short = random.Random(4), 0
    arrive()
    for _ in range(KILLS):
        kill("kaggle", chance.uniform(0, lasted))
        assert len(visible(imports)) <= 1
        for name in visible(imports):
            assert {**tree(imports / name), LEFT_OUT: b""} == {**expected, LEFT_OUT: b""}
            arrive()
        cut_short += not visible(imports)
    assert kill("kaggle")[0] == "done"
    assert state("kaggle", settings).phase == "imported"
    assert server.asked == []
    assert scan(tmp_path / "set", home).fingerprint == resolve("kaggle", settings).fingerprint
