"""A dataset of Kaggle by name, and the files that its download leaves in the home."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covidcore import storage
from covidcore.config import Settings
from covidcore.errors import DataError


@dataclass(frozen=True)
class Handle:
    """A dataset on Kaggle; without a version, the newest that is here, else the newest there."""

    owner: str
    name: str
    version: int | None = None

    def __str__(self) -> str:
        """As in the address of its page."""
        exact = f"/versions/{self.version}" if self.version else ""
        return f"{self.owner}/{self.name}{exact}"


class Folder:
    """The files of one Kaggle dataset below ``<home>/kaggle``; the only place that names them."""

    def __init__(self, handle: Handle, settings: Settings) -> None:
        self.path = settings.home / "kaggle" / f"{handle.owner}--{handle.name}"
        self.lock = self.path / "lock"
        self.cancel = self.path / "cancel"
        self.log = self.path / "log.txt"
        self._status = self.path / "status.json"

    def archive(self, version: int) -> Path:
        """The whole archive of a version."""
        return self.path / f"{version}.zip"

    def part(self, version: int) -> Path:
        """What has arrived of it so far."""
        return self.path / f"{version}.zip.part"

    def record(self, version: int) -> Path:
        """Where the version was unpacked to."""
        return self.path / f"{version}.json"

    def read_status(self) -> dict[str, Any]:
        """What the last download wrote; empty where there was none."""
        with contextlib.suppress(DataError):
            status = storage.read_json(self._status)
            if isinstance(status, dict):
                return status
        return {}

    def write_status(self, **values: Any) -> None:
        """Written by whoever holds the lock, and by nobody else."""
        storage.write_json(self._status, values)

    def locked(self) -> bool:
        """Whether a download is under way."""
        return storage.is_held(self.lock)

    def versions(self, pattern: str) -> list[int]:
        """The versions of which there is a file ``*.zip`` or ``*.json``, the newest first."""
        stems = (path.name.removesuffix(pattern[1:]) for path in self.path.glob(pattern))
        return sorted((int(stem) for stem in stems if stem.isdecimal()), reverse=True)


def by_hand(handle: Handle, what: str) -> str:
    """A sentence: what went wrong, and the way that always works."""
    return (
        f"{what}. The zip can also be fetched with a browser from "
        f"https://www.kaggle.com/datasets/{handle.owner}/{handle.name} and brought in by its path."
    )
