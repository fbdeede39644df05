"""A short trial of what runs take: ``python -m covidcore.jobs.probe HOME DATASET RECIPE...``.

A process of its own, for it imports torch, sets its threads, and must not slow the app. The
recipes are JSON. What it finds is kept in the home.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from covidcore.config import Settings
from covidcore.data.background import step_back
from covidcore.data.index import Dataset, load
from covidcore.data.pixels import is_stored, pixel_array
from covidcore.errors import CovidcoreError, Stopped
from covidcore.jobs.estimate import probe_lock
from covidcore.jobs.rates import RateFile, cost_key, reading_key
from covidcore.jobs.runners import LocalRunner
from covidcore.lean import keep_memory
from covidcore.training.recipe import Recipe

_FILES = 64
_SCRATCH = ".probe-"


def main(home: Path, fingerprint: str, recipes: Sequence[Recipe]) -> int:
    """Measure each recipe's rates and keep them; 0 where all could be."""
    settings = Settings.from_environment({**os.environ, "COVIDCORE_HOME": str(home)})
    step_back()
    keep_memory()
    lock = FileLock(probe_lock(home))
    try:
        lock.acquire(timeout=5)
    except Timeout:
        return 0  # another one is at it
    runner, file = LocalRunner(settings), RateFile(home)

    def go_on() -> None:
        if runner.list():
            raise Stopped

    with lock:
        for left in home.glob(f"{_SCRATCH}*"):  # of a probe that was killed
            shutil.rmtree(left, ignore_errors=True)
        try:
            dataset = load(fingerprint, home)
            imports = _time(_imports)
            for recipe in recipes:
                measure(recipe, dataset, settings, imports, go_on)
        except Stopped:  # a run has begun, which would be slowed, and would spoil the figures
            file.forget_asked()
        except CovidcoreError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


def measure(
    recipe: Recipe,
    dataset: Dataset,
    settings: Settings,
    imports: float,
    go_on: Callable[[], None] = lambda: None,
) -> None:
    """Time every part of a run of ``recipe`` and keep the rates.

    ``imports``: seconds that a worker's imports take. ``go_on`` may raise between two parts.
    """
    import torch

    from covidcore.jobs.trial import Trial

    torch.set_num_threads(recipe.threads or os.cpu_count() or 1)
    file = RateFile(settings.home)
    with tempfile.TemporaryDirectory(dir=settings.home, prefix=_SCRATCH) as name:
        scratch = Path(name)
        if not is_stored(dataset, recipe.image_size, settings.home):
            seconds = _time_reading(dataset, recipe.image_size, scratch)
            file.keep_reading(reading_key(dataset.fingerprint, recipe.image_size), seconds)
        before = _processor_time()
        rates = Trial(recipe, dataset, settings, scratch).rates(imports, go_on)
        crowding = _crowding(before, _processor_time())
        file.keep(cost_key(recipe), replace(rates, crowding=crowding, measured=time.time()))


def _imports() -> None:
    """What a worker imports, and what its evaluation imports."""

    import covidcore.jobs.training
    import covidcore.jobs.worker  # noqa: F401


def _processor_time() -> tuple[float, float]:
    """Seconds that our threads have run, and have waited for a processor, so far.

    Zeros where the system does not tell (it is Linux that does).
    """
    run = wait = 0
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError, ValueError):
            ran, waited, _ = map(int, path.read_text().split())
            run, wait = run + ran, wait + waited
    return run / 1e9, wait / 1e9


def _crowding(before: tuple[float, float], after: tuple[float, float]) -> float:
    """How many times as long the work took because others had the processors; 1: none did."""
    run, wait = (max(0.0, late - early) for early, late in zip(before, after, strict=True))
    return (run + wait) / run if run > 0 else 1.0


def _time(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _time_reading(dataset: Dataset, size: int, scratch: Path) -> float:
    """Seconds an image to read, decode and resize, from files spread over the dataset."""
    rows = np.unique(np.linspace(0, len(dataset.index) - 1, _FILES).astype(int))
    some = replace(dataset, index=dataset.index.iloc[rows])
    return _time(lambda: pixel_array(some, size, scratch)) / len(rows)


if __name__ == "__main__":
    asked = [Recipe.from_json(json.loads(text)) for text in sys.argv[3:]]
    sys.exit(main(Path(sys.argv[1]).absolute(), sys.argv[2], asked))
