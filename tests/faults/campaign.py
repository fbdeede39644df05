"""Kills at random moments: a run is killed, resumed and killed again until it is done.

Used by the test of 25 kills and by ``benchmarks/kills.py``. Half of the moments are random in time
and half in progress: after so many changes of the run's files, for on a slow machine most of the
time is the import of torch.
"""

import contextlib
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from covidcore.data.index import Dataset, dataset_folder
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.store import RunStore
from covidcore.training.recipe import Recipe
from tests.faults.wholeness import READERS, assert_whole, remains
from tests.runs import DEADLINE, assert_same_results, wait_for_end, wait_until, worker_pid

_POLL_SECONDS = 0.006
_SMALL = (".json", ".csv")  # read at every change while the worker runs, too
_MOST_CHANGES = 24  # of files; in a whole run there are some more


@dataclass(frozen=True)
class Moment:
    """When to kill: after so many changes of files, and then so many seconds."""

    changes: int
    seconds: float


@dataclass
class Killer(threading.Thread):
    """Kills the next worker of a run, at a moment of its life."""

    folder: Path
    caches: Path
    moment: Moment
    killed: bool = False
    errors: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        pause, deadline = threading.Event(), time.monotonic() + DEADLINE
        while (pid := worker_pid(self.folder)) is None and time.monotonic() < deadline:
            pause.wait(_POLL_SECONDS)
        if pid is None:
            return
        changes, before = -1, None
        while changes < self.moment.changes and self._works(pid):
            now = self._look()
            changes, before = changes + (now != before), now
            pause.wait(_POLL_SECONDS)
        pause.wait(self.moment.seconds)
        if self._works(pid):
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(pid, signal.SIGKILL)
                self.killed = True

    def _works(self, pid: int) -> bool:
        """Whether the process is there and no zombie; without a look at all the others."""
        command = Path(f"/proc/{pid}/cmdline")
        if not command.parent.parent.is_dir():
            return worker_pid(self.folder) == pid
        with contextlib.suppress(OSError):
            return str(self.folder).encode() in command.read_bytes()
        return False

    def _look(self) -> list[tuple[str, int]]:
        """Names and sizes now; what is small is read, for a worker's files are never half there."""
        found = []
        for path in (*self.folder.glob("*"), *self.caches.rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                found.append((path.name, path.stat().st_size if path.name == "log.txt" else 0))
                if path.suffix in _SMALL and not path.name.startswith("."):
                    data = path.read_bytes()
                    try:
                        READERS[path.suffix](data)
                    except Exception as error:
                        self.errors.append(error)
        return sorted(found)


@dataclass
class Campaign:
    """One run in a store of its own, killed again and again; ``whole`` was never stopped."""

    store: RunStore
    dataset: Dataset
    recipe: Recipe
    run: str
    whole: Path
    longest: float
    """Seconds that an attempt takes at most."""
    finished: int = 0
    """How often the run came to its end; then it is begun anew."""

    def __post_init__(self) -> None:
        self.folder = self.store.settings.home / "runs" / self.run
        self.caches = dataset_folder(self.store.settings.home, self.dataset.fingerprint)

    def kills(self, count: int, seed: int) -> Iterator[tuple[str, bool]]:
        """Where each kill struck, and whether the run was done; what must hold is asserted."""
        draw, struck, begin = random.Random(seed), 0, self._anew
        while struck < count:
            killed, where = self._attempt(begin, _moment(draw, self.longest))
            struck += killed
            state = assert_whole(self.store, self.run, (State.INTERRUPTED, State.DONE))
            if state is State.DONE:
                assert_same_results(self.folder, self.whole)
                self.finished += 1
            if killed:
                yield where, state is State.DONE
            begin = self._anew if state is State.DONE else self._resume

    def finish(self) -> None:
        """Let the run come to its end, which has to be that of the run that nobody stopped."""
        if self.store.info(self.run).state is not State.DONE:
            self._resume()
            self.finished += 1
        assert wait_for_end(self.store, self.run) is State.DONE, self.store.log_tail(self.run)
        wait_until(lambda: not RunFolder(self.folder).locked(), "the worker to go")
        assert_same_results(self.folder, self.whole)
        left = remains(self.folder) + remains(self.caches)
        assert not left, "what killed workers were writing is swept up"

    def _attempt(self, begin: Callable[[], None], moment: Moment) -> tuple[bool, str]:
        left_before = set(self._asides())
        killer = Killer(self.folder, self.caches, moment)
        killer.start()
        begin()  # waits until the worker has begun, which it may never do
        killer.join()
        wait_until(lambda: worker_pid(self.folder) is None, "the worker to be gone")
        wait_until(lambda: not RunFolder(self.folder).locked(), "the kernel to free the lock")
        assert not killer.errors, killer.errors
        return killer.killed, self._where(set(self._asides()) - left_before)

    def _anew(self) -> None:
        """From the beginning, with nothing in store."""
        if self.folder.exists():
            self.store.remove(self.run)
        for path in (*self.caches.glob("pixels*"), *self.caches.glob(".pixels*")):
            path.unlink()
        shutil.rmtree(self.caches / "activations", ignore_errors=True)
        assert self.store.submit(self.recipe, self.dataset).run == self.run

    def _resume(self) -> None:
        self.store.resume(self.run)

    def _asides(self) -> list[Path]:
        found = [*self.folder.glob(".*-*"), *self.caches.rglob(".*-*")]
        return [path for path in found if not path.name.startswith(".ballast")]

    def _where(self, asides: set[Path]) -> str:
        """What the worker was doing when it died, from what it left."""
        folder = RunFolder(self.folder)
        for path in asides:
            name = path.name[1:].rpartition("-")[0]
            if path.parent == folder.path:
                return f"writing {name}"
            return "reading images" if name.startswith("pixels") else "computing features"
        written = str(folder.status().get("state"))
        if written != State.RUNNING:
            return "after the end" if written == State.DONE else "being handed over"
        last = folder.events()[-1]
        if last["event"] == "start":
            return "importing torch"
        return str(last.get("phase", "between epochs")).split(" 1 of ")[0]


def _moment(draw: random.Random, longest: float) -> Moment:
    if draw.random() < 0.5:
        return Moment(-1, draw.uniform(0, 0.8 * longest))
    return Moment(draw.randint(0, _MOST_CHANGES), draw.uniform(0, 0.02))
