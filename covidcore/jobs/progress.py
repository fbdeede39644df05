"""What a worker says while it works: one JSON object a line on standard output, its log."""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from covidcore import sealed, storage
from covidcore.jobs.folder import RunFolder, State, now
from covidcore.jobs.rates import machine

_EVERY = 0.5  # seconds between progress lines


class Stopper(Protocol):
    """Knows whether the work shall end."""

    def check(self) -> None:
        """Raises: Stopped where it shall."""
        ...


class Reporter:
    """Writes progress lines, unless it is ``quiet``, and stops the work where it shall end."""

    def __init__(self, folder: RunFolder, stopper: Stopper, quiet: bool = False) -> None:
        self._folder, self._stopper, self._quiet = folder, stopper, quiet
        self._last = 0.0
        self._processor = time.process_time(), time.monotonic()
        self._share: int | None = None

    def start(self) -> None:
        """Mark the beginning of an attempt."""
        self._write("start", run=self._folder.run, machine=machine())

    def end(self, state: State) -> None:
        """Mark the end of an attempt."""
        self._write("end", state=state.value)

    def note(self, **values: Any) -> None:
        """A fact worth keeping in the log."""
        self._write("note", **values)

    def epoch(self, **values: Any) -> None:
        """The figures of one epoch."""
        self._write("epoch", **values)

    def check(self) -> None:
        """Raises: Stopped where somebody asked the run to stop."""
        self._stopper.check()

    def progress(self, phase: str, step: int, steps: int, **values: Any) -> None:
        """Where the work stands; written twice a second at most, and at the end of a phase.

        Raises: Stopped where somebody asked the run to stop.
        """
        self.check()
        moment = time.monotonic()
        if moment - self._last >= _EVERY or step in (0, steps):
            self._last = moment
            self._write(
                "progress", phase=phase, step=step, steps=steps, **self._resources(), **values
            )

    def phase(self, name: str) -> Callable[[int, int], None]:
        """A ``progress(done, total)`` for one phase, with its rate and the time it still takes."""
        started = time.monotonic()

        def report(done: int, total: int) -> None:
            rate = done / max(time.monotonic() - started, 1e-3)
            self.progress(name, done, total, images_per_second=round(rate, 1))

        return report

    def traceback(self) -> None:
        """Keep a failure's traceback in the log, for whoever mends the program."""
        self._say(traceback.format_exc())

    def _resources(self) -> dict[str, int | None]:
        """Memory in MB, and processors in use since the last line in per cent of one."""
        used, at = time.process_time(), time.monotonic()
        before, then = self._processor
        if at - then >= _EVERY / 2:  # a share of less time says nothing
            self._share = round(100 * (used - before) / (at - then))
            self._processor = used, at
        return {"memory_mb": _memory_mb(), "processor_percent": self._share}

    def _write(self, event: str, **values: Any) -> None:
        if not self._quiet:
            told = storage.plain({"event": event, "time": now(), **values})
            self._say(sealed.json_line(told) + "\n")

    @staticmethod
    def _say(text: str) -> None:
        with contextlib.suppress(OSError):  # a full disk; the work itself will say so
            sys.stdout.write(text)
            sys.stdout.flush()


def _memory_mb() -> int | None:
    """Resident memory; None where the system does not tell (it is Linux that does)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
    except (OSError, ValueError, IndexError, AttributeError):
        return None


class Pace:
    """Images a second in this attempt, and the time to the end of training."""

    def __init__(self, left: int) -> None:
        self._left, self._seen, self._started = left, 0, time.monotonic()

    def after(self, images: int) -> dict[str, float]:
        """The figures after so many more images."""
        self._seen += images
        self._left -= images
        rate = self._seen / max(time.monotonic() - self._started, 1e-3)
        return {
            "images_per_second": round(rate, 1),
            "eta_seconds": round(max(self._left, 0) / rate, 1),
        }
