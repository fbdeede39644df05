"""One of the processes that train a run together: ``python -m covidcore.jobs.ranks RUN_FOLDER``.

Started by ``torchrun`` for a worker, which holds the run's lock and has made everything ready on
disk. They begin from the checkpoint that they find and leave one at the end; only the first of them
writes.
"""

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from covidcore import storage
from covidcore.config import Settings
from covidcore.errors import CovidcoreError, RunError, Stopped
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.lifeline import Lifeline
from covidcore.jobs.progress import Reporter
from covidcore.lean import keep_memory

if TYPE_CHECKING:
    from covidcore.training.group import Group


class _Agreement:
    """All processes stop after the same step, or one would wait for the others for ever."""

    def __init__(self, group: "Group", lifeline: Lifeline) -> None:
        self._group, self._lifeline = group, lifeline

    def check(self) -> None:
        """Raises: Stopped in all of them, where one was asked to stop."""
        if self._group.any(self._lifeline.asked()):
            raise Stopped("The run was asked to stop.")


def main(path: Path) -> None:
    """Train with the others until it is done or they are asked to stop."""
    lifeline = Lifeline()
    lifeline.start()  # first, for the imports take seconds
    keep_memory()
    folder = RunFolder(path)
    try:
        _train(folder, lifeline)
    except Stopped:
        pass
    except CovidcoreError as error:
        # Starting anew would not help: the worker is told, and ends all of us.
        storage.write_json(folder.failure, str(error))
        threading.Event().wait()


def _train(folder: RunFolder, lifeline: Lifeline) -> None:
    from covidcore.jobs import fitting, preparation, resumable
    from covidcore.training.average import average_of
    from covidcore.training.group import joined
    from covidcore.training.loop import make_optimiser

    settings = Settings.from_environment(
        {**os.environ, "COVIDCORE_HOME": str(folder.path.parents[1])}
    )
    with joined() as group:  # first, for it says which device is ours
        run = preparation.prepare(folder, settings)
        optimiser = make_optimiser(run.tail, run.recipe)
        average = average_of(run.tail, run.recipe)
        position = resumable.restore(folder, run.tail, optimiser, average)
        if position is None:
            raise RunError("The run's checkpoint can not be read: resume the run.")
        reporter = Reporter(folder, _Agreement(group, lifeline), quiet=group.rank > 0)
        if group.rank == 0:
            folder.sweep()  # what one before us was writing when it was killed
        if restarts := int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")):
            reporter.note(restarts=restarts)
        fitting.advance(run, optimiser, position, folder, reporter, group)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
