"""The worker's part where several processes train: start them, wait for them, take their result."""

import contextlib
import subprocess
import threading

import torch

from covidcore import storage
from covidcore.errors import DataError, RecipeError, RunError, Stopped
from covidcore.jobs import resumable, torchrun
from covidcore.jobs.fitting import finished
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.preparation import Prepared, threads_each
from covidcore.jobs.progress import Reporter

_POLL_SECONDS = 0.05


def advance(
    run: Prepared,
    optimiser: torch.optim.Optimizer,
    position: resumable.Position,
    folder: RunFolder,
    reporter: Reporter,
) -> resumable.Position:
    """Train from ``position`` to the end, in ``recipe.workers`` processes; returns where that is.

    Raises: RecipeError, RunError with a sentence; Stopped where the run was asked to stop.
    """
    recipe, images = run.recipe, run.batches.train_size
    if images < recipe.workers:
        raise RecipeError(
            f"workers is {recipe.workers}, and there are only {images} images to train on: "
            f"set workers to {images} or less."
        )
    if finished(recipe, position):
        return position
    resumable.save(folder, run.tail, optimiser, position)  # which is what they begin from
    folder.failure.unlink(missing_ok=True)
    process = torchrun.start(
        recipe.workers,
        threads_each(recipe, recipe.workers),
        "covidcore.jobs.ranks",
        str(folder.path),
    )
    try:
        _wait(process, folder, reporter)
    finally:
        assert process.stdin is not None
        process.stdin.close()  # ends whoever is still there
        process.wait()
    reached = resumable.restore(folder, run.tail, optimiser, position.average)
    if process.returncode or reached is None or not finished(recipe, reached):
        raise RunError(
            f"The {recipe.workers} processes that train together ended early (they are started "
            f"anew {torchrun.RESTARTS} times at most); the log says why. Where memory is short, "
            "fewer workers or a smaller batch_size help."
        )
    return reached


def _wait(process: subprocess.Popen[bytes], folder: RunFolder, reporter: Reporter) -> None:
    """Return when the processes have ended; pass on what they and the user have to say."""
    pause = threading.Event()
    while True:
        ended = process.poll() is not None
        try:
            reporter.check()
        except Stopped:
            assert process.stdin is not None
            with contextlib.suppress(OSError):  # they have just ended
                process.stdin.write(b"s")
            process.wait()  # with a checkpoint; the watchdog sees to it that this ends
            raise
        if folder.failure.is_file():
            raise RunError(_sentence(folder))
        if ended:
            return
        pause.wait(_POLL_SECONDS)


def _sentence(folder: RunFolder) -> str:
    with contextlib.suppress(DataError):
        return str(storage.read_json(folder.failure))
    return "Training failed; the log says why."
