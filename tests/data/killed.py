"""A process that forks one child for each job, so that twenty kills cost one start of Python.

Run as ``python -m tests.data.killed HOME``; each line of its input is a job as JSON: what to do,
with what, and after how many seconds to kill it. It answers each with "killed" or "done", and the
seconds that it lived. What the children would import is imported before they are forked.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pyarrow.parquet  # noqa: F401

from covidcore.config import Settings
from covidcore.data import decode, duplicates, hashes, index, kaggle_fetch  # noqa: F401
from covidcore.data.joining import join
from covidcore.data.kaggle import DEFAULT
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.data.sources import resolve


def work(job: dict[str, object], home: Path) -> None:
    to = Path(str(job.get("to", "")))
    if job["what"] == "phantoms":
        write(PhantomSpec(images=18, size=64), to)
    elif job["what"] == "join":
        join([index.load(str(job["dataset"]), home)] * 2, {}, to)
    elif job["what"] == "download":
        kaggle_fetch.main(str(home), *DEFAULT.split("/"), "0")
    else:
        resolve("kaggle", Settings(home=home))


def main(home: Path) -> None:
    for line in sys.stdin:
        job = json.loads(line)
        if job["what"] == "download":
            import kagglehub.clients  # noqa: F401
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # kagglehub prints
            work(job, home)
            os._exit(0)
        started = time.monotonic()
        end = started + float(job["seconds"])
        while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
            time.sleep(0.001)
        if done == (0, 0):
            os.kill(child, signal.SIGKILL)
            done = os.waitpid(child, 0)
        how, lasted = "killed" if done[1] == signal.SIGKILL else "done", time.monotonic() - started
        sys.stdout.write(f"{how} {done[1]} {lasted}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
