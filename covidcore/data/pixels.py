"""Decode once: every image of a dataset as one memory-mapped array of grey squares."""

import contextlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from covidcore import sealed, storage
from covidcore.data.decode import decode
from covidcore.data.facts import Progress
from covidcore.data.index import Dataset, dataset_folder
from covidcore.data.squares import Scratch, Squares
from covidcore.errors import DataError, DecodeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def resize(pixels: "NDArray[np.uint8]", size: int) -> "NDArray[np.uint8]":
    """Bring a grey image ``(H, W)`` to ``(size, size)``, the sides each on their own scale.

    Bilinear with antialiasing, as ``torchvision.transforms.Resize((size, size))`` on a Pillow
    image does; training and prediction both come through here.
    """
    import numpy as np
    from PIL import Image

    if pixels.shape == (size, size):
        return pixels
    image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image)


def pixel_array(
    dataset: Dataset,
    size: int,
    home: Path,
    progress: Progress | None = None,
    scanned: Scratch | None = None,
) -> "NDArray[np.uint8]":
    """The images of ``dataset`` as a read-only map ``(N, size, size)``; row i is index row i.

    Made on the first call and found again by every later one, and made anew where a byte of it has
    changed since; two callers at once make it once. What a scan has decoded (``scanned``), or
    another dataset of the home, is not decoded again.
    Raises: DataError where an image is gone or changed since the scan, or the disk is full.
    """
    from filelock import FileLock

    path = _path(dataset, size, home)
    array = _checked(path, len(dataset.index), size)
    if array is None:
        with contextlib.ExitStack() as held:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(FileLock(path.with_suffix(".lock")))
            except OSError as error:
                reason = f"{path.parent} can not be written to: {error.strerror}."
                raise DataError(reason) from error
            array = _checked(path, len(dataset.index), size)
            if array is None:
                storage.sweep(path)
                _build(dataset, size, path, Squares(dataset, size, home, scanned), progress)
                array = _open(path, len(dataset.index), size)
    if array is None:
        raise DataError(f"{path} was written but can not be opened again: remove it.")
    return array


def squares(
    dataset: Dataset, rows: Sequence[int], size: int, home: Path
) -> "list[NDArray[np.uint8] | None]":
    """The images of some index rows, each ``(size, size)``; None where one can not be read now.

    From the stored array where there is one, else from the files, so that a page of a gallery need
    not wait until all images have been read.
    """
    import numpy as np

    path, count = _path(dataset, size, home), len(dataset.index)
    found: dict[int, NDArray[np.uint8] | None] = {}
    for row in rows:
        if (square := stored_square(path, count, row, size)) is not None:
            found[row] = np.frombuffer(square, np.uint8).reshape(size, size)

    def read(row: int) -> "NDArray[np.uint8] | None":
        try:
            file, digest = map(str, dataset.index.loc[row, ["file", "sha256"]])
            return read_square(dataset.root, file, digest, size)
        except DataError:
            return None

    if missing := [row for row in rows if row not in found]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found |= zip(missing, pool.map(read, missing), strict=True)
    return [found[row] for row in rows]


def sweep(dataset: Dataset, size: int, home: Path) -> None:
    """Remove what processes that were killed have left of an array, unless one is being made."""
    from filelock import FileLock, Timeout

    path = _path(dataset, size, home)
    lock = path.with_suffix(".lock")
    if lock.is_file():  # else nobody has begun
        with contextlib.suppress(OSError, Timeout), FileLock(lock, timeout=0):
            storage.sweep(path)


def is_stored(dataset: Dataset, size: int, home: Path) -> bool:
    """Whether ``pixel_array`` would find the images decoded already."""
    path = _path(dataset, size, home)
    return _open(path, len(dataset.index), size) is not None


def array_file(folder: Path, size: int) -> Path:
    """Where the array of a dataset is that is kept in ``folder``."""
    return folder / f"pixels-{size}.npy"


def _path(dataset: Dataset, size: int, home: Path) -> Path:
    return array_file(dataset_folder(home, dataset.fingerprint), size)


def stored_square(path: Path, rows: int, row: int, size: int) -> bytes | None:
    """One row of a stored array; None where there is none, or it is not what was written."""
    header = header_of(rows, size)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != bytes_of(rows, size):
                return None
            file.seek(len(header) + row * size * size)
            square = file.read(size * size)
            return square if sealed.row_is_whole(file, len(header), rows, row, square) else None
    except OSError:
        return None


def bytes_of(rows: int, size: int) -> int:
    """Of a whole array file: header, squares and check sums."""
    return len(header_of(rows, size)) + rows * size * size + sealed.size_of_sums(rows)


def _checked(path: Path, rows: int, size: int) -> "NDArray[np.uint8] | None":
    """``_open`` where every byte is what was written."""
    whole = sealed.is_whole(path, len(header_of(rows, size)), rows, size * size)
    return _open(path, rows, size) if whole else None


def _open(path: Path, rows: int, size: int) -> "NDArray[np.uint8] | None":
    """Map a whole file, or None: a map over a short file would kill the process with SIGBUS."""
    import numpy as np

    header = header_of(rows, size)
    try:
        with path.open("rb") as file:
            whole = os.fstat(file.fileno()).st_size == bytes_of(rows, size)
            if not whole or file.read(len(header)) != header:
                return None
            return np.memmap(file, np.uint8, "r", len(header), (rows, size, size))
    except OSError:
        return None


def header_of(rows: int, size: int) -> bytes:
    """What numpy writes before the pixels; compared whole, as parsing a damaged one may raise."""
    import numpy as np

    header = io.BytesIO()
    shape = (rows, size, size)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return header.getvalue()


def _build(
    dataset: Dataset, size: int, path: Path, kept: Squares, progress: Progress | None
) -> None:
    files = list(zip(dataset.index["file"], dataset.index["sha256"], strict=True))

    def read(item: tuple[str, str]) -> bytes:
        file, digest = item
        square = kept.get(digest)
        return read_square(dataset.root, file, digest, size).tobytes() if square is None else square

    with storage.replacing(path) as out, ThreadPoolExecutor(os.cpu_count()) as pool:
        each = map if kept.whole else pool.map  # what lies there already needs no threads
        header = header_of(len(files), size)
        out.write(header)
        sums = sealed.Sums(header)
        # Space first: a full disk is then one clear error, and not half a file later.
        storage.reserve(out, path.parent, bytes_of(len(files), size) - len(header))
        try:
            # Futures in slices: map() would queue every decoded image while the disk is slow.
            step = 256
            for start in range(0, len(files), step):
                squares = each(read, files[start : start + step])
                for done, data in enumerate(squares, start + 1):
                    out.write(data)
                    sums.add(data)
                    if progress:
                        progress(done, len(files))
            out.write(bytes(sums))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    sealed.trust(path, len(header), len(files), size * size)


def read_square(root: Path, file: str, digest: str, size: int) -> "NDArray[np.uint8]":
    """Decode and resize one file of a dataset, whose SHA-256 was ``digest``: ``(size, size)``.

    Raises: DataError where it is gone or changed since the scan.
    """
    try:
        data = (root / file).read_bytes()
        if storage.sha256_bytes(data) != digest:
            raise DataError(f"{file} has changed since the dataset was scanned: scan it again.")
        return resize(decode(data).pixels, size)
    except (OSError, DecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{file} can not be read any more ({reason}): scan the dataset again."
        ) from error
