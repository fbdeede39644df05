"""A zip archive as a dataset folder: unpacked once, whole or not at all, and again in a moment.

The list of the archive is read and checked first (``zip_directory``), then what to unpack is
chosen (``archive_plan``). What is written is counted and compared with the list's check sums. An
import that was stopped or killed goes on where it was: files that are there whole stay.
"""

import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from covidcore import storage
from covidcore.data.archive_plan import (
    Plan,
    Wanted,
    check_names,
    check_sizes,
    checked_parts,
    plan,
    safe,
)
from covidcore.data.dicom_elements import is_dicom
from covidcore.data.filenames import NOT_READ, is_hidden, is_nameless
from covidcore.data.layout import LEFT_OUT, class_root, list_files
from covidcore.data.listing import Ignored
from covidcore.data.staging import publish, staging
from covidcore.data.zip_directory import LOCAL, Directory, read_directory
from covidcore.errors import ArchiveError, DataError

Moving = Callable[[str, int, int], None]
"""Told what is being done, and how many bytes of how many are; what it raises ends the work."""

_VERSION = 1  # of how an archive becomes a folder; a change unpacks every archive again
_CHUNK = 2**18
_BLOCK = 4096  # bytes of disk that a file is rounded up to


def unpack(
    archive: Path, imports: Path, name: str = "", title: str = "", moving: Moving | None = None
) -> Path:
    """The folder below ``imports`` with what can be used of ``archive``; made, or found there.

    The same archive is the same folder, wherever it lies. ``name`` (its stem) begins the folder's
    name, and ``title`` (its path) is what messages call it. What ``moving`` raises, between two
    files, stops the work; it goes on at the next call.
    Raises: ArchiveError where it is damaged, refused or no dataset; DataError where it can not be
    read, or the disk is full.
    """
    title = title or str(archive)
    try:
        with archive.open("rb") as file:
            directory = read_directory(file, title)
            folder = _folder(imports, directory, name or archive.stem)
            if not folder.exists():
                _unpack(file, directory, folder, title, moving or (lambda *_: None))
            return folder
    except OSError as error:
        raise DataError(f"{title} can not be read: {error.strerror or error}.") from error


def _folder(imports: Path, directory: Directory, name: str) -> Path:
    key = _key(directory)
    found = sorted(path for path in imports.glob(f"*-{key}") if path.is_dir())
    name = safe(name.replace("/", "_")).strip(". ") or "archive"
    short = name.encode()[:100].decode(errors="ignore")
    return found[0] if found else imports / f"{short}-{key}"


def _key(directory: Directory) -> str:
    return storage.sha256_bytes(f"{_VERSION}:{directory.digest}".encode())[:12]


def _unpack(file: IO[bytes], directory: Directory, to: Path, title: str, moving: Moving) -> None:
    chosen = _without_strangers(file, plan(directory, title), title)
    what = f"Unpacking {title}"
    key = _key(directory)
    with staging(to, key, waiting=lambda: moving(what, 0, chosen.total)) as folder:
        if to.exists():  # whoever was waited for has made it
            return
        for inner in chosen.folders:
            (folder / inner).mkdir(parents=True, exist_ok=True)
        missing = [one for one in chosen.files if not _is_whole(one, folder)]
        left = sum(one.entry.size for one in missing)
        _check_space(folder, left + _BLOCK * len(missing), title)
        for one in missing:
            moving(what, chosen.total - left, chosen.total)
            write_file(file, one, folder / one.to, title)
            left -= one.entry.size
        moving(what, chosen.total, chosen.total)
        _finish(folder, chosen, title)
        publish(folder, to)


def _without_strangers(file: IO[bytes], chosen: Plan, title: str) -> Plan:
    """The plan without files that have no ending and do not begin as DICOM either."""
    keep, others = [], []
    for one in chosen.files:
        if is_nameless(Path(one.to).name) and not is_dicom(next(_inflated(file, one, title), b"")):
            others.append(Ignored(one.to, "other", NOT_READ))
        else:
            keep.append(one)
    if not others:
        return chosen
    total = sum(one.entry.size for one in keep)
    return replace(chosen, files=tuple(keep), left_out=(*chosen.left_out, *others), total=total)


def _is_whole(one: Wanted, folder: Path) -> bool:
    """Whether an earlier attempt has written this file to its end."""
    path, crc = folder / one.to, 0
    try:
        if path.stat().st_size != one.entry.size:
            return False
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                crc = zlib.crc32(chunk, crc)
    except FileNotFoundError:
        return False
    return crc == one.entry.crc


def _check_space(folder: Path, needed: int, title: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"{title} needs {needed / 1e6:,.1f} MB unpacked, and the disk of {folder.parent} has "
            f"{free / 1e6:,.1f} MB left: make room, or set COVIDCORE_HOME to another disk."
        )


def contents(file: IO[bytes], title: str) -> list[Wanted]:
    """The files of an archive that is no dataset, judged as a dataset's; hidden ones left out.

    What may be in it is for the caller to say. Raises: ArchiveError where it is damaged or refused.
    """
    directory = read_directory(file, title)
    every = [(entry, checked_parts(entry, title)) for entry in directory.entries]
    files = [
        Wanted(entry, "/".join(parts))
        for entry, parts in every
        if parts and not entry.is_folder and not any(map(is_hidden, parts))
    ]
    check_names(files, set(), title)
    check_sizes(files, directory, title)
    return files


def write_file(file: IO[bytes], one: Wanted, path: Path, title: str) -> None:
    """Unpack one file of an archive to ``path``.

    Raises: ArchiveError where the bytes are not those that the list promises.
    """
    size = crc = 0
    with path.open("wb") as target:
        for data in _inflated(file, one, title):
            size += len(data)
            if size > one.entry.size:
                break
            crc = zlib.crc32(data, crc)
            target.write(data)
    if size != one.entry.size:
        raise ArchiveError(f"{title} is refused: “{one.to}” in it lies about its size.")
    if crc != one.entry.crc:
        raise _damaged(title, one)


def _inflated(file: IO[bytes], one: Wanted, title: str) -> Iterator[bytes]:
    """The file's bytes, in pieces of at most ``_CHUNK``."""
    entry = one.entry
    file.seek(entry.offset)
    header = file.read(LOCAL.size)
    if len(header) < LOCAL.size or header[:4] != b"PK\3\4":
        raise _damaged(title, one)
    fields = LOCAL.unpack(header)
    flags, method, names, extras = fields[3], fields[4], *fields[-2:]
    start = entry.offset + LOCAL.size + names + extras
    same = file.read(names) == entry.raw and method == entry.method and not flags & 1
    if not same or start + entry.packed > entry.end:
        raise ArchiveError(
            f"{title} is refused: what it says about “{one.to}” differs from place to place."
        )
    file.seek(start)
    left = entry.packed
    inflate = zlib.decompressobj(-15) if entry.method and left else None
    while left:
        packed = file.read(min(_CHUNK, left))
        if not packed:
            raise _damaged(title, one)
        left -= len(packed)
        if inflate is None:
            yield packed
            continue
        try:
            yield from _drained(inflate, packed)
        except zlib.error as error:
            raise _damaged(title, one) from error
        if inflate.eof and (inflate.unused_data or left):
            raise _damaged(title, one)
    if inflate is not None and not inflate.eof:
        raise _damaged(title, one)


def _drained(inflate: "zlib._Decompress", packed: bytes) -> Iterator[bytes]:
    """All that a piece unpacks to, never more than ``_CHUNK`` bytes of it in memory."""
    more = True
    while more:
        data = inflate.decompress(packed, _CHUNK)
        yield data
        # What lies behind the end of the stream stays in the tail for ever.
        packed = b"" if inflate.eof else inflate.unconsumed_tail
        more = bool(packed) or (len(data) == _CHUNK and not inflate.eof)  # it may have more behind


def _damaged(title: str, one: Wanted) -> ArchiveError:
    return ArchiveError(f"{title} is damaged at “{one.to}”: copy or download it again.")


def _finish(folder: Path, chosen: Plan, title: str) -> None:
    """Write down what was left out, and see that a dataset has come of it.

    Raises: ArchiveError, as for a folder that is none.
    """
    root = class_root(folder)
    within = f"{root.relative_to(folder).as_posix()}/" if root != folder else ""
    left_out = [(one.file.removeprefix(within), one.kind, one.reason) for one in chosen.left_out]
    storage.sweep(root / LEFT_OUT)  # a try before may have been killed at it
    storage.write_json(root / LEFT_OUT, left_out)
    try:
        list_files(folder)
    except DataError as error:
        raise ArchiveError(str(error).replace(str(root.resolve()), title)) from error


def is_archive(path: Path) -> bool:
    """Whether a path names what ``unpack`` reads, by its ending."""
    return path.suffix.lower() == ".zip" and not is_hidden(path.name)
