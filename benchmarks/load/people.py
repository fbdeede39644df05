"""Visitors who open the predict page and send pictures, one after the other, without a pause."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.load.place import Taken
from benchmarks.load.report import Spread
from tests.browser.visitors import Seen, Visitor

_LOOKS = 50  # in five seconds
_THREADS = 128  # an upload is a blocking call; none shall wait for another on our side
_ANSWERED = "chooses among its classes"
_BUSY = ("try again", "wait already", "places of this demo are taken")

_T = TypeVar("_T")


@dataclass
class Told:
    """What happened to all of them; times in seconds."""

    opened: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    """From the upload's first byte to the end of the page with the answer."""
    refused: list[str] = field(default_factory=list)
    """Told in a sentence that there is too much to do."""
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.answered) / self.seconds if self.seconds else float("nan")

    @property
    def figures(self) -> dict[str, float]:
        """Counts, answers a second, and seconds to an answer."""
        counts = {"answers": len(self.answered), "a second": self.rate}
        counts |= {"refused": len(self.refused), "errors": len(self.errors)}
        return counts | Spread.of(self.answered).figures

    def __iadd__(self, other: "Told") -> "Told":
        """What happened to these, and after them to others."""
        self.opened += other.opened
        self.answered += other.answered
        self.refused += other.refused
        self.errors += other.errors
        self.seconds += other.seconds
        return self

    def __str__(self) -> str:
        """In words."""
        text = (
            f"{len(self.answered):,} answers, {self.rate:.1f} a second, {Spread.of(self.answered)}"
        )
        refused = f"; {len(self.refused)} politely refused" if self.refused else ""
        return f"{text}{refused}; {len(self.errors)} errors"


def asked(told: Told) -> int:
    """How often it was asked, whatever came of it."""
    return len(told.answered) + len(told.refused) + len(told.errors)


def run(work: Awaitable[_T]) -> _T:
    """Run it in a loop whose uploads wait for nobody but the server."""

    async def inside() -> _T:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
        return await work

    return asyncio.run(inside())


async def open_page(visitor: Visitor, told: Told) -> Seen:
    """Draw the predict page."""
    began = time.monotonic()
    seen = await visitor.open("predict")
    told.opened.append(time.monotonic() - began)
    told.errors += seen.exceptions
    return seen


async def ask(visitor: Visitor, seen: Seen, told: Told, data: bytes) -> Seen:
    """Send a picture and be answered."""
    began = time.monotonic()
    seen = await visitor.send(seen.uploaders[0], "radiograph.png", data)
    took = time.monotonic() - began
    visitor.heard.clear()  # for half an hour of it fills our memory
    if seen.exceptions:
        told.errors += seen.exceptions
    elif _ANSWERED in seen.words:
        told.answered.append(took)
    elif any(words in seen.words for words in _BUSY):
        told.refused.append(seen.words)
    else:
        told.errors.append(f"no answer: {seen.words[-200:]}")
    return seen


class _Together:
    """Lets everybody begin to ask once all have opened their page, or failed to."""

    def __init__(self, sessions: int) -> None:
        self._missing, self._all_there = sessions, asyncio.Event()
        self.began = time.monotonic()

    async def ready(self) -> None:
        """Wait for the others."""
        self.count()
        await self._all_there.wait()

    def count(self) -> None:
        """One more is there, or will never be."""
        self._missing -= 1
        if not self._missing:
            self.began = time.monotonic()
            self._all_there.set()


async def visit(
    port: int,
    told: Told,
    files: Iterator[bytes],
    go_on: Callable[[int], bool],
    others: _Together,
) -> None:
    """One session: open the page, and ask for as long as ``go_on(asked so far)``."""
    counted = False
    try:
        async with Visitor(port) as visitor:
            seen = await open_page(visitor, told)
            asked, counted = 0, True
            await others.ready()
            while seen.uploaders and go_on(asked):
                seen = await ask(visitor, seen, told, next(files))
                asked += 1
            if not seen.uploaders:
                busy = any(words in seen.words for words in _BUSY)
                (told.refused if busy else told.errors).append(seen.words[-200:])
    except Exception as error:
        told.errors.append(f"{type(error).__name__}: {error}")
        if not counted:
            others.count()


async def all_at_once(
    port: int,
    sessions: int,
    files: Iterator[bytes],
    go_on: Callable[[int], bool],
    told: Told | None = None,
) -> Told:
    """So many sessions, each as ``visit``; the time counts once all have opened the page."""
    told, together = Told() if told is None else told, _Together(sessions)
    await asyncio.gather(*(visit(port, told, files, go_on, together) for _ in range(sessions)))
    told.seconds = time.monotonic() - together.began
    return told


async def watched(
    port: int,
    sessions: int,
    files: Iterator[bytes],
    far: Callable[[Told], float],
    stops: Sequence[float],
    look: Callable[[], Taken],
) -> tuple[Told, list[Taken]]:
    """The same sessions until ``far`` has come to the last of ``stops``; what is taken at each.

    That is the middle one of some looks, as ten images are under way at any moment: a single look
    finds 50 MB more or less of what comes and goes.
    """
    told, seen, ended = Told(), [], asyncio.Event()
    asking = asyncio.create_task(
        all_at_once(port, sessions, files, lambda _: not ended.is_set(), told)
    )
    for stop in stops:
        while far(told) < stop and not asking.done():
            await asyncio.sleep(0.1)
        looks = []
        for _ in range(_LOOKS):
            looks.append(look())
            await asyncio.sleep(0.1)
        looks.sort(key=lambda taken: taken.memory)
        seen.append(looks[_LOOKS // 2])
    ended.set()
    return await asking, seen


async def warm_up(port: int, files: Iterator[bytes]) -> None:
    """One visitor waits for torch and the model, and a few more for what is made once."""
    for sessions, each in ((1, 3), (4, 3)):
        told = await all_at_once(port, sessions, files, lambda asked, most=each: asked < most)
        if told.errors:
            raise AssertionError(told.errors[0])
