"""What lies in a dataset folder: which files are images of which class, which are not, and why.

Knows names and folders only; where a file has no ending, its first bytes say whether it is DICOM.
Any folder of class folders is read. Lung masks are linked to their radiographs and never counted
as images.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from covidcore import storage
from covidcore.data.filenames import KINDS_READ, NOT_READ, is_hidden, is_image, may_be_image, stem
from covidcore.data.releases import layout_of
from covidcore.errors import DataError

Kind = Literal["masks", "hidden", "other"]
KINDS: tuple[Kind, ...] = get_args(Kind)

LEFT_OUT = ".left-out.json"
"""Beside the class folders of an unpacked archive: which of its files were left there, and why."""
_IMAGES, _MASKS = {"images"}, {"masks", "mask"}
_SPLIT_NAMES = {"train", "training", "test", "testing", "val", "valid", "validation"}


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


def list_files(root: Path) -> Listing:
    """Sort the files below ``root`` into images with a class, masks, and the rest.

    Raises: DataError where ``root`` is no folder, holds fewer than two classes, holds a class
    folder without images, or is already split into train/test folders.
    """
    root = class_root(_checked(root))
    listing = Listing(root)
    masks: list[str] = []
    listing.ignored.extend(_left_out(root))
    for entry in _walk(root, listing.ignored):
        file = Path(entry.path).relative_to(root).as_posix()
        if file == LEFT_OUT:
            continue
        try:
            reason = _reason_to_ignore(file, entry, root)
            if reason is None:
                stat = entry.stat()
                listing.stats[file] = (stat.st_size, stat.st_mtime_ns)
                listing.labels[file] = file.split("/", 1)[0]
        except OSError as error:  # a loop of links, or gone meanwhile
            reason = "other", f"it can not be opened: {error.strerror}"
        if reason is not None:
            listing.ignored.append(Ignored(_printable(file), *reason))
            if reason[0] == "masks":
                masks.append(file)
    listing.ignored.sort(key=lambda item: item.file)
    _check_classes(listing)
    listing.labels = dict(sorted(listing.labels.items()))
    listing.classes = tuple(sorted(set(listing.labels.values())))
    listing.masks = _link_masks(listing.labels, masks)
    listing.layout = layout_of(listing.labels)
    return listing


def _checked(root: Path) -> Path:
    name = _printable(str(root))
    try:
        if not root.exists():
            raise DataError(f"There is no folder {name}.")
        if not root.is_dir():
            raise DataError(f"{name} is a file, not a folder of class folders.")
        with os.scandir(root) as entries:
            next(entries, None)
    except OSError as error:
        raise DataError(f"The folder {name} can not be read: {error.strerror}.") from error
    root = root.resolve()
    if _printable(str(root)) != str(root):
        raise DataError(f"The name of the folder {name} is not valid UTF-8: rename it.")
    return root


def _printable(name: str) -> str:
    r"""A name that can be shown and stored: bytes that are not UTF-8 are written ``\udcff``."""
    return name.encode("utf-8", "backslashreplace").decode()


def _visible_folders(folder: Path) -> list[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    return [
        Path(entry.path)
        for entry in entries
        if entry.is_dir(follow_symlinks=False) and not is_hidden(entry.name)
    ]


def class_root(root: Path) -> Path:
    """Go down through single folders, as archives make them, to the one that holds the classes."""
    while True:
        folders = _visible_folders(root)
        if len(folders) != 1:
            return root
        inner = [f for f in _visible_folders(folders[0]) if f.name.lower() not in _IMAGES | _MASKS]
        if not inner:
            return root
        root = folders[0]


def _left_out(root: Path) -> list[Ignored]:
    """What an unpacked archive held beside the files that are here."""
    try:
        rows = storage.read_json(root / LEFT_OUT)
        return [Ignored(str(file), kind, str(why)) for file, kind, why in rows if kind in KINDS]
    except (DataError, TypeError, ValueError):
        return []


def _walk(folder: Path, ignored: list[Ignored]) -> Iterator[os.DirEntry[str]]:
    """Yield every file and link below ``folder``; hidden and closed folders go to ``ignored``."""
    top, stack = folder, [folder]
    while stack:
        current = stack.pop()

        def skip(path: str, kind: Kind, reason: str) -> None:
            file = Path(path).relative_to(top).as_posix()
            ignored.append(Ignored(_printable(file), kind, reason))

        try:
            entries = list(os.scandir(current))
        except OSError as error:
            skip(str(current), "other", f"the folder can not be read: {error.strerror}")
            continue
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield entry
            elif is_hidden(entry.name):
                skip(entry.path, "hidden", "a hidden folder")
            else:
                stack.append(Path(entry.path))


def _reason_to_ignore(file: str, entry: os.DirEntry[str], root: Path) -> tuple[Kind, str] | None:
    """Why ``file`` is not an image of a class; None where it is one."""
    parts = file.split("/")
    if is_hidden(entry.name):
        return "hidden", "a hidden file"
    if _printable(file) != file:
        return "other", "its name is not valid UTF-8"
    if entry.is_symlink() and entry.is_dir():
        return "other", "a link to a folder is not followed"
    if not may_be_image(entry.name):
        return "other", NOT_READ
    if not entry.is_file():
        return "other", "not a regular file"
    if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
        return "other", "a link that leads out of the dataset"
    if not is_image(Path(entry.path)):
        return "other", NOT_READ
    if any(part.lower() in _MASKS for part in parts[:-1]):
        return "masks", "a lung mask, not a radiograph"
    if len(parts) == 1:
        return "other", "it lies in no class folder"
    return None


def _check_classes(listing: Listing) -> None:
    folders = [folder.name for folder in _visible_folders(listing.root)]
    filled = set(listing.labels.values())
    empty = [name for name in folders if name not in filled and name.lower() not in _MASKS]
    where = f"in {listing.root}"
    if not filled:
        raise DataError(
            f"No {KINDS_READ} image was found {where}{_because(listing.ignored)}. A dataset is a "
            "folder that holds one folder of images for each class."
        )
    if {name.lower() for name in filled} <= _SPLIT_NAMES | _IMAGES:
        raise DataError(
            f"The folders {where} are named {_names(filled)}: these are not classes. Give the "
            "folder that holds one folder for each class."
        )
    if empty:
        raise DataError(
            f"The class folder {_names(empty)} {where} holds no {KINDS_READ} image"
            f"{_because(listing.ignored, empty[0])}. Every folder there is taken as a class: fill "
            "it, or move it away."
        )
    if len(filled) < 2:
        raise DataError(
            f"Only one class, {_names(filled)}, was found {where}. A classifier needs two or more."
        )


def _because(ignored: list[Ignored], folder: str = "") -> str:
    """The first reason, in brackets, why something in ``folder`` was not taken."""
    folder = _printable(folder)
    for item in ignored:
        if item.kind == "other" and (not folder or f"{item.file}/".startswith(f"{folder}/")):
            return f" ({item.file}: {item.reason})"
    return ""


def _names(names: set[str] | list[str]) -> str:
    return ", ".join(f"“{_printable(name)}”" for name in sorted(names))


def _link_masks(labels: dict[str, str], masks: list[str]) -> dict[str, str]:
    """Join ``CLASS/images/x.png`` with ``CLASS/masks/x.png`` by folder and stem.

    ``images`` and ``masks`` may stand anywhere in the path.
    """

    def key(file: str) -> tuple[str, str]:
        *folders, name = file.split("/")
        parts = [part for part in folders if part.lower() not in _IMAGES | _MASKS]
        return "/".join(parts), stem(name)

    by_key = {key(mask): mask for mask in sorted(masks)}
    return {file: by_key[key(file)] for file in labels if key(file) in by_key}
