"""Datasets of kaggle.com: which one is meant, whether it is here, and its download.

The download is a process of its own (``kaggle_fetch``) that holds a lock: nobody starts a second
one, whoever asks again follows the first, and how far it is can be told from disk alone.
"""

import contextlib
import re
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.archives import Moving
from covidcore.data.kaggle_folder import Folder, Handle, by_hand
from covidcore.errors import DataError, Stopped

Phase = Literal["absent", "asking", "downloading", "stopped", "failed", "downloaded", "imported"]

DEFAULT = "tawsifurrahman/covid19-radiography-database"
_SLUG = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
_SPEC = re.compile(rf"kaggle(?::({_SLUG})/({_SLUG})(?:/versions/([1-9]\d{{0,5}}))?)?")
_MODULE = "covidcore.data.kaggle_fetch"
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class State:
    """How far a dataset has come on its way here."""

    phase: Phase
    version: int | None = None
    done: int = 0
    """Bytes on disk."""
    total: int = 0
    """Bytes of the archive; 0 where Kaggle has not said yet."""
    message: str = ""
    """Where it failed: why, and how to go on."""

    @property
    def under_way(self) -> bool:
        """Whether a process is downloading it now."""
        return self.phase in ("asking", "downloading")


def is_spec(spec: str) -> bool:
    """Whether a person means Kaggle by it."""
    return spec == "kaggle" or spec.startswith("kaggle:")


def parse(spec: str) -> Handle:
    """Read ``kaggle[:owner/name[/versions/N]]``.

    Raises: DataError for anything else.
    """
    match = _SPEC.fullmatch(spec)
    if not match:
        raise DataError(
            f"“{spec}” names no dataset of Kaggle: write kaggle:owner/name, or "
            "kaggle:owner/name/versions/3."
        )
    owner, name = (match[1], match[2]) if match[1] else DEFAULT.split("/")
    return Handle(owner, name, int(match[3]) if match[3] else None)


def imported(handle: Handle, settings: Settings) -> Path | None:
    """Where a version was unpacked to, the newest if none is named; None where none is here.

    So a name means what it meant before: no newer version comes in unasked, and no network is
    needed.
    """
    folder = Folder(handle, settings)
    for version in [handle.version] if handle.version else folder.versions("*.json"):
        with contextlib.suppress(DataError, KeyError, TypeError):
            found = Path(storage.read_json(folder.record(version))["folder"])
            if found.is_dir():
                return found
    return None


def state(spec: str, settings: Settings) -> State:
    """Whether a download is under way, done or failed, and how far it is; read from disk.

    Raises: DataError where ``spec`` names no dataset of Kaggle.
    """
    return _state(parse(spec), settings)


def _state(handle: Handle, settings: Settings) -> State:
    folder = Folder(handle, settings)
    running = folder.running  # before the status: who has ended in between has written it
    status = folder.read_status()
    version = status.get("version")
    done = folder.part(version).stat().st_size if version and folder.part(version).exists() else 0
    total = int(status.get("total") or 0)
    if running:
        return State("downloading" if total else "asking", version, done, total)
    for found, phase in (("*.json", "imported"), ("*.zip", "downloaded")):
        for number in folder.versions(found):
            if handle.version in (None, number):
                if phase == "imported" and not imported(replace(handle, version=number), settings):
                    continue
                size = folder.archive(number).stat().st_size if phase == "downloaded" else 0
                return State(phase, number, size, size)  # type: ignore[arg-type]
    if not status or (handle.version and handle.version != version):
        return State("absent", handle.version)
    phase_then: Phase = "failed" if status.get("phase") == "failed" else "stopped"
    return State(phase_then, version, done, total, str(status.get("message", "")))


def start(spec: str, settings: Settings) -> None:
    """Start the download, unless one is under way or the archive is here.

    Returns once its process works on it. Raises: DataError in demo mode, and where the process can
    not be started.
    """
    _start(parse(spec), settings)


def _start(handle: Handle, settings: Settings) -> None:
    settings.refuse_in_demo()
    if _state(handle, settings).phase in ("asking", "downloading", "downloaded", "imported"):
        return
    version = str(handle.version or 0)
    Folder(handle, settings).start(_MODULE, str(settings.home), handle.owner, handle.name, version)


def cancel(spec: str, settings: Settings) -> None:
    """Ask a download to stop; what has arrived stays, and the next one goes on with it."""
    Folder(parse(spec), settings).stop()


def fetch(handle: Handle, settings: Settings, moving: Moving | None = None) -> tuple[Handle, Path]:
    """The archive of a dataset, and its exact version; downloads it, or follows who does.

    What ``moving`` raises ends the waiting, not the download; but an interrupt stops that too.
    Raises: DataError where it can not be had, with the way to bring it by hand; Stopped where
    somebody cancelled it.
    """
    _start(handle, settings)
    pause = threading.Event()
    try:
        while True:
            now = _state(handle, settings)
            if now.phase == "downloaded" and now.version:
                exact = replace(handle, version=now.version)
                return exact, Folder(handle, settings).archive(now.version)
            if not now.under_way:
                break
            if moving:
                moving(describe(handle, now), now.done, now.total)
            pause.wait(_LOOK_SECONDS)
    except KeyboardInterrupt:
        cancel(f"kaggle:{handle}", settings)
        raise
    if now.phase == "failed":
        raise DataError(now.message or by_hand(handle, "The download failed"))
    raise Stopped(
        f"The download of {handle} from Kaggle was stopped; the next one goes on with it."
    )


def describe(handle: Handle, now: State) -> str:
    """What is being done, with the version once Kaggle has named it."""
    if now.version is None:
        return f"Asking Kaggle for {handle}"
    return f"Downloading {handle.owner}/{handle.name}, version {now.version}, from Kaggle"


def note_imported(exact: Handle, root: Path, settings: Settings) -> None:
    """Remember where a version was unpacked to; its archive is not needed any more."""
    folder, version = Folder(exact, settings), exact.version or 0
    storage.write_json(folder.record(version), {"dataset": str(exact), "folder": str(root)})
    discard(exact, settings)


def discard(exact: Handle, settings: Settings) -> None:
    """Remove the archive of a version, and what arrived of it."""
    folder, version = Folder(exact, settings), exact.version or 0
    for path in (folder.archive(version), folder.part(version)):
        path.unlink(missing_ok=True)
