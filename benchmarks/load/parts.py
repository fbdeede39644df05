"""The parts of the benchmark, each with its targets; those beyond the usual are in ``bounds``."""

import time
from collections.abc import Callable
from dataclasses import replace

from benchmarks.load import bounds, people
from benchmarks.load.place import PLAIN, UNTUNED
from benchmarks.load.report import Row
from benchmarks.load.work import Work, flat, judged, sound
from covidcore.config import Settings
from covidcore.data.sources import resolve
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from covidcore.training.recipe import PRESETS
from tests.conftest import ROOT
from tests.runs import wait_until

_TARGETS = {
    # sessions: (pictures each, p50, p95, answers a second, p95 of opening)
    1: (60, 0.15, 0.3, 0.0, None),
    10: (20, None, 1.0, 12.0, None),
    20: (10, None, 2.0, 0.0, None),
    50: (6, None, 5.0, 0.0, 2.0),
}


def sessions(work: Work) -> list[Row]:
    """1, 10, 20 and 50 sessions that ask at once, of the app as one installs it."""
    rows = []
    with work.place.server() as server:
        work.warm(server)
        for count, (each, half, most, rate, opening) in _TARGETS.items():
            told = work.asking(server.port, count, work.times(each))
            rows += judged(f"{count} at once", told, half, most, rate, opening)
        rows.append(sound("these servers' log", server))
    return rows


def untuned(work: Work) -> list[Row]:
    """The same without what makes the server bear many, to see what that is worth."""
    rows = []
    auto = {"STREAMLIT_SERVER_FILE_WATCHER_TYPE": "auto", "PYTHONPATH": str(ROOT)}
    with work.place.server(UNTUNED, **auto) as server:
        work.warm(server)
        for count, each in ((1, 30), (10, 10), (20, 5)):
            told = work.asking(server.port, count, work.times(each))
            rows.append(
                Row(f"{count} at once, default configuration", "", str(told), None, told.figures)
            )
    return rows


def training(work: Work) -> list[Row]:
    """Five sessions while a run trains on the same processors."""
    store = RunStore(Settings(home=work.place.home))
    recipe = replace(PRESETS["full"].recipe, weights="none", epochs=200, seed=int(time.time()))
    with work.place.server() as server:
        work.warm(server)
        dataset = resolve("phantoms:240", store.settings)
        run = store.submit(recipe, dataset, "under load").run
        try:
            wait_until(lambda: store.info(run).phase == "training", "the run to train")
            told = work.asking(server.port, 5, work.times(30))
            still = store.info(run).state is State.RUNNING
        finally:
            store.cancel(run)
            wait_until(lambda: store.info(run).state.ended, "the run to stop")
            store.remove(run)
    rows = judged("5 at once beside a training run", told, None, 1.5)
    return [*rows, Row("the run meanwhile", "goes on", "it did" if still else "ended", still)]


def memory(work: Work) -> list[Row]:
    """5,000 predictions by the same ten sessions; what the process takes after so many of them."""
    stops = [work.times(count) for count in (100, 1000, 2000, 3000, 4000, 5000)]
    with work.place.server() as server:
        work.warm(server)
        told, taken = people.run(
            people.watched(server.port, 10, work.files, people.asked, stops, server.taken)
        )
    first, last = taken[0], taken[-1]
    rows = [
        Row(f"memory from prediction {stops[0]:,} to {stop:,}", "+50 MB at most",
            f"{more:+.0f} MB", more <= 50, {"MB": more})
        for stop, one in zip(stops[1:], taken[1:], strict=True)
        for more in (one.memory - first.memory,)
    ]  # fmt: skip
    return [
        *rows,
        flat(f"what the server takes at {stops[0]:,} and {stops[-1]:,}", first, last),
        Row(f"errors in {stops[-1]:,}", "none", str(told), not told.errors, told.figures),
    ]


def browser(work: Work) -> list[Row]:
    """One real browser among nine sessions, to see that websockets do not flatter."""
    from benchmarks.load.chromium import seen_in_a_browser

    with work.place.server(PLAIN) as server:
        work.warm(server)
        alone = seen_in_a_browser(server.port, work.files, work.times(20), others=0)
        among = seen_in_a_browser(server.port, work.files, work.times(20), others=9)
    return [
        Row("a real browser, alone: file chosen to answer in view", "", str(alone), None,
            alone.figures),
        Row("a real browser beside nine sessions", "", str(among), None, among.figures),
    ]  # fmt: skip


ALL: dict[str, Callable[[Work], list[Row]]] = {
    "sessions": sessions,
    "untuned": untuned,
    "training": training,
    "memory": memory,
    "churn": bounds.churn,
    "uploads": bounds.uploads,
    "crowd": bounds.crowd,
    "browser": browser,
    "soak": bounds.soak,
}
