"""Whose turn it is: one at a time, in the order in which they came, fair between sessions.

A session that asks for many images waits anew for each part of them, behind whoever came in the
meantime. Knows no pages and no torch.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from covidcore.errors import Busy

Told = Callable[[int], None]
"""Hears how many are before one; what it raises gives the place up."""


@dataclass(eq=False)
class _Place:
    session: str
    called: threading.Event = field(default_factory=threading.Event)


class Line:
    """A queue of at most ``most`` who wait, each session once; thread-safe."""

    def __init__(
        self,
        most: int,
        patience_seconds: float = 60.0,
        look_seconds: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._patience, self._look = most, patience_seconds, look_seconds
        self._clock = clock
        self._line: list[_Place] = []  # the first of them has its turn
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, session: str, told: Told | None = None) -> Iterator[None]:
        """Wait for one's turn and hold it; however it ends, the next one is called.

        ``told`` is called a few times a second while one waits, on the waiting thread. A page
        whose visitor has left is ended there, and its place goes.
        Raises: Busy where too many wait, where the session waits already, or has waited too long.
        """
        place = self._join(session)
        try:
            self._wait(place, told)
            yield
        finally:
            self._leave(place)

    def ahead(self, session: str) -> int | None:
        """How many come before a session; None where it does not wait."""
        with self._lock:
            found = (at for at, place in enumerate(self._line) if place.session == session)
            return next(found, None)

    def cancel(self, session: str) -> None:
        """Take a session that still waits out of the line, from any thread.

        Its ``turn`` raises Busy. One whose turn it is keeps it until its work is done.
        """
        with self._lock:
            for place in self._line[1:]:
                if place.session == session:
                    self._line.remove(place)
                    place.called.set()

    def __len__(self) -> int:
        """How many are in the line, with the one whose turn it is."""
        with self._lock:
            return len(self._line)

    def _join(self, session: str) -> _Place:
        place = _Place(session)
        with self._lock:
            if any(other.session == session for other in self._line):
                raise Busy("Images of yours are being looked at already: wait for their answers.")
            if len(self._line) > self._most:
                raise Busy(f"{self._most:,} visitors wait already: try again in a minute.")
            self._line.append(place)
            if len(self._line) == 1:
                place.called.set()
        return place

    def _wait(self, place: _Place, told: Told | None) -> None:
        until = self._clock() + self._patience
        while not place.called.wait(self._look):
            if self._clock() > until:
                raise Busy("The images before yours take too long: try again in a minute.")
            before = self.ahead(place.session)
            if told and before:
                told(before)
        with self._lock:
            if place not in self._line:
                raise Busy("The place in the queue was given up.")

    def _leave(self, place: _Place) -> None:
        with self._lock:
            if place in self._line:
                self._line.remove(place)
            if self._line:
                self._line[0].called.set()
