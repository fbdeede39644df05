"""A dataset of Kaggle by name, and the files that its download leaves in the home."""

from dataclasses import dataclass
from pathlib import Path

from covidcore.config import Settings
from covidcore.data.background import Task


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


class Folder(Task):
    """The download of one Kaggle dataset, and its files below ``<home>/kaggle``."""

    def __init__(self, handle: Handle, settings: Settings) -> None:
        super().__init__(settings.home / "kaggle" / f"{handle.owner}--{handle.name}")

    def archive(self, version: int) -> Path:
        """The whole archive of a version."""
        return self.path / f"{version}.zip"

    def part(self, version: int) -> Path:
        """What has arrived of it so far."""
        return self.path / f"{version}.zip.part"

    def record(self, version: int) -> Path:
        """Where the version was unpacked to."""
        return self.path / f"{version}.json"

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
