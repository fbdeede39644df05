"""The app's start, its pages and its memory: ``python -m benchmarks.app``.

Starts the app on this machine as a user does, with ``COVIDCORE_HOME`` (or an empty home), and opens
each page over the websocket, for the first time and again in the same session. Prints seconds,
and resident memory after the pages that need no model.
"""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from tests.browser.conftest import free_port, serve
from tests.browser.visitors import Visitor

PAGES = ("", "explore", "train", "evaluate")
_TIMES = 5


def resident(process: int) -> float:
    """Megabytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["VmRSS"].split()[0]) / 1024


async def drawn(port: int) -> None:
    """Open each page, then again."""
    async with Visitor(port) as visitor:
        for page in PAGES:
            times = []
            for _ in range(1 + _TIMES):
                started = time.perf_counter()
                seen = await visitor.open(page)
                times.append(time.perf_counter() - started)
                assert not seen.exceptions, seen.exceptions
            again = 1000 * statistics.median(times[1:])
            print(f"{page or 'home'}: first {times[0]:.2f} s, again {again:.0f} ms", flush=True)


def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as scratch:
        home = os.environ.get("COVIDCORE_HOME") or f"{scratch}/home"
        env, log = {**os.environ, "COVIDCORE_HOME": home}, Path(scratch) / "log.txt"
        port, started = free_port(), time.perf_counter()
        process = serve("streamlit_app.py", port, env, log)
        try:
            answers = time.perf_counter() - started
            asyncio.run(drawn(port))
            print(
                f"the server answers after {answers:.2f} s, and has {resident(process.pid):.0f} MB"
            )
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
