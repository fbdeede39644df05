"""Does harm to one program at a named moment, by being on its ``PYTHONPATH``.

Python imports this file before anything else. ``SABOTAGE`` holds JSON: ``program``, a word of the
command line of the one to be harmed; ``at``, a pattern of moments; ``do``, what happens there;
``record``, a file of the moments at which it has happened, for each is met once.

Moments: ``start``; ``import NAME``; ``create NAME`` and ``rename NAME``, just before a file is
made aside and just before it takes its place. Between two of these nothing changes for a reader.
"""

import fnmatch
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_PLAN: dict[str, Any] = json.loads(os.environ.get("SABOTAGE", "{}"))


def reach(moment: str) -> None:
    if not fnmatch.fnmatchcase(moment, _PLAN["at"]):
        return
    record = Path(_PLAN["record"])
    before = record.read_text().splitlines() if record.exists() else []
    if moment not in before:
        record.write_text("\n".join([*before, moment]))
        {"kill": kill, "fill": fill, "starve": starve, "cut": cut}[_PLAN["do"]]()


def kill() -> None:
    """End as at a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill() -> None:
    """Take from the tmpfs ``disk`` what is free of it, but for ``spare`` bytes."""
    disk = os.statvfs(_PLAN["disk"])
    size = (disk.f_blocks - disk.f_bfree) * disk.f_frsize + _PLAN.get("spare", 0)
    command = ["mount", "-o", f"remount,size={size}", _PLAN["disk"]]
    subprocess.run(command, check=True, env={"PATH": os.environ["PATH"]})


def starve() -> None:
    """Allow no more than ``spare`` bytes of memory beside what is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + _PLAN["spare"]
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def cut() -> None:
    """Cut a file short that is being read through a memory map."""
    os.truncate(_PLAN["file"], 4096)


def _moment(source: Any, target: Any) -> str:
    """The file's name; with the state or the epoch, where it is written many times."""
    path = Path(os.fsdecode(target))
    if path.name == "status.json":
        return f"{path.name} {json.loads(Path(source).read_text())['state']}"
    if path.name == "history.csv":
        return f"{path.name} {_epochs(Path(source))}"
    if path.name == "last.safetensors":  # is written before the epoch is in the history
        return f"{path.name} {_epochs(path.with_name('history.csv')) + 1}"
    return path.name


def _epochs(history: Path) -> int:
    return len(history.read_text().splitlines()) - 1


class _Imports:
    """Sees every import and finds nothing."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        reach(f"import {name}")


def _watch() -> None:
    opened, replaced, renamed = os.open, os.replace, os.rename

    def watched_open(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_EXCL:
            reach(f"create {Path(os.fsdecode(path)).name.lstrip('.').rpartition('-')[0]}")
        return opened(path, flags, *rest, **named)

    def watched_replace(source: Any, target: Any, **named: Any) -> None:
        reach(f"rename {_moment(source, target)}")
        replaced(source, target, **named)

    def watched_rename(source: Any, target: Any, **named: Any) -> None:
        reach(f"rename {_moment(source, target)}")
        renamed(source, target, **named)

    os.open, os.replace, os.rename = watched_open, watched_replace, watched_rename
    sys.meta_path.insert(0, _Imports)  # type: ignore[arg-type]
    reach("start")


if _PLAN and any(_PLAN["program"] in word for word in sys.orig_argv):
    _watch()
