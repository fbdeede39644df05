"""From a position to the end of training, with everything on disk that going on needs.

The same in a worker that trains alone and in each of several processes that train together; of
those only the first writes.
"""

import dataclasses
import time

import pandas as pd
import torch

from covidcore.errors import Stopped
from covidcore.jobs import history, resumable
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.preparation import Prepared
from covidcore.jobs.progress import Pace, Reporter
from covidcore.training.group import Group
from covidcore.training.loop import EpochResult, Step, Validating, fit
from covidcore.training.recipe import Recipe

CHECKPOINT_SECONDS = 180.0
"""Longest time between checkpoints within an epoch."""


def advance(
    run: Prepared,
    optimiser: torch.optim.Optimizer,
    position: resumable.Position,
    folder: RunFolder,
    reporter: Reporter,
    group: Group | None = None,
) -> None:
    """Train from ``position``, which moves along, to the end.

    On disk before the next begins: every epoch, and in long ones every few minutes. Raises: Stopped
    where the run was asked to stop, with a checkpoint of the last step.
    """
    group = group or Group()
    files = _Files(run, optimiser, position, folder, writes=group.rank == 0)
    files.write_history()  # a kill may have come between the checkpoint and this
    recipe = run.recipe
    if finished(recipe, position):
        return
    done = len(position.history) + position.step.step / max(position.step.steps, 1)
    pace = Pace(round((recipe.epochs - done) * run.batches.train_size))
    began = files.saved
    events = fit(
        run.tail,
        run.batches,
        recipe,
        optimiser,
        run.tail_precision,
        position.step,
        group,
        position.average,
    )
    try:
        for event in events:
            if isinstance(event, Step):
                position.step = event
                if time.monotonic() - files.saved > CHECKPOINT_SECONDS:
                    files.save()
                reporter.progress(
                    "training",
                    event.step,
                    event.steps,
                    epoch=event.epoch,
                    loss=round(event.loss, 4),
                    **pace.after(event.images),
                )
            elif isinstance(event, Validating):
                reporter.progress("validating", event.images, event.of, epoch=event.epoch)
            else:
                position.add(event, run.tail)
                files.save()
                files.write_history()
                seconds = round(files.saved - began, 3)
                reporter.epoch(**dataclasses.asdict(event), seconds=seconds)
                began = files.saved
                if finished(recipe, position):
                    return
    except Stopped:
        files.save()
        raise


def finished(recipe: Recipe, position: resumable.Position) -> bool:
    """Whether there is nothing left to train: all epochs done, or no patience left."""
    history = position.history
    if not history or len(history) >= recipe.epochs:
        return bool(history)
    return 0 < recipe.patience <= history[-1].epoch - position.best_result.epoch


class _Files:
    """What is written while a run is trained, by the one process that writes."""

    def __init__(
        self,
        run: Prepared,
        optimiser: torch.optim.Optimizer,
        position: resumable.Position,
        folder: RunFolder,
        writes: bool,
    ) -> None:
        self._run, self._optimiser, self._position = run, optimiser, position
        self._folder, self._writes = folder, writes
        self.saved = time.monotonic()
        """When the last checkpoint was made."""

    def save(self) -> None:
        """Replace the checkpoint."""
        if self._writes:
            resumable.save(self._folder, self._run.tail, self._optimiser, self._position)
        self.saved = time.monotonic()

    def write_history(self) -> None:
        """Replace the table of epochs."""
        if self._writes:
            columns = [field.name for field in dataclasses.fields(EpochResult)]
            table = pd.DataFrame(self._position.history, columns=columns)
            history.write(self._folder.history, table)
