"""Images that were decoded before, by the hash of their files: nothing is decoded twice.

A scan decodes each new file anyway, and keeps it as a square for the pixel array that most work on
the dataset begins with. Datasets that share files, such as the same folder with one more image, or
a joined one, take squares from one another.
"""

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from covidcore import storage
from covidcore.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from covidcore.data.index import Dataset

SIZE = 224
"""Pixels a side of the squares that a scan keeps: what pages show, and most recipes train on."""
_BYTES = SIZE * SIZE


class Scratch:
    """Squares of ``SIZE`` in a file without a name, which is gone with the process.

    Where the disk has no room for them it stays empty, and nobody is told: squares only save time.
    """

    def __init__(self, file: IO[bytes] | None, folder: Path) -> None:
        self._file, self._folder, self._lock = file, folder, threading.Lock()
        self._rows: dict[str, int] = {}

    def expect(self, images: int) -> bool:
        """Take room for so many squares; False where there is none, so none need be made."""
        try:
            if self._file is not None:
                storage.reserve(self._file, self._folder, images * _BYTES)
        except OSError:
            self._file = None
        return self._file is not None

    def __contains__(self, digest: str) -> bool:
        """Whether the square of the file of this SHA-256 is there."""
        return digest in self._rows

    def put(self, digest: str, square: bytes) -> None:
        """Keep a square."""
        if self._file is not None and digest not in self._rows:
            self._file.seek(len(self._rows) * _BYTES)
            self._file.write(square)
            self._rows[digest] = len(self._rows)

    def get(self, digest: str) -> bytes | None:
        """The square of the file of this SHA-256."""
        if self._file is None or digest not in self._rows:
            return None
        with self._lock:
            self._file.seek(self._rows[digest] * _BYTES)
            return self._file.read(_BYTES)


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[Scratch]:
    """Squares on the disk of ``folder``, as long as the block lasts."""
    with contextlib.ExitStack() as held:
        file = None
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(tempfile.TemporaryFile(dir=folder))
        yield Scratch(file, folder)


class Squares:
    """The squares of a dataset's files that are at hand: those of a scan, and of other datasets."""

    def __init__(
        self, dataset: "Dataset", size: int, home: Path, scanned: Scratch | None = None
    ) -> None:
        """Look which there are; ``size`` is in pixels a side."""
        from covidcore.data.index import dataset_folder, known

        self._size = size
        self._scanned = scanned if size == SIZE else None
        self._places: dict[str, tuple[Path, int, int]] = {}
        missing = set(dataset.index["sha256"])
        if self._scanned is not None:
            missing = {digest for digest in missing if digest not in self._scanned}
        for info in known(home):
            if missing and info.fingerprint != dataset.fingerprint:
                found = _squares_of(dataset_folder(home, info.fingerprint), size)
                self._places |= {digest: place for digest, place in found if digest in missing}
                missing -= set(self._places)
        self.whole = not missing
        """Whether no file has to be decoded."""

    def get(self, digest: str) -> bytes | None:
        """The square of the file of this SHA-256, row by row; None where it has to be decoded."""
        square = self._scanned.get(digest) if self._scanned is not None else None
        if square is not None:
            return square
        if digest not in self._places:
            return None
        from covidcore.data.pixels import stored_square

        path, rows, row = self._places[digest]
        return stored_square(path, rows, row, self._size)


def _squares_of(folder: Path, size: int) -> Iterator[tuple[str, tuple[Path, int, int]]]:
    """SHA-256 of each file of a dataset, and its square: array, rows, row; nothing without one."""
    from covidcore.data.pixels import array_file, bytes_of

    path = array_file(folder, size)
    if not path.is_file():
        return
    try:
        digests = storage.read_columns(folder / "index.parquet", ["sha256"])["sha256"]
    except DataError:
        return
    if path.stat().st_size != bytes_of(len(digests), size):
        return
    for row, digest in enumerate(digests):
        yield digest, (path, len(digests), row)


def pieces(pixels: "NDArray[np.uint8]", rows: int) -> "Iterator[NDArray[np.uint8]]":
    """Successive ``rows`` of squares ``(N, S, S)``, without ever holding more of them in memory.

    The pages of a map that were read count as the process's own until the map is gone.
    """
    import numpy as np

    for start in range(0, len(pixels), rows):
        shape = (min(rows, len(pixels) - start), *pixels.shape[1:])
        if isinstance(pixels, np.memmap) and pixels.filename:
            begin = pixels.offset + start * pixels.shape[1] * pixels.shape[2]
            yield np.memmap(pixels.filename, np.uint8, "r", begin, shape)
        else:
            yield pixels[start : start + rows]
