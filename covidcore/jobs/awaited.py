"""Wait for a run from another process than its own, and say how far it is."""

import threading
from collections.abc import Callable

from covidcore.errors import DataError
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore

_LOOK_SECONDS = 0.3


def wait_for_run(store: RunStore, run: str, said: Callable[[str, int, int], object]) -> None:
    """Return once ``run`` is done; ``said(doing, epoch, epochs)`` is called at each look.

    Raises: DataError where it ended without a result.
    """
    pause = threading.Event()
    while not (now := store.info(run)).state.ended:
        store.advance()
        said(f"Training: {now.phase or now.state}", now.epoch, now.epochs)
        pause.wait(_LOOK_SECONDS)
    if now.state is not State.DONE:
        raise DataError(f"The run {run} is {now.state}. {now.message}".strip())
