"""What many tests read and none writes is made once in a session, by whichever process asks first.

Under xdist a session has several processes; the others wait for the one that makes it.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.index import Dataset, load, scan
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.data.sources import resolve

_places: list[Path] = []


def share_in(base: Path) -> None:
    """Keep what is made in this session below ``base``, the temporary folder of this process."""
    worker = process() != "main"
    _places.append((base.parent if worker else base) / "once")  # xdist's are side by side


def process() -> str:
    """The name of this process among those that work on the session."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


def once(name: str, make: Callable[[Path], object]) -> Path:
    """The folder ``name``, filled by ``make``; not to be written to."""
    folder = _places[-1] / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    whole = folder.with_name(f"{name}.whole")
    with FileLock(folder.with_name(f"{name}.lock")):
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed at it
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder


def key(*parts: object) -> str:
    """A name of what is made from these."""
    return storage.sha256_bytes(repr(parts).encode())[:16]


def drawn(spec: PhantomSpec, name: str = "set") -> Path:
    """The phantoms of this spec in a folder of this name; not to be written to."""
    return once(f"phantoms-{key(spec, name)}", lambda to: write(spec, to / name)) / name


def scanned(folder: Path, home: Path) -> Dataset:
    """A folder that nobody writes to, known in ``home`` as if it had been scanned there."""
    kept = once(f"scan-{key(folder)}", lambda to: scan(folder, to))
    return _known_in(home, kept)


def phantoms_in(home: Path, images: int) -> Dataset:
    """The dataset ``phantoms:images`` in ``home``, as if it had been drawn there."""
    asked = f"phantoms:{images}"
    _known_in(home, once(f"home-{images}", lambda to: resolve(asked, Settings(home=to))))
    return resolve(asked, Settings(home=home))  # whose folder is here now


def _known_in(home: Path, kept: Path) -> Dataset:
    """What a home with one dataset holds, copied to another."""
    shutil.copytree(kept, home, dirs_exist_ok=True)
    (folder,) = (kept / "datasets").iterdir()
    return load(folder.name, home)
