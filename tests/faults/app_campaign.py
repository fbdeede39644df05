"""The app, its worker or both are killed on the way from an archive to a finished run.

Used by ``test_kills`` and ``benchmarks/kills.py``. The app is a process as in ``app.py``; after
each kill what is on disk is looked at as the next app would find it, and then there is a next app.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from covidcore.config import Settings
from covidcore.data import index, pixels
from covidcore.data.sources import resolve
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.store import RunStore
from covidcore.training.recipe import Recipe
from tests.conftest import ROOT
from tests.data.zips import zip_folder
from tests.faults.wholeness import assert_readable, remains
from tests.runs import DEADLINE, assert_same_results, kill_worker, trained, wait_until, worker_pid

WHO = ("app", "worker", "both")
_STAY = (".lock", ".sqlite-journal")
"""Empty, or played back by whoever opens the index next."""


@dataclass
class AppCampaign:
    """``whole`` is the folder of the run that nobody stopped."""

    home: Path
    archive: Path
    recipe: Recipe
    run: str
    whole: Path
    fingerprint: str
    images: int
    pictures: int
    """What the archive holds: the images, and masks beside them."""
    longest: float
    """Seconds that it takes from the archive to the end."""
    finished: int = 0
    struck: list[tuple[str, str]] = field(default_factory=list)
    """Who was killed, and what was being done."""

    @classmethod
    def of(cls, phantoms: Path, scratch: Path, recipe: Recipe) -> "AppCampaign":
        """Of an archive of the phantoms, and of a run of what it holds, under the same names."""
        archive = zip_folder(phantoms, scratch / f"{phantoms.name}.zip")
        unpacked = resolve(str(archive), Settings(home=scratch / "unpacked")).root
        whole = trained(unpacked, recipe)
        return cls(
            scratch / "home of the app",
            archive,
            recipe,
            whole.run,
            whole.folder,
            whole.dataset.fingerprint,
            len(whole.dataset.index),
            len(list(unpacked.rglob("*.png"))),
            (whole.store.info(whole.run).seconds or 0) + 2,
        )

    @property
    def folder(self) -> Path:
        """Of the run."""
        return self.home / "runs" / self.run

    def kills(self, count: int, seed: int) -> Iterator[tuple[str, str]]:
        """Each kill: who, and at what; what must hold is asserted."""
        draw = random.Random(seed)
        with _Apps(self.home, self.archive, self.recipe) as apps:
            while len(self.struck) < count:
                if self._one(apps, draw.choice(WHO), draw):
                    yield self.struck[-1]
            self._to_the_end(apps)

    def _one(self, apps: "_Apps", who: str, draw: random.Random) -> bool:
        """Whether somebody was killed; it may have come to its end before that."""
        app = apps.going()
        left = draw.uniform(0, self.longest if draw.random() < 0.7 else 0.15 * self.longest)
        _wait(lambda: apps.ended(), left)
        at, killed = self._doing(), False
        if who != "worker" and not apps.ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(app, signal.SIGKILL)
                killed = True
        if who != "app":
            killed = kill_worker(self.folder) or killed
        if who != "worker":
            apps.wait()
        self._assert_whole()
        if killed:
            self.struck.append((who, at))
        self._begin_anew_if_done(apps)
        return killed

    def _to_the_end(self, apps: "_Apps") -> None:
        apps.going()
        assert apps.wait() == 0
        self._begin_anew_if_done(apps)
        assert self.finished

    def _begin_anew_if_done(self, apps: "_Apps") -> None:
        store = RunStore(Settings(home=self.home))
        if not self.folder.exists() or store.info(self.run).state is not State.DONE:
            return
        assert apps.ended() or apps.wait() == 0
        wait_until(lambda: not RunFolder(self.folder).locked(), "the worker to go")
        assert_same_results(self.folder, self.whole)
        left = [path for path in remains(self.home) if not path.name.endswith(_STAY)]
        assert not left, left
        shutil.rmtree(self.home)
        self.finished += 1

    def _assert_whole(self) -> None:
        """What the next app finds: nothing half-made, and everything that was finished."""
        settings = Settings(home=self.home)
        imports = self.home / "imports"
        shown = [path for path in imports.glob("[!.]*")] if imports.is_dir() else []
        for folder in shown:
            found = len(list(folder.rglob("*.png")))
            assert found == self.pictures, f"{folder} holds {found} pictures"
        for info in index.known(self.home):
            assert info.fingerprint == self.fingerprint
            dataset = index.load(info.fingerprint, self.home)
            assert len(dataset.index) == self.images
            for size in (self.recipe.image_size, 224):
                if pixels.is_stored(dataset, size, self.home):
                    assert len(pixels.pixel_array(dataset, size, self.home)) == self.images
        assert_readable(self.home)
        store = RunStore(settings)
        for info in store.list():
            assert info.run == self.run
            assert info.state in (State.QUEUED, State.RUNNING, State.INTERRUPTED, State.DONE)
            assert len(store.history(info.run)) <= info.epochs
            if info.state is State.DONE:
                assert store.evaluation(info.run)["n"]
        assert not store.lost

    def _doing(self) -> str:
        """What was going on, from what is on disk."""
        if not any((self.home / "imports").glob("[!.]*")):
            return "importing the archive"
        if not index.known(self.home):
            return "reading images, indexing"
        if not self.folder.exists():
            return "submitting"
        folder = RunFolder(self.folder)
        state = str(folder.status().get("state"))
        if state == State.QUEUED:
            return "in the queue"
        if state == State.DONE:
            return "after the end"
        asides = [path.name[1:].rpartition("-")[0] for path in remains(self.home)]
        if asides and not asides[0].startswith("ballast"):
            return f"writing {'features' if len(asides[0]) == 20 else asides[0]}"
        last = (folder.events() or [{}])[-1]
        if last.get("event") == "start" or worker_pid(self.folder) is None:
            return "starting the worker"
        return str(last.get("phase", "between epochs")).split(" 1 of ")[0]


class _Apps:
    """One after the other, from one process that forks them."""

    def __init__(self, home: Path, archive: Path, recipe: Recipe) -> None:
        words = [str(home), str(archive), json.dumps(recipe.to_json())]
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.app", *words],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._child, self._end = 0, threading.Event()
        self._status = 0

    def __enter__(self) -> "_Apps":
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait(60)

    def going(self) -> int:
        """The number of the one that is at work; a new one where the last has ended."""
        if self._child and not self.ended():
            return self._child
        assert self._server.stdin and self._server.stdout
        self._server.stdin.write("go\n")
        self._server.stdin.flush()
        self._child, self._end = int(self._server.stdout.readline()), threading.Event()
        threading.Thread(target=self._listen, args=(self._end,), daemon=True).start()
        return self._child

    def _listen(self, end: threading.Event) -> None:
        assert self._server.stdout
        self._status = int(self._server.stdout.readline().split()[1])
        end.set()

    def ended(self) -> bool:
        """Whether it is gone."""
        return self._end.is_set()

    def wait(self) -> int:
        """Until it is gone; its status."""
        assert self._end.wait(DEADLINE), "the app does not end"
        return self._status

    def kill(self) -> None:
        """If it is still there."""
        if self._child and not self.ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            self.wait()


def _wait(reached: "threading.Event | object", seconds: float) -> None:
    """Until ``reached()`` or so many seconds are over."""
    pause, until = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < until and not reached():  # type: ignore[operator]
        pause.wait(0.01)
