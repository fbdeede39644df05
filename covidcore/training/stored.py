"""Where outputs of a frozen network are kept, and whether they are there; knows no torch.

``activations`` computes them. Pages ask here what a run would still have to compute.
"""

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from covidcore import sealed, storage
from covidcore.data.index import dataset_folder
from covidcore.model.preprocess import Preprocessing


@dataclass(frozen=True)
class FrozenName:
    """Everything that names what the frozen part of a network computes."""

    arch: str
    cut: str
    weights_id: str
    spec: Preprocessing
    precision: str

    def key(self, variant: int) -> str:
        """Names the stored activations of one variant."""
        parts = {
            "schema": 1,
            "arch": self.arch,
            "cut": self.cut,
            "weights": self.weights_id,
            "spec": asdict(self.spec),
            "precision": self.precision,
            "variant": variant,
        }
        return storage.sha256_bytes(storage.canonical_json(parts))[:16]

    def path(self, variant: int, fingerprint: str, home: Path) -> Path:
        """The file of one variant of a dataset's images."""
        return dataset_folder(home, fingerprint) / "activations" / f"{self.key(variant)}.npy"


def is_whole(path: Path) -> bool:
    """Whether the file is as long as its header says; a map over less would end the process."""
    shape = _shape(path)
    if shape is None:
        return False
    return shape.size == shape.header + shape.data + sealed.size_of_sums(shape.rows)


def is_as_written(path: Path) -> bool:
    """Whether every byte is what was written, too; reads all of it, once a process."""
    shape = _shape(path)
    if shape is None:
        return False
    return sealed.is_whole(path, shape.header, shape.rows, shape.data // max(1, shape.rows))


class _Shape(NamedTuple):
    """Of an array file: bytes of its header, of its data and of all of it; its rows."""

    header: int
    data: int
    size: int
    rows: int


def _shape(path: Path) -> _Shape | None:
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            size = os.fstat(file.fileno()).st_size
            data = math.prod(shape) * dtype.itemsize
            return _Shape(file.tell(), data, size, shape[0] if shape else 0)
    except Exception:  # a damaged header makes its parser raise of many kinds
        return None
