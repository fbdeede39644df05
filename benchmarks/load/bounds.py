"""Parts that go beyond what is usual: comings and goings, too much at once, half an hour."""

import asyncio
import time

from benchmarks.load import people
from benchmarks.load.place import DEMO
from benchmarks.load.report import Row, Spread
from benchmarks.load.work import Work, flat, judged, sound
from tests.browser.visitors import Visitor

_KEPT_SECONDS = 125
"""A little longer than Streamlit keeps what a visitor had who went: a tab may come back."""


def churn(work: Work) -> list[Row]:
    """200 sessions that come, look, ask once and go, twenty at a time."""
    count = work.times(200)
    with work.place.server() as server:
        work.warm(server)
        before, told = server.taken(), people.Told()
        for _ in range(-(-count // 20)):
            told += work.asking(server.port, 20, 1)
        at_once = server.taken()
        time.sleep(_KEPT_SECONDS)
        work.asking(server.port, 2, 1)  # Streamlit lets go of old ones where others come and go
        work.asking(server.port, 1, 2)
        after = server.taken()
    what = f"{count} sessions that open, ask once and close"
    return [
        Row(what, "no error", str(told), not told.errors, told.figures),
        Row(
            "what it takes as the last has gone",
            "",
            str(at_once),
            None,
            {"MB": at_once.memory - before.memory},
        ),
        flat("before them, and when Streamlit has let go of them", before, after),
    ]


def uploads(work: Work) -> list[Row]:
    """One session of the demo sends 8 times 100 MB while others go on predicting."""
    with work.place.server(DEMO) as server:
        work.warm(server)
        before = server.taken()

        async def greedy() -> list[int]:
            async with Visitor(server.port) as visitor:
                await visitor.open("predict")
                url = f"/_stcore/upload_file/{visitor.session}/"
                sizes = [100_000_000] * 8 + [20_000_000] * 8
                return [
                    await asyncio.to_thread(visitor.put, f"{url}{at}", "x.png", bytes(size))
                    for at, size in enumerate(sizes)
                ]

        async def both() -> tuple[list[int], people.Told, float]:
            others = people.all_at_once(server.port, 5, work.files, lambda asked: asked < 10)
            found = await asyncio.gather(greedy(), others)
            return found[0], found[1], server.taken().memory

        answers, told, after = people.run(both())
    large, small = answers[:8], answers[8:]
    kept = small.count(204)
    grown = after - before.memory
    return [
        Row("8 uploads of 100 MB, one session", "refused", _counted(large), {*large} <= {0, 413},
            {"kept": large.count(204)}),
        Row("then 8 of 20 MB", "2 kept at most", _counted(small), kept <= 2, {"kept": kept}),
        Row("the server's memory meanwhile", "", f"{grown:+.0f} MB", None, {"MB": grown}),
        *judged("5 others meanwhile", told, None, 2.0),
    ]  # fmt: skip


def _counted(answers: list[int]) -> str:
    names = {0: "hung up on", 204: "kept (204)", 413: "refused (413)"}
    return ", ".join(
        f"{answers.count(one)} {names.get(one, str(one))}" for one in sorted(set(answers))
    )


def crowd(work: Work) -> list[Row]:
    """More than the demo has seats for: an answer, or a sentence, for everybody, and soon."""
    count = work.times(120)
    with work.place.server(DEMO) as server:
        work.warm(server)
        began = time.monotonic()
        told = work.asking(server.port, count, 2)
        took = time.monotonic() - began
    holds, opened = not told.errors and took < 110, Spread.of(told.opened)
    return [
        Row(f"{count} at once in a demo", "answered or politely refused, never a hang",
            f"{told}; all told within {took:.0f} s", holds, {**told.figures, "seconds": took}),
        Row("opening the page among them", "", str(opened), None, opened.figures),
    ]  # fmt: skip


def soak(work: Work) -> list[Row]:
    """The same ten sessions for half an hour."""
    stops = [10.0 * work.minutes * sixth for sixth in range(1, 7)]
    with work.place.server() as server:
        work.warm(server)
        began = time.monotonic()
        told, taken = people.run(
            people.watched(
                server.port, 10, work.files, lambda _: time.monotonic() - began, stops, server.taken
            )
        )
        rows = [sound("its log", server)]
    what = f"10 at once for {work.minutes:g} minutes"
    return [
        Row(what, "no error", str(told), not told.errors, told.figures),
        flat("what the server takes after a sixth and after all of it", taken[0], taken[-1]),
        *rows,
    ]  # fmt: skip
