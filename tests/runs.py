"""Small real runs: recipes of seconds, one finished run for many tests, waiting with a deadline."""

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import safe_open

from covidcore.config import Settings
from covidcore.data.index import Dataset, load
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.store import RunStore
from covidcore.jobs.stress import stress_study
from covidcore.training.recipe import Recipe
from tests.once import key, once, process, scanned

DEADLINE = 240.0  # seconds; the machine may be busy with something else

# Long enough to be stopped in the middle. Random weights of this network, unlike those of others,
# give features by which images differ; and its last stage is small on disk.
LONG = Recipe(
    arch="densenet121",
    weights="none",
    image_size=32,
    epochs=12,
    batch_size=8,
    precision="fp32",
    threads=1,
)
# Everything is trained, in many steps an epoch: to be stopped at any of them.
STEPS = Recipe(
    arch="mobilenet_v3_large",
    weights="none",
    trainable="all",
    image_size=32,
    epochs=4,
    batch_size=2,
    precision="fp32",
    threads=1,
)
SHORT = Recipe(
    weights="none",
    trainable="head",
    image_size=32,
    epochs=1,
    augment="none",
    precision="fp32",
    threads=1,
)


def write_run(home: Path, run: str, state: State, **status: object) -> RunFolder:
    """A run's folder as far as lists and the queue look at it, without any training."""
    folder = RunFolder(home / "runs" / run)
    folder.path.mkdir(parents=True)
    job = {
        "recipe": SHORT.to_json(),
        "dataset": "abc",
        "dataset_name": "set",
        "classes": ["a", "b"],
        "split": "def",
        "weights": {"name": "none"},
        "name": f"run {run}",
        "created": "2026-01-01T00:00:00.000+00:00",
    }
    folder.job.write_text(json.dumps(job))
    folder.history.write_text("epoch,train_loss\n1,0.5\n")
    folder.write_status(state, order=run, attempt=1, **status)
    return folder


def wait_until(reached: Callable[[], object], what: str, every: float = 0.02) -> None:
    """Look again and again until ``reached()`` is true; fails after a generous deadline."""
    pause = threading.Event()
    for _ in range(int(DEADLINE / every)):
        if reached():
            return
        pause.wait(every)
    raise AssertionError(f"waited {DEADLINE:.0f} s in vain for: {what}")


def wait_for_end(store: RunStore, run: str) -> State:
    """Wait as a person would who never asks for the list: nothing here starts a queued run."""
    wait_until(lambda: store.info(run).state.ended, f"the end of run {run}", every=0.05)
    return store.info(run).state


def worker_pid(folder: Path) -> int | None:
    """The process that works on a run."""
    for pid, command in processes():
        shell = command.partition(" ")[0].endswith("sh")  # Ray starts the worker in one
        if "covidcore.jobs.worker" in command and f" {folder} " in command and not shell:
            return pid
    return None


def rank_pids(folder: Path) -> list[int]:
    """The processes that train a run together: torchrun's own, and those that it started."""
    words = f" covidcore.jobs.ranks {folder}"
    found = [(command, pid) for pid, command in processes() if command.endswith(words)]
    return [pid for command, pid in sorted(found, key=lambda one: "torchrun" not in one[0])]


def stored_step(folder: Path) -> dict[str, int]:
    """The position that a run's checkpoint holds."""
    with safe_open(folder / "last.safetensors", framework="np") as file:
        step: dict[str, int] = json.loads(file.metadata()["position"])["step"]
        return step


def processes() -> Iterator[tuple[int, str]]:
    """Number and command line of what runs on this machine."""
    if Path("/proc/self/cmdline").exists():  # small images have no ps
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes().decode("utf-8", "replace").split("\0")
                yield int(path.parent.name), " ".join(words).strip()
        return
    ps = ["ps", "-e", "-ww", "-o", "pid=,args="]
    listed = subprocess.run(ps, capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        pid, _, command = line.strip().partition(" ")
        yield int(pid), command


def kill_worker(folder: Path) -> bool:
    """End the worker of a run as a power cut would, and wait until it is gone."""
    pid = worker_pid(folder)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not RunFolder(folder).locked(), "the kernel to free the lock")
    return True


def assert_same_results(one: Path, other: Path) -> None:
    """What two finished runs are made of is the same, byte for byte."""
    names = ("best.safetensors", "history.csv", "predictions.parquet", "report.json")
    for name in (*names, "contract.json", "split.csv", "familiar.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@dataclass(frozen=True)
class Trained:
    """A finished run. Not to be written to."""

    settings: Settings
    store: RunStore
    dataset: Dataset
    run: str

    @property
    def folder(self) -> Path:
        return self.store.path(self.run)


def trained(phantoms: Path, recipe: Recipe = LONG) -> Trained:
    """Train on the phantoms, once in a session and recipe; each process has a copy of the home."""
    return _trained(phantoms, recipe)


@functools.cache
def _trained(phantoms: Path, recipe: Recipe) -> Trained:
    def train(home: Path) -> None:
        store = RunStore(Settings(home=home))
        run = store.submit(recipe, scanned(phantoms, home), "a finished run").run
        assert wait_for_end(store, run) is State.DONE, store.log_tail(run)
        wait_until(lambda: not RunFolder(store.path(run)).locked(), "the worker to go")

    name = f"trained-{key(phantoms, recipe)}"
    home = once(name, train)
    settings = Settings(home=shutil.copytree(home, home.with_name(f"{name}-{process()}")))
    (run,) = RunStore(settings).list()
    return Trained(settings, RunStore(settings), load(run.dataset, settings.home), run.run)


def stressed(phantoms: Path) -> Trained:
    """The run of ``SHORT`` with its stress tests, which a process of theirs has made."""
    finished = trained(phantoms, SHORT)

    def examine(home: Path) -> None:
        store = copied(finished, phantoms, home)
        stress_study(store, finished.run).follow(lambda *_: None)

    settings = Settings(home=once(f"stressed-{key(phantoms)}", examine))
    return replace(finished, settings=settings, store=RunStore(settings))


def copied(run: Trained, phantoms: Path, home: Path, **settings: Any) -> RunStore:
    """A copy of a finished run in a home of its own, to be written to; ``settings`` beside it."""
    scanned(phantoms, home)
    shutil.copytree(run.folder, home / "runs" / run.run)
    return RunStore(Settings(home=home, **settings))
