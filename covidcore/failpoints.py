"""Named moments at which a test can hold a process: a disk that hangs, a kill in the middle.

Does nothing unless ``COVIDCORE_FAILPOINTS`` names a folder, which tests alone set. There the file
``NAME`` holds the number of the passage at which to wait (1 is the next one). Who comes to it
renames the file to ``NAME.reached`` and waits until somebody removes that.
"""

import collections
import os
import threading
from pathlib import Path

VARIABLE = "COVIDCORE_FAILPOINTS"

_passages: collections.Counter[str] = collections.Counter()


def reach(name: str) -> None:
    """Say that the process has come to ``name``; waits there where a test asked for it."""
    folder = os.environ.get(VARIABLE)
    if folder:
        _wait(Path(folder) / name)


def _wait(armed: Path) -> None:
    _passages[armed.name] += 1
    try:
        at = int(armed.read_text())
    except (OSError, ValueError):
        return
    if _passages[armed.name] < at:
        return
    reached = armed.with_name(f"{armed.name}.reached")
    armed.rename(reached)
    pause = threading.Event()
    while reached.exists():
        pause.wait(0.01)
