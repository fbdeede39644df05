"""What a demo has to show, made at its first start: ``python -m covidcore.jobs.demo_process HOME``.

Phantoms, their audit, one run and its folds, and the project's own model, each made only where it
is missing. A process of its own, so that the pages open meanwhile; how far it is, and why it
failed, is read from disk.
"""

import contextlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from covidcore.config import DEMO_PHANTOMS, Settings
from covidcore.data.audit import audit
from covidcore.data.audit import doing as audit_step
from covidcore.data.background import Task
from covidcore.data.index import Dataset
from covidcore.data.pixels import pixel_array
from covidcore.data.sources import make_phantoms
from covidcore.errors import RunError
from covidcore.jobs.alike import Search
from covidcore.jobs.awaited import wait_for_run
from covidcore.jobs.demo import DEMO_PRESETS, Rules
from covidcore.jobs.imports import own_model
from covidcore.jobs.store import RunStore
from covidcore.training.recipe import PRESETS, Recipe

Phase = Literal["absent", "running", "failed", "done"]

_SIZE = 224
_FOLDS = ("5", "5")


@dataclass(frozen=True)
class Preparation:
    """How far it is."""

    phase: Phase
    doing: str = ""
    done: float = 0.0
    """Share of what is being done."""
    message: str = ""
    """Where it failed: why."""


def task(home: Path) -> Task:
    """One preparation a home at a time."""
    return Task(home / "demo", in_demo=True)


def start(home: Path) -> None:
    """Make what is missing, unless a process is at it. Raises: DataError where it can not start."""
    task(home).start(__name__, str(home))


def state(home: Path) -> Preparation:
    """Whether it is made, under way or failed; read from disk."""
    work = task(home)
    running = work.running  # before the status: who has ended in between has written it
    status = work.read_status()
    if running:
        share = int(status.get("done") or 0) / max(1, int(status.get("total") or 1))
        return Preparation("running", str(status.get("doing") or "Starting"), min(1.0, share))
    if status.get("ready"):
        return Preparation("done")
    message = str(status.get("message") or "")
    return Preparation("failed" if message else "absent", message=message)


def first_recipe(settings: Settings) -> Recipe:
    """What the demo's run is trained by: what a visitor is offered, so that it opens at once."""
    return Rules(replace(settings, demo=True)).start(PRESETS[DEMO_PRESETS[0]].recipe)


def prepare(settings: Settings, work: Task, images: int = DEMO_PHANTOMS) -> None:
    """Make what is missing. Raises: CovidcoreError with a sentence where something fails."""

    def said(doing: str, done: int = 0, total: int = 1) -> None:
        work.report(doing, done=done, total=total)

    with contextlib.suppress(RunError):  # a copy of the program without a model
        own_model(RunStore(replace(settings, demo=False)))
    said("Drawing phantoms")
    dataset = make_phantoms(images, settings, lambda *at: said("Drawing phantoms", *at))
    pixel_array(dataset, _SIZE, settings.home, lambda *at: said("Reading every image once", *at))
    audit(dataset, settings.home, progress=lambda *at: said(audit_step(at[0]), *at))
    run = _train(settings, dataset, work)
    said("Looking at validation images")
    _look_at_validation_images(settings, run)
    said("Training the folds")
    from covidcore.jobs.folds_process import main as cross_validate  # which imports torch

    cross_validate(str(settings.home), run, *_FOLDS)
    work.write_status(ready=True)


def _train(settings: Settings, dataset: Dataset, work: Task) -> str:
    """The demo's run: as the owner's, so that no visitor's rule bounds it and none removes it."""
    store = RunStore(replace(settings, demo=False))
    run = store.submit(first_recipe(settings), dataset, "The demo's run").run
    wait_for_run(store, run, lambda doing, *at: work.report(doing, done=at[0], total=at[1]))
    return run


def _look_at_validation_images(settings: Settings, run: str) -> None:
    """What the predict page compares uploads with: no visitor waits for it."""
    from covidcore.inference.predictor import Predictor

    store = RunStore(settings)
    model = Predictor.open(store.path(run), backend=settings.backend)
    search = Search(store, run, model)
    search.keep([search.look(chunk) for chunk in search.chunks])


def main(home: str) -> int:
    """Prepare one home; does nothing where another process is at it."""
    work = task(Path(home))
    settings = replace(Settings.from_environment(), home=Path(home))
    return work.work(lambda: prepare(settings, work))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
