"""Folders that appear whole or not at all: made hidden beside their place, flushed, renamed.

What a killed process leaves behind is told by its lock, which the kernel frees: the next who stages
a folder in the same place clears it away, or goes on with it where the work can be resumed.
"""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from covidcore import storage
from covidcore.errors import DataError

_STAGED, _KEPT, _LOCK = ".staging", ".kept", ".lock"
_FORGOTTEN = 7 * 24 * 3600
"""Seconds after which nobody is expected to go on with work that was kept."""
_LOOK_SECONDS = 0.3
_MANY = 50


@contextlib.contextmanager
def staging(to: Path, key: str = "", waiting: Callable[[], None] | None = None) -> Iterator[Path]:
    """A hidden folder beside ``to`` that is gone when the block ends, unless it was published.

    With a ``key`` the folder has the same name each time and outlives an interrupt or a kill, so
    that the next attempt finds what was done; of two with the same key, one waits for the other
    and calls ``waiting`` meanwhile. An error of the data or the disk clears it away all the same.
    Raises: DataError where the disk refuses.
    """
    name = f".{key}{_KEPT}" if key else f".{to.name[:40]}-{secrets.token_hex(6)}{_STAGED}"
    folder = to.parent / name
    lock = FileLock(_lock_of(folder))
    done = True
    try:
        with contextlib.suppress(FileExistsError):
            to.parent.mkdir(parents=True)
        os.scandir(to.parent).close()  # or the system says why it is no folder
        sweep(to.parent)
        _acquire(lock, waiting)
        folder.mkdir(exist_ok=True)
        yield folder
    except OSError as error:
        raise DataError(f"{to} could not be made: {error.strerror or error}.") from error
    except DataError:
        raise
    except BaseException:
        done = not key
        raise
    finally:
        if lock.is_locked:
            if done:
                _remove(folder)
            lock.release()


def publish(folder: Path, to: Path) -> None:
    """Give a staged folder its name; only an empty folder in its place gives way.

    Raises: OSError (``staging`` words it).
    """
    _flush(folder)
    if to.is_dir() and not to.is_symlink():
        to.rmdir()
    folder.rename(to)
    storage.sync_folder(to.parent)


def sweep(parent: Path) -> None:
    """Remove from ``parent`` what dead processes have left, but what may still be resumed."""
    for lock_file in parent.glob(f".*{_LOCK}"):
        folder = lock_file.with_name(lock_file.name.removesuffix(_LOCK))
        if folder.suffix not in (_STAGED, _KEPT):
            continue
        with contextlib.suppress(OSError, Timeout), FileLock(lock_file, timeout=0):
            if folder.suffix == _STAGED or _age(folder) > _FORGOTTEN:
                _remove(folder)


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)


def _acquire(lock: FileLock, waiting: Callable[[], None] | None) -> None:
    while True:
        try:
            lock.acquire(timeout=_LOOK_SECONDS)
            return
        except Timeout:
            if waiting:
                waiting()


def _remove(folder: Path) -> None:
    """With its lock held; whoever waits for that notices that the file is gone, and makes it."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        _lock_of(folder).unlink()


def _flush(folder: Path) -> None:
    """Flush a tree to disk, so that its new name never outlives its contents.

    In one go at the end: the disk has then long begun, which is several times faster. And where
    there are many files, everything at once: to wait for each took 125 ms a file on a busy disk.
    """
    files = [path for path in folder.rglob("*") if path.is_file()]
    if len(files) > _MANY and hasattr(os, "sync"):
        os.sync()
        return
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    for path in {folder, *(path.parent for path in files)}:
        storage.sync_folder(path)
