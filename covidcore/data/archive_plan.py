"""Which files of an archive are unpacked, under which names, and why the others are not.

Decided from the list alone. What no honest packer writes (a name that leads out, a link, a file
twice, sizes beyond all measure) refuses the archive as a whole: it was made to do harm, or to be
read differently by different programs, and the rest of it deserves no more trust. What an honest
archive may hold and the scan can not use is left out, with a reason.
"""

import re
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

from covidcore.data.filenames import KINDS_READ, NOT_READ, is_hidden, is_table, may_be_image
from covidcore.data.listing import Ignored, Kind
from covidcore.data.zip_directory import Directory, Entry
from covidcore.errors import ArchiveError

MAX_TOTAL = 20 * 2**30
"""Bytes of everything unpacked; the largest published release has 0.8 GB."""
MAX_IMAGE = 25 * 2**20
"""Bytes of an image: larger ones are not decoded (``decode.Limits``)."""
MAX_TABLE = 100 * 2**20
"""Bytes of a table about the images."""
MAX_RATIO = 100
"""How many times its packed size a file, or all of them, may unpack to. Images hardly shrink at
all, and tables of text to a tenth."""
_SLACK = 2**20, 64 * 2**20
"""Bytes to which a file, and all of them, may unpack whatever the ratio."""
_MAX_NAME, _MAX_PATH, _MAX_DEPTH = 255, 1000, 16
"""Bytes of one name on most disks; bytes and folders of a path that leave room for ours."""
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
_ENCRYPTED = 1 | 1 << 6 | 1 << 13
_STORED, _DEFLATED = 0, 8


@dataclass(frozen=True)
class Wanted:
    """A file to unpack."""

    entry: Entry
    to: str
    """Our own name for it: a posix path that stays inside, in characters that can be seen."""


@dataclass(frozen=True)
class Plan:
    """What unpacking an archive makes."""

    files: tuple[Wanted, ...]
    """In the order in which they lie in the archive."""
    folders: tuple[str, ...]
    """Every folder that is not hidden: an empty one may be a class without images."""
    left_out: tuple[Ignored, ...]
    total: int
    """Bytes of the files, unpacked."""


def plan(directory: Directory, title: str) -> Plan:
    """Choose from the list of the archive called ``title``.

    Raises: ArchiveError, in a sentence, for an archive that is refused, and for one without images.
    """
    files: list[Wanted] = []
    folders: set[str] = set()
    left_out: list[Ignored] = []
    for entry in directory.entries:
        parts = checked_parts(entry, title)
        if not parts:
            continue
        name = "/".join(parts)
        if _is_too_long(parts):
            left_out.append(Ignored(name, "other", "its name is too long for a disk"))
            continue
        reason = _reason_to_leave(entry, parts)
        if reason is None:
            files.append(Wanted(entry, name))
        elif reason[1]:
            left_out.append(Ignored(name, *reason))
        if reason is None or reason[0] != "hidden":
            folders.update(_folders_of(name, entry.is_folder))
    check_names(files, folders, title)
    check_sizes(files, directory, title)
    if not any(may_be_image(one.to.rpartition("/")[2]) for one in files):
        raise ArchiveError(f"{title} holds no {KINDS_READ} image{_first(left_out)}.")
    total = sum(one.entry.size for one in files)
    return Plan(tuple(files), tuple(sorted(folders)), tuple(left_out), total)


def safe(name: str) -> str:
    """A name in which every character can be seen and says where it stands.

    Control, bidirectional and zero-width characters, and halves of characters, become ``_``.
    """
    return "".join("_" if unicodedata.category(c).startswith("C") else c for c in name)


def checked_parts(entry: Entry, title: str) -> list[str]:
    """The parts of an entry's path under our names; none for the archive's own root.

    Raises: ArchiveError for a path that leads out, and for what is neither a file nor a folder.
    """
    name = entry.name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if (
        name.startswith("/")
        or ".." in parts
        or "\0" in name
        or re.match(r"[A-Za-z]:", parts[0] if parts else "")
    ):
        raise ArchiveError(
            f"{title} is refused: the name “{entry.name}” in it leads out of the folder that it is "
            "unpacked to."
        )
    if entry.kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(
            f"{title} is refused: “{entry.name}” in it is a link or a device. Pack the files "
            "themselves."
        )
    if entry.flags & _ENCRYPTED:
        raise ArchiveError(
            f"{title} is encrypted: unpack it with its password, and give the folder."
        )
    return [safe(part) for part in parts]


def _is_too_long(parts: list[str]) -> bool:
    sizes = [len(part.encode()) for part in parts]
    return max(sizes) > _MAX_NAME or len(parts) > _MAX_DEPTH or sum(sizes) > _MAX_PATH


def _reason_to_leave(entry: Entry, parts: list[str]) -> tuple[Kind, str] | None:
    """Why an entry is not unpacked, "" where that is not worth telling; None where it is."""
    if any(is_hidden(part) for part in parts):
        return "hidden", "" if entry.is_folder else "a hidden file"
    if entry.is_folder:
        return "other", ""
    if "\N{REPLACEMENT CHARACTER}" in entry.name:
        return "other", "its name is not valid UTF-8"
    file = parts[-1]
    about = is_table(file)
    if not about and not may_be_image(file):
        nested = file.lower().endswith(_ARCHIVES)
        return "other", "an archive inside the archive is not unpacked" if nested else NOT_READ
    limit = MAX_TABLE if about else MAX_IMAGE
    if entry.size > limit:
        return "other", f"larger than {limit // 2**20} MiB"
    return None


def _folders_of(name: str, is_folder: bool) -> list[str]:
    folders = [str(folder) for folder in PurePosixPath(name).parents][:-1]
    return [name, *folders] if is_folder else folders


def check_names(files: list[Wanted], folders: set[str], title: str) -> None:
    """Refuse names that are one name on some disks: which of the two is meant can not be known.

    Raises: ArchiveError.
    """
    seen: dict[str, str] = {}
    for name in [*sorted(folders), *(one.to for one in files)]:
        key = unicodedata.normalize("NFC", name).casefold()
        if key in seen:
            twice = seen[key] == name
            raise ArchiveError(
                f"{title} is refused: it holds “{name}” twice."
                if twice
                else f"{title} is refused: it holds both “{seen[key]}” and “{name}”, which are one "
                "name on many disks. Rename one of them."
            )
        seen[key] = name


def check_sizes(files: list[Wanted], directory: Directory, title: str) -> None:
    """Refuse methods that are not read, and sizes that no honest archive of ours declares.

    Raises: ArchiveError.
    """
    bomb = f"{title} is refused: it unpacks to far more than an honest archive of its size does"
    for one in files:
        entry = one.entry
        if entry.method not in (_STORED, _DEFLATED):
            raise ArchiveError(
                f"{title} is packed by a method that is not read here (number {entry.method}, of "
                f"“{one.to}”): pack it anew as an ordinary zip."
            )
        if entry.method == _STORED and entry.size != entry.packed:
            raise ArchiveError(f"{title} is damaged: “{one.to}” lies about its size.")
        if entry.size > MAX_RATIO * entry.packed + _SLACK[0]:
            raise ArchiveError(f"{bomb} (“{one.to}” to {entry.size / 1e6:,.0f} MB).")
    total = sum(one.entry.size for one in files)
    if total > MAX_RATIO * directory.size + _SLACK[1]:
        raise ArchiveError(f"{bomb} ({total / 1e9:,.1f} GB).")
    if total > MAX_TOTAL:
        raise ArchiveError(
            f"{title} unpacks to {total / 1e9:,.1f} GB; at most {MAX_TOTAL / 1e9:,.1f} GB are "
            "unpacked. Unpack it yourself, and give the folder."
        )


def _first(left_out: list[Ignored]) -> str:
    """The first reason why something was left out, in brackets."""
    return next((f" ({one.file}: {one.reason})" for one in left_out if one.kind == "other"), "")
