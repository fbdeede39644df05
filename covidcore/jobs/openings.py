"""How often somebody looked at the test images of a run: a test set wears out by being looked at.

Each look that leads to another recipe makes the next figure a little too good. So looks are
counted, and the count stands beside the figure.
"""

import contextlib
from pathlib import Path

from filelock import FileLock, Timeout

from covidcore import storage
from covidcore.errors import DataError
from covidcore.jobs.folder import RunFolder, now

_LOCK_SECONDS = 10.0


def times_opened(run: Path) -> int:
    """How often the evaluation of the run in the folder ``run`` was shown so far."""
    try:
        return max(0, int(storage.read_json(RunFolder(run).openings)["times"]))
    except (DataError, KeyError, TypeError, ValueError):
        return 0


def note_opened(run: Path) -> int:
    """Count one more look; returns how many there have been, this one among them.

    Two who look at once are two. In a home that can only be read nothing is counted, for figures
    are shown there too.
    """
    file = RunFolder(run).openings
    with contextlib.suppress(OSError, Timeout, DataError):
        with FileLock(file.with_suffix(".lock"), timeout=_LOCK_SECONDS):
            times = times_opened(run) + 1
            storage.write_json(file, {"times": times, "last": now()})
        return times
    return times_opened(run)
