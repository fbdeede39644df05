"""Resident memory of a demo's server over its first 200 predictions.

    [COVIDCORE_BACKEND=onnx] python -m benchmarks.demo_memory [PREDICTIONS] [SESSIONS]

Starts the demo on this machine with a home of its own (or ``COVIDCORE_HOME``, where that is set),
waits until it is prepared, and lets sessions send different images of 1,024 pixels, one after the
other.
Prints resident memory, also split into what the process owns and the pages of libraries.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from covidcore.jobs import demo_process
from tests.browser.conftest import free_port, serve
from tests.browser.visitors import Visitor
from tests.hostile import saved
from tests.pictures import picture


def memory(process: int) -> str:
    """``VmRSS`` and its parts in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    names = ("VmRSS", "RssAnon", "RssFile", "VmHWM")
    return "  ".join(f"{name} {int(fields[name].split()[0]) / 1024:,.0f} MB" for name in names)


async def predict(port: int, process: int, predictions: int, sessions: int) -> None:
    """Send images in rounds; every answer is looked at."""
    done, each, slowest, began = 0, -(-predictions // sessions), 0.0, time.monotonic()
    for number in range(sessions):
        async with Visitor(port) as visitor:
            seen = await visitor.open("predict")
            for at in range(min(each, predictions - done)):
                data = saved(picture(number * each + at, 1024))
                started = time.monotonic()
                seen = await visitor.send(seen.uploaders[0], f"{at}.png", data)
                if done:
                    slowest = max(slowest, time.monotonic() - started)
                assert not seen.exceptions, seen.exceptions
                assert "chooses among its classes" in seen.words, seen.words
                done += 1
                if done in (1, 10, 50, 100) or done % 100 == 0:
                    print(f"{done:5} predictions  {memory(process)}", flush=True)
    took = time.monotonic() - began
    print(f"{took / done:.2f} s a prediction; the slowest after the first: {slowest:.2f} s")


def main(predictions: int = 200, sessions: int = 10) -> None:
    """Run it."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(os.environ.get("COVIDCORE_HOME") or scratch)
        env = {**os.environ, "COVIDCORE_HOME": str(home), "COVIDCORE_DEMO": "1"}
        if demo_process.state(home).phase != "done":
            command = [sys.executable, "-m", "covidcore.jobs.demo_process", str(home)]
            subprocess.run(command, env=env, check=True)
        port = free_port()
        log = Path(scratch) / "server.log"
        process = serve("asgi.py", port, env, log)
        try:
            print(f"{0:5} predictions  {memory(process.pid)}")
            asyncio.run(predict(port, process.pid, predictions, sessions))
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
