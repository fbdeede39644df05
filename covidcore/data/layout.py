"""What lies in a dataset folder: which files are images of which class, which are not, and why.

Knows names and folders only; where a file has no ending, its first bytes say whether it is DICOM.
Any folder of class folders is read, or a table (``labels``) tells the classes. Lung masks are
linked to their radiographs and never counted as images.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from covidcore import storage
from covidcore.data.class_checks import check_classes
from covidcore.data.filenames import NOT_READ, is_hidden, is_image, may_be_image, stem
from covidcore.data.labels import LABELS, Labels, read_labels
from covidcore.data.listing import (
    IMAGES,
    KINDS,
    MASKS,
    Ignored,
    Kind,
    Listing,
    printable,
    visible_folders,
)
from covidcore.data.releases import layout_of
from covidcore.errors import DataError

MASK = "a lung mask, not a radiograph"
LEFT_OUT = ".left-out.json"
"""Beside the class folders of an unpacked archive: which of its files were left there, and why."""


def list_files(root: Path, table: str = "") -> Listing:
    """Sort the files below ``root`` into images with a class, masks, and the rest.

    A folder is a class; but where there is a ``labels.csv``, or a ``table`` of another name is
    given, that tells the classes. Raises: DataError where ``root`` is no folder, holds fewer than
    two classes, a class without images, a table that can not be used, or is already split into
    train/test folders.
    """
    root = _checked(root) if table else class_root(_checked(root))
    listing = Listing(root, table=_labels(root, table))
    masks: list[str] = []
    listing.ignored.extend(_left_out(root))
    for entry in _walk(root, listing.ignored):
        file = Path(entry.path).relative_to(root).as_posix()
        if file == LEFT_OUT or (listing.table and file == listing.table.name):
            continue
        try:
            reason = _reason_to_ignore(file, entry, root) or _no_label(file, listing.table)
            if reason is None:
                stat = entry.stat()
                listing.stats[file] = (stat.st_size, stat.st_mtime_ns)
                listing.labels[file] = (
                    listing.table.rows[file].label if listing.table else file.split("/", 1)[0]
                )
        except OSError as error:  # a loop of links, or gone meanwhile
            reason = "other", f"it can not be opened: {error.strerror}"
        if reason is not None:
            listing.ignored.append(Ignored(printable(file), *reason))
            if reason[0] == "masks":
                masks.append(file)
    if listing.table:
        _account(listing, listing.table)
    listing.ignored.sort(key=lambda item: item.file)
    check_classes(listing)
    listing.labels = dict(sorted(listing.labels.items()))
    listing.classes = tuple(sorted(set(listing.labels.values())))
    listing.masks = _link_masks(listing.labels, masks)
    listing.layout = "csv" if listing.table else layout_of(listing.labels)
    return listing


def _checked(root: Path) -> Path:
    name = printable(str(root))
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
    if printable(str(root)) != str(root):
        raise DataError(f"The name of the folder {name} is not valid UTF-8: rename it.")
    return root


def class_root(root: Path) -> Path:
    """Go down through single folders, as archives make them, to the one that holds the classes."""
    while True:
        folders = visible_folders(root)
        if len(folders) != 1 or (root / LABELS).is_file():
            return root
        inner = [f for f in visible_folders(folders[0]) if f.name.lower() not in IMAGES | MASKS]
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
            ignored.append(Ignored(printable(file), kind, reason))

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
    if printable(file) != file:
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
    if any(part.lower() in MASKS for part in parts[:-1]):
        return "masks", MASK
    return None


def _no_label(file: str, table: Labels | None) -> tuple[Kind, str] | None:
    if table:
        return None if file in table else ("other", f"{table.name} has no row for it")
    return None if "/" in file else ("other", "it lies in no class folder")


def _labels(root: Path, table: str) -> Labels | None:
    path = root / (table or LABELS)
    return read_labels(path) if path.is_file() else None  # to open a pipe would wait for ever


def _account(listing: Listing, table: Labels) -> None:
    """Say of each row of the table that led to no image why."""
    known = {item.file for item in listing.ignored}
    gone = f"{table.name} names it, and there is no such file"
    missing = [(file, gone) for file in table.rows if file not in listing.labels]
    more = [(file, why) for file, why in missing if printable(file) not in known]
    better = {file: why for file, why in table.problems if file != table.name}
    listing.ignored = [item for item in listing.ignored if item.file not in better]
    for file, reason in more + table.problems:
        listing.ignored.append(Ignored(printable(file), "other", reason))


def _link_masks(labels: dict[str, str], masks: list[str]) -> dict[str, str]:
    """Join ``CLASS/images/x.png`` with ``CLASS/masks/x.png`` by folder and stem.

    ``images`` and ``masks`` may stand anywhere in the path.
    """

    def key(file: str) -> tuple[str, str]:
        *folders, name = file.split("/")
        parts = [part for part in folders if part.lower() not in IMAGES | MASKS]
        return "/".join(parts), stem(name)

    by_key = {key(mask): mask for mask in sorted(masks)}
    return {file: by_key[key(file)] for file in labels if key(file) in by_key}
