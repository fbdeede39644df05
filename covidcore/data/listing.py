"""The list of a dataset folder: what ``layout`` makes, and what its parts have in common."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from covidcore.data.filenames import is_hidden
from covidcore.data.labels import Labels

Kind = Literal["masks", "hidden", "other"]
KINDS: tuple[Kind, ...] = get_args(Kind)

IMAGES, MASKS = {"images"}, {"masks", "mask"}
"""Folders inside of a class folder."""


@dataclass(frozen=True)
class Ignored:
    """A file that is not taken into the index, and why."""

    file: str
    kind: Kind
    reason: str


@dataclass
class Listing:
    """The files of one dataset folder; every ``file`` is a posix path relative to ``root``."""

    root: Path
    layout: str = "flat"
    classes: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    """Image file -> class."""
    masks: dict[str, str] = field(default_factory=dict)
    """Image file -> mask file."""
    ignored: list[Ignored] = field(default_factory=list)
    stats: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Image file -> (bytes, modification time in ns)."""
    table: Labels | None = None
    """Where the labels come from a table, and not from folders."""


def printable(name: str) -> str:
    r"""A name that can be shown and stored: bytes that are not UTF-8 are written ``\udcff``."""
    return name.encode("utf-8", "backslashreplace").decode()


def visible_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, but for hidden ones and links; none where it is closed."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    return [
        Path(entry.path)
        for entry in entries
        if entry.is_dir(follow_symlinks=False) and not is_hidden(entry.name)
    ]
