"""Images that weights were trained on, told by hashes: those are no test of what comes of them.

Whoever passes weights on can pass these on too: a hash of 480 bits is no picture. It says of each
two neighbours of a 16 x 16 picture which is the brighter one, along the rows and down the columns:
enough to tell radiographs apart, which the 64 bits of `hashes.dhash` are not (docs/decisions.md).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from covidcore import storage
from covidcore.data.duplicates import THUMBNAIL, thumbnails
from covidcore.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

FILE = "known.safetensors"
BITS = 2 * THUMBNAIL * (THUMBNAIL - 1)
DISTANCE = 36
"""Bits of 480 in which hashes of copies may differ; docs/results.md says what that finds."""

_FORMAT = 1
_BLOCK = 1024
_BROKEN = (OSError, KeyError, TypeError, ValueError, RecursionError)


@dataclass(frozen=True, eq=False)
class KnownImages:
    """Names and hashes of images that a model, or what it began as, was trained on."""

    files: tuple[str, ...]
    hashes: NDArray[np.uint8]
    """``(N, 60)``, 480 bits each, as ``look_hashes`` makes them."""

    def __len__(self) -> int:
        """How many there are."""
        return len(self.files)

    def __or__(self, other: "KnownImages") -> "KnownImages":
        """Both; an image of the same hash is named once, as the first of them names it."""
        hashes = np.concatenate([self.hashes, other.hashes])
        _, first = np.unique(hashes, axis=0, return_index=True)
        kept = np.sort(first)
        files = (*self.files, *other.files)
        return KnownImages(tuple(files[place] for place in kept), hashes[kept])


NOTHING = KnownImages((), np.zeros((0, BITS // 8), np.uint8))


def look_hashes(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of thumbnails ``(N, 16, 16)``: ``(N, 60)``, rows first, the first comparison highest."""
    right = levels[:, :, 1:] > levels[:, :, :-1]
    below = levels[:, 1:] > levels[:, :-1]
    bits = np.concatenate([part.reshape(len(levels), -1) for part in (right, below)], axis=1)
    return np.packbits(bits, axis=1)


def known_of(index: "pd.DataFrame") -> KnownImages:
    """The images of an index, or of some of its rows, to be known again."""
    return KnownImages(tuple(index["file"]), look_hashes(thumbnails(index)))


def like(index: "pd.DataFrame", known: KnownImages) -> NDArray[np.int64]:
    """For each row the known image that it is a copy of, mirrored too; -1 where it is of none."""
    found = np.full(len(index), -1, np.int64)
    if not len(known) or not len(index):
        return found
    levels = thumbnails(index)
    for views in (levels[:, :, ::-1], levels):  # as it is goes before mirrored
        for start, distances in _distances(look_hashes(views), known.hashes):
            nearest = distances.argmin(axis=1)
            close = distances[np.arange(len(nearest)), nearest] <= DISTANCE
            found[start : start + len(nearest)][close] = nearest[close]
    return found


def _distances(
    ours: NDArray[np.uint8], theirs: NDArray[np.uint8]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Bits in which each pair differs, some rows at a time: where these begin, and ``(n, M)``."""
    columns = signs(theirs)
    for start in range(0, len(ours), _BLOCK):
        agreeing = signs(ours[start : start + _BLOCK]) @ columns.T
        yield start, (np.float32(BITS) - agreeing) / np.float32(2)


def signs(hashes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bits as 1 and -1, ``(N, 480)``: a product of two is what agrees less what does not."""
    bits: NDArray[np.float32] = np.unpackbits(hashes, axis=1).astype(np.float32)
    return bits * 2 - 1


def in_words(counts: dict[str, int] | None) -> str:
    """A sentence on how many images of each set the starting weights had seen; empty if unknown.

    ``counts`` has train, val and test.
    """
    if counts is None:
        return ""
    began, total = "The weights that training began with", sum(counts.values())
    if not total:
        return f"{began} were trained on none of these images."
    tested = counts["val"] + counts["test"]
    if not tested:
        return (
            f"{began} had been trained on {total:,} of these images. All of those are in the "
            "training set: none is validated or tested on."
        )
    return (
        f"{began} had been trained on {total:,} of these images, {counts['test']:,} of which are "
        f"test images and {counts['val']:,} validation images (known_images=any): the figures "
        "flatter."
    )


def save(folder: Path, known: KnownImages) -> dict[str, Any]:
    """Write them into ``folder``; returns what the contract beside them says of the file."""
    from safetensors.numpy import save as save_tensors

    data = save_tensors(
        {
            "hashes": np.ascontiguousarray(known.hashes),
            # A tensor, as safetensors orders its metadata differently each time.
            "files": np.frombuffer(json.dumps(known.files).encode(), np.uint8),
            "format": np.array([_FORMAT]),
        }
    )
    storage.write_bytes(folder / FILE, data)
    return {"sha256": storage.sha256_bytes(data), "images": len(known)}


def load(folder: Path, stated: dict[str, Any] | None) -> KnownImages:
    """Open them by what the contract says; nothing where it says nothing.

    Raises: DataError where the file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as load_tensors

    if stated is None:
        return NOTHING
    try:
        data = (folder / FILE).read_bytes()
        if storage.sha256_bytes(data) != stated["sha256"]:
            raise ValueError("damaged")
        arrays = load_tensors(data)
        files = tuple(map(str, json.loads(arrays["files"].tobytes())))
        hashes = arrays["hashes"]
        if arrays["format"].tolist() != [_FORMAT] or hashes.dtype != np.uint8:
            raise ValueError("format")
        if hashes.shape != (len(files), BITS // 8):
            raise ValueError("shape")
        return KnownImages(files, hashes)
    except (*_BROKEN, SafetensorError) as error:
        raise DataError(
            f"{folder / FILE}, which says on what these weights were trained, is missing or "
            "damaged: resume their run to make it anew, or put the file back."
        ) from error
