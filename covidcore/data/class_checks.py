"""Whether the classes of a folder are fit to learn, and if not, a sentence that says why."""

from covidcore.data.filenames import KINDS_READ
from covidcore.data.labels import Labels
from covidcore.data.listing import IMAGES, MASKS, Ignored, Listing, printable, visible_folders
from covidcore.errors import DataError

_SPLIT_NAMES = {"train", "training", "test", "testing", "val", "valid", "validation"}


def check_classes(listing: Listing) -> None:
    """Raises: DataError, as ``layout.list_files`` says."""
    folders = [folder.name for folder in visible_folders(listing.root)]
    filled = set(listing.labels.values())
    empty = [name for name in folders if name not in filled and name.lower() not in MASKS]
    if listing.table:
        _check_table(listing, listing.table)
        empty = []
    where = f"in {listing.root}"
    if not filled:
        raise DataError(
            f"No {KINDS_READ} image was found {where}{_because(listing.ignored)}. A dataset is a "
            "folder that holds one folder of images for each class."
        )
    if {name.lower() for name in filled} <= _SPLIT_NAMES | IMAGES:
        raise DataError(
            f"The folders {where} are named {quoted(filled)}: these are not classes. Give the "
            "folder that holds one folder for each class."
        )
    if empty:
        raise DataError(
            f"The class folder {quoted(empty)} {where} holds no {KINDS_READ} image"
            f"{_because(listing.ignored, empty[0])}. Every folder there is taken as a class: fill "
            "it, or move it away."
        )
    if len(filled) < 2:
        raise DataError(
            f"Only one class, {quoted(filled)}, was found {where}. A classifier needs two or more."
        )


def _check_table(listing: Listing, table: Labels) -> None:
    empty = table.classes - set(listing.labels.values())
    for name in sorted(empty):
        file = next(file for file, row in table.rows.items() if row.label == name)
        reason = next(item.reason for item in listing.ignored if item.file == printable(file))
        raise DataError(
            f"No image of the class “{name}” of {listing.root / table.name} can be used; the first "
            f"is {file}: {reason}. Files are named from the folder of the table on, with their "
            "ending."
        )


def _because(ignored: list[Ignored], folder: str = "") -> str:
    """The first reason, in brackets, why something in ``folder`` was not taken."""
    folder = printable(folder)
    for item in ignored:
        if item.kind == "other" and (not folder or f"{item.file}/".startswith(f"{folder}/")):
            return f" ({item.file}: {item.reason})"
    return ""


def quoted(names: set[str] | list[str]) -> str:
    """Names in quotation marks, sorted."""
    return ", ".join(f"“{printable(name)}”" for name in sorted(names))
