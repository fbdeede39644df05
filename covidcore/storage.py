"""Files that are never half there: written aside, flushed to disk, renamed into place."""

import contextlib
import errno
import glob
import hashlib
import io
import json
import math
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from covidcore import sealed
from covidcore.errors import DataError
from covidcore.failpoints import reach

if TYPE_CHECKING:
    import pandas as pd

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a disk, or a user's share of it, answers when it has no room."""

_CHUNK = 1 << 20


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file that takes ``path``'s place when the block ends, and only then.

    A reader sees the old file or the whole new one; an error or a kill leaves the old one.
    Raises: DataError where the disk refuses, naming the path.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.parent / f".{path.name[:40]}-{secrets.token_hex(6)}"
        # Not mkstemp, whose files only their owner may read: homes are shared in a lab.
        descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise DataError(f"{path.parent} can not be written to: {error.strerror}.") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                with contextlib.suppress(OSError):
                    file.close()  # what it holds back may not fit either: the first error counts
                raise
        reach(f"write {path.name}")
        os.replace(aside, path)
        sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise DataError(f"{path} could not be written: {reason}.") from error
        raise


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names, so that a rename in it survives a power cut."""
    with contextlib.suppress(OSError):  # Windows opens no folders, and needs no such flush
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep(path: Path) -> None:
    """Remove what was being written for ``path`` by processes that were killed.

    For whoever holds the lock under which ``path`` is written.
    """
    for aside in path.parent.glob(f".{glob.escape(path.name[:40])}-*"):
        with contextlib.suppress(OSError):
            aside.unlink()


def is_held(lock: Path) -> bool:
    """Whether some process holds the lock file ``lock`` (``filelock.FileLock``) now."""
    if not lock.is_file():
        return False
    if fcntl is None:
        from filelock import FileLock, Timeout

        try:
            with FileLock(lock, timeout=0):
                return False
        except Timeout:
            return True
    with lock.open("rb") as file:
        try:
            # Shared, so that two who look at once do not take each other for the holder.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def reserve(file: IO[bytes], folder: Path, size: int) -> None:
    """Take ``size`` bytes of ``folder``'s disk before a long write of so many begins.

    A full disk is then one clear error at the start, with what is needed and what is left.
    Raises: OSError (``replacing`` words it).
    """
    try:
        file.flush()
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), file.tell(), size)
        elif shutil.disk_usage(folder).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        os.ftruncate(file.fileno(), 0)  # what it got of the room is left, too
        left = shutil.disk_usage(folder).free
        reason = f"it needs {size / 1e6:,.1f} MB, and {left / 1e6:,.1f} MB are left"
        raise OSError(error.errno, f"{os.strerror(error.errno)} ({reason})") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``."""
    with replacing(path) as file:
        if len(data) > _CHUNK:
            reserve(file, path.parent, len(data))
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by UTF-8 ``text``.

    Half characters, as names that are not UTF-8 have, become ``\\udcff``: in JSON they come back.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by indented JSON; NaN and infinities become null.

    An object gets a check sum as its last entry, which ``read_json`` looks at and takes off.
    """
    known = plain(value)
    if isinstance(known, dict):
        write_bytes(path, sealed.json_bytes(known))
    else:
        write_text(path, json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Replace ``path`` by a parquet file."""
    data = io.BytesIO()
    table.to_parquet(data, index=False, write_page_checksum=True)
    write_bytes(path, sealed.seal_parquet(data.getvalue()))


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Replace ``path`` by a CSV file."""
    write_text(path, table.to_csv(index=False))


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises: DataError where it is missing, not JSON, not as ``write_json`` left it, or is no file:
    of a pipe or a device there may be no end.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path} can not be read: it is no file.")
        return sealed.parse(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} can not be read: it is damaged or not JSON.") from error


def read_table(path: Path) -> "pd.DataFrame":
    """Read a parquet file.

    Raises: DataError where it is missing or damaged, be it by a bit.
    """
    return _read_table(path, None)


def _read_table(path: Path, columns: list[str] | None) -> "pd.DataFrame":
    import pandas as pd

    try:
        data = path.read_bytes()
        if not sealed.parquet_is_whole(data):
            raise ValueError("it is not as it was written")
        return pd.read_parquet(io.BytesIO(data), columns=columns, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there.") from error
    except Exception as error:  # flipped bits were seen to raise seven kinds
        raise DataError(f"{path} can not be read: it is damaged or not parquet.") from error


def read_columns(path: Path, columns: list[str]) -> "pd.DataFrame":
    """Read some columns of a parquet file.

    Raises: DataError where it is missing or damaged, or lacks one.
    """
    return _read_table(path, columns)


def plain(value: Any) -> Any:
    """Turn numpy scalars, paths and tuples into what JSON knows; NaN and infinities into None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def canonical_json(value: Any) -> bytes:
    """One spelling for one value: sorted keys, no spaces. The input of every content hash."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":")).encode()


def sha256_bytes(data: bytes) -> str:
    """SHA-256 as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
