"""Archives sent by a browser, kept on disk until they are unpacked; named by what they hold."""

import contextlib
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import IO

from covidcore import storage
from covidcore.config import Settings
from covidcore.errors import DataError

MAX_UPLOAD = 2 * 2**30
"""Bytes. The app's server has a lower limit of its own (``server.maxUploadSize``)."""

_CHUNK = 2**20
_KEPT_SECONDS = 24 * 3600


def store_upload(file: IO[bytes], name: str, settings: Settings, limit: int = MAX_UPLOAD) -> Path:
    """Copy an upload to ``<home>/uploads/<SHA-256>.zip``, in pieces; the same one is kept once.

    ``name`` is what the sender called it; ``title_of`` gives it back. Uploads of more than a day
    ago are removed.
    Raises: DataError in demo mode, for what is no zip archive or larger than ``limit`` bytes, and
    where the disk refuses.
    """
    settings.refuse_in_demo()
    folder = settings.home / "uploads"
    _clear(folder)
    aside = folder / f".upload-{secrets.token_hex(6)}"
    digest = hashlib.sha256()
    size = 0
    with storage.replacing(aside) as copy:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise DataError(
                    f"{name} is larger than {limit / 1e6:,.0f} MB: put it on this machine and give "
                    "its path."
                )
            if size == len(chunk) and chunk[:2] != b"PK":
                raise DataError(f"{name} is no zip archive.")
            digest.update(chunk)
            copy.write(chunk)
    if not size:
        aside.unlink()
        raise DataError(f"{name} is empty.")
    path = folder / f"{digest.hexdigest()}.zip"
    storage.write_json(path.with_suffix(".json"), {"name": name})
    os.replace(aside, path)
    storage.sync_folder(folder)
    return path


def title_of(path: Path, home: Path) -> str:
    """What the sender called an upload; "" for any other file."""
    if path.parent != home / "uploads":
        return ""
    try:
        about = storage.read_json(path.with_suffix(".json"))
    except DataError:
        return ""
    return str(about.get("name", "")) if isinstance(about, dict) else ""


def _clear(folder: Path) -> None:
    """Remove what was unpacked long ago, or never arrived whole."""
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                path.unlink()
