"""How much each visitor, and all of them together, may ask of a public server.

Token buckets: so many at once, and from then on as many as drop in again with time. Knows no pages
and no clock of its own; a session is any string.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from covidcore.errors import Busy

Clock = Callable[[], float]
"""Seconds that only grow."""


@dataclass(frozen=True)
class Rate:
    """So many at once, and one more each so many seconds."""

    burst: int
    seconds_each: float


@dataclass
class _Bucket:
    rate: Rate
    tokens: float
    at: float

    def fill(self, now: float) -> None:
        more = (now - self.at) / self.rate.seconds_each
        self.tokens = min(float(self.rate.burst), self.tokens + max(0.0, more))
        self.at = now

    def wait(self, count: int) -> float:
        """Seconds until ``count`` tokens are there; 0 where they are."""
        # The same sum of halves and thirds may lie a hair below a whole number.
        missing = count - self.tokens
        return missing * self.rate.seconds_each if missing > 1e-9 else 0.0


class Limit:
    """A rate for each session and one for all; thread-safe.

    At most ``sessions`` of them are remembered: the one that asked longest ago is forgotten first,
    which gives it a full bucket, while the common one stays as it is.
    """

    def __init__(
        self,
        what: str,
        each: Rate,
        together: Rate,
        clock: Clock = time.monotonic,
        sessions: int = 1000,
    ) -> None:
        self.what, self.each = what, each
        self._clock, self._most = clock, sessions
        self._together = _Bucket(together, together.burst, clock())
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, session: str, count: int = 1) -> None:
        """Take ``count`` tokens of both, or none.

        Raises: Busy where there are too few, with a sentence that says when to try again.
        """
        if count < 1:
            return
        if count > self.each.burst:
            raise Busy(
                f"These are {count:,} {self.what}; here {self.each.burst:,} can be asked for at "
                "once. Choose fewer."
            )
        with self._lock:
            now = self._clock()
            own = self._of(session, now)
            for bucket in (own, self._together):
                bucket.fill(now)
            if wait := own.wait(count):
                raise Busy(f"You have asked for many {self.what}: try again in {_soon(wait)}.")
            if wait := self._together.wait(count):
                raise Busy(f"Many people are here at the moment: try again in {_soon(wait)}.")
            own.tokens -= count
            self._together.tokens -= count

    def _of(self, session: str, now: float) -> _Bucket:
        bucket = self._buckets.pop(session, None) or _Bucket(self.each, self.each.burst, now)
        self._buckets[session] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket


class Seats:
    """At most so many sessions at once; one that was not seen for a while has left. Thread-safe."""

    def __init__(self, most: int, away_seconds: float, clock: Clock = time.monotonic) -> None:
        self._most, self._away, self._clock = most, away_seconds, clock
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, session: str) -> None:
        """Let a session in, or take note that it is still here.

        Raises: Busy where every seat is taken, with a sentence that says when to try again.
        """
        with self._lock:
            now = self._clock()
            while self._seen and now - next(iter(self._seen.values())) >= self._away:
                self._seen.popitem(last=False)
            if session not in self._seen and len(self._seen) >= self._most:
                wait = self._away - (now - next(iter(self._seen.values())))
                raise Busy(
                    f"All {self._most:,} places of this demo are taken: try again in {_soon(wait)}."
                )
            self._seen.pop(session, None)
            self._seen[session] = now

    def leave(self, session: str) -> None:
        """Give the seat back; does nothing where there is none."""
        with self._lock:
            self._seen.pop(session, None)

    def __len__(self) -> int:
        """How many seats are taken, those who have left without a word included."""
        with self._lock:
            return len(self._seen)


def _soon(seconds: float) -> str:
    """A time to wait, rounded up: a second too early would be refused again."""
    whole = max(1, math.ceil(seconds))
    if whole < 100:
        return f"{whole} second{'s' if whole > 1 else ''}"
    return f"{math.ceil(whole / 60)} minutes"
