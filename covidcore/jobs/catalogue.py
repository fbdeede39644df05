"""Which runs there are, without opening the files of each: an index of those that have ended.

The folders are the truth; the index remembers the ``RunInfo`` of runs whose status says done,
failed or cancelled, and whose worker is gone. An entry counts while ``status.json`` is the file
that it was read from (time of change, size, inode). Who writes to a run knows nothing of the
index, and workers, which may share the home over a network, never open it. Where it is missing, of
another version, damaged or locked it is made anew; where it can not be written, runs are read from
their folders.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from filelock import FileLock

from covidcore.errors import RunError
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.info import LASTING, RunInfo, describe

try:
    import sqlite3
except ImportError:  # a Python that was built without it
    sqlite3 = None  # type: ignore[assignment]

INDEX = ".index.sqlite"
"""Its name, beside the run folders."""
_MEANING = 1
"""To be raised where a field of ``RunInfo`` gets another meaning; a new field tells by itself."""
_VERSION = zlib.crc32(f"{_MEANING} {' '.join(RunInfo._fields)}".encode()) >> 1
_TABLE = """CREATE TABLE IF NOT EXISTS runs
    (run TEXT PRIMARY KEY, stamp TEXT, checksum INTEGER, info BLOB) WITHOUT ROWID"""
_PATIENCE_SECONDS = 1.0
"""How long another process may hold the index before it is made anew."""
_ENDED = {state.value: state for state in (State.DONE, State.FAILED, State.CANCELLED)}
_NOTHING_LIVE = tuple(RunInfo._field_defaults.values())

Entries: TypeAlias = dict[str, tuple[str, RunInfo]]
"""Run -> the stamp of its status file, and what was read."""


class Look(NamedTuple):
    """The runs of a home at one moment."""

    active: list[RunFolder]
    """Those whose state has to be asked for each time: waiting, running or interrupted."""
    ended: list[RunInfo]
    """Those that have ended, without the damaged ones."""
    unread: list[RunFolder]
    """The same, where there is no index to remember them in: only their state was read."""
    lost: list[str]
    """Folders that do not say what they are: their job file is missing, or damaged."""


class Catalogue:
    """The runs below a folder, each read once when it has ended."""

    def __init__(self, runs: Path, indexed: bool) -> None:
        self._runs = runs
        self._index = Index(runs) if indexed and sqlite3 else None

    def look(self) -> Look:
        """Find out what there is; the index gets what it does not know or has wrong."""
        found = self._index.read() if self._index else {}
        outdated, known = found or {}, Entries()
        look, fresh = Look([], [], [], []), []
        for run, stamp in self._stamps():
            entry = outdated.get(run)
            if entry and entry[0] == stamp:
                known[run] = entry
                del outdated[run]
                continue
            folder = RunFolder(self._runs / run)
            if not folder.job.is_file():
                if folder.path.is_dir():
                    look.lost.append(run)
                continue
            state = _ended_for_good(folder) if stamp else None
            if state is None:
                look.active.append(folder)
            elif self._index is None:
                look.unread.append(folder)
            else:
                fresh.append((folder, state, stamp))
        new = _read(fresh)
        look.lost.extend(folder.run for folder, _, _ in fresh if folder.run not in new)
        if self._index and (new or outdated):
            self._index.write(known, new, outdated, anew=found is None)
        look.ended.extend(info for _, info in (known | new).values())
        return look

    def _stamps(self) -> Iterator[tuple[str, str]]:
        """Each folder's name and the stamp of its status file.

        It is empty where there is none, or the job file is gone, without which nothing is known.
        """
        if not self._runs.is_dir():
            return
        with os.scandir(self._runs) as entries:
            # Not links: a run is read and written in the home alone.
            names = [e.name for e in entries if not e.name.startswith(".") and not e.is_symlink()]
        root = str(self._runs)
        for name in names:
            try:
                os.stat(f"{root}/{name}/job.json")  # noqa: PTH116  (ten thousand times)
                file = os.stat(f"{root}/{name}/status.json")  # noqa: PTH116
                yield name, f"{file.st_mtime_ns} {file.st_size} {file.st_ino}"
            except OSError:
                yield name, ""


def _ended_for_good(folder: RunFolder) -> State | None:
    """How a run ended; None where it may go on, or its worker has still to leave."""
    state = _ENDED.get(str(folder.status().get("state")))
    return None if state is None or folder.locked() else state


def _read(folders: list[tuple[RunFolder, State, str]]) -> Entries:
    """What is shown of ended runs, but for damaged ones. The stamp is older than what is read."""
    entries = Entries()
    for folder, state, stamp in folders:
        with contextlib.suppress(RunError):
            entries[folder.run] = stamp, describe(folder, state)
    return entries


class Index:
    """What is remembered of ended runs, in an SQLite file. Reading and writing it never fails."""

    def __init__(self, runs: Path) -> None:
        self._path = runs / INDEX

    def read(self) -> Entries | None:
        """Everything remembered; None where the index has to be made anew."""
        try:
            with contextlib.closing(self._connect("rw")) as database:
                if database.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                    return None
                rows = database.execute("SELECT run, stamp, checksum, info FROM runs").fetchall()
            return _decoded(rows)
        except (sqlite3.Error, OSError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def write(self, known: Entries, new: Entries, outdated: Collection[str], anew: bool) -> None:
        """Replace what is outdated by what is new, at once; does nothing while another writes.

        ``known`` holds what is in the index already, for where it has to be made ``anew``.
        """
        with (
            contextlib.suppress(sqlite3.Error, OSError),
            FileLock(self._path.with_suffix(".lock"), timeout=0),
        ):
            if not anew:
                with contextlib.suppress(sqlite3.Error):
                    self._store(new, outdated)
                    return
            self._remove()
            self._store(known | new, ())

    def _store(self, new: Mapping[str, tuple[str, RunInfo]], outdated: Collection[str]) -> None:
        with contextlib.closing(self._connect("rwc")) as database:
            database.execute("PRAGMA journal_mode = DELETE")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN IMMEDIATE")
            database.execute(_TABLE)
            database.execute(f"PRAGMA user_version = {_VERSION}")
            database.executemany("DELETE FROM runs WHERE run = ?", ((run,) for run in outdated))
            database.executemany("REPLACE INTO runs VALUES (?, ?, ?, ?)", _encoded(new))
            database.execute("COMMIT")

    def _remove(self) -> None:
        """The journal goes first: it would be played back into the next file of this name."""
        for suffix in ("-journal", "-wal", "-shm", ""):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _connect(self, mode: str) -> "sqlite3.Connection":
        """Open the file; ``mode``: ``rw``, or ``rwc`` to make it where it is missing."""
        address = f"{self._path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(address, _PATIENCE_SECONDS, isolation_level=None, uri=True)


def _encoded(entries: Mapping[str, tuple[str, RunInfo]]) -> Iterator[tuple[str, str, int, bytes]]:
    for run, (stamp, info) in entries.items():
        data = json.dumps(info[:LASTING]).encode()
        yield run, stamp, zlib.crc32(data), data


def _decoded(rows: list[tuple[str, str, int, bytes]]) -> Entries:
    """Rows whose checksum is right; SQLite itself does not notice a flipped bit.

    Raises: ValueError, TypeError, KeyError where the rows are none of ours.
    """
    rows = [row for row in rows if zlib.crc32(row[3]) == row[2]]
    infos = json.loads(b"[" + b",".join(row[3] for row in rows) + b"]")
    return {
        run: (stamp, RunInfo._make((own, name, _ENDED[state], *others, *_NOTHING_LIVE)))
        for (run, stamp, _, _), (own, name, state, *others) in zip(rows, infos, strict=True)
    }
