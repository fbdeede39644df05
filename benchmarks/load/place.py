"""Servers on this machine, and what they take: memory, threads, open files."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from covidcore.jobs import demo_process
from tests.browser.conftest import free_port, serve

PLAIN, DEMO, UNTUNED = "streamlit_app.py", "asgi.py", "benchmarks/load/untuned.py"
"""Entries: as one installs it, as a public demo, and without what makes it bear many."""

_BUSY = 0.6


class Taken(NamedTuple):
    """What a process has at a moment."""

    memory: float
    """Resident, in MB."""
    threads: int
    files: int

    def __str__(self) -> str:
        """In words."""
        return f"{self.memory:,.0f} MB, {self.threads} threads, {self.files} open files"


@dataclass(frozen=True)
class Server:
    """One that answers."""

    port: int
    process: int
    log: Path

    def taken(self) -> Taken:
        """What it takes now; Linux only."""
        process = Path(f"/proc/{self.process}")
        lines = (process / "status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        memory = int(fields["VmRSS"].split()[0]) / 1024
        return Taken(memory, int(fields["Threads"]), len(list((process / "fd").iterdir())))

    def tracebacks(self) -> int:
        """How many the log has."""
        return self.log.read_text(errors="replace").count("Traceback")


@dataclass(frozen=True)
class Place:
    """A prepared home, and a folder for logs."""

    home: Path
    scratch: Path

    @contextlib.contextmanager
    def server(self, entry: str = PLAIN, **more: str) -> Iterator[Server]:
        """A server of its own, gone when the block ends. ``more``: of its environment."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("COVIDCORE")}
        port = free_port()
        log = self.scratch / f"server-{port}.log"
        process = serve(entry, port, {**env, "COVIDCORE_HOME": str(self.home), **more}, log)
        try:
            yield Server(port, process.pid, log)
        finally:
            process.terminate()
            process.wait()


def prepare(home: Path) -> None:
    """Phantoms and a run in ``home``, unless they are there."""
    if demo_process.state(home).phase != "done":
        env = {**os.environ, "COVIDCORE_HOME": str(home), "COVIDCORE_DEMO": "1"}
        command = [sys.executable, "-m", "covidcore.jobs.demo_process", str(home)]
        subprocess.run(command, env=env, check=True)


def quiet() -> str:
    """Empty on a quiet machine, else a note that belongs beside any figure."""
    load = os.getloadavg()[0]
    return "" if load < _BUSY else f", begun at a load of {load:.1f}"
