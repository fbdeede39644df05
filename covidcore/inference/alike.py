"""The validation images that are most like an upload, to the network that answers.

Validation images, because the run has not learnt from them: how it answered about them says
something. Features are what the network makes of an image before its head. They are all above 0
and mostly alike, so that the cosine of two images is near 1; with the mean of the validation
images taken off, it tells images apart.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from covidcore import storage

FILE = "alike.safetensors"
MOST = 2000
"""Validation images, at most, among which one looks."""

_FORMAT = 2
Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Alike:
    """Features of the validation images of one checkpoint."""

    files: tuple[str, ...]
    features: Values
    """``(N, F)``."""

    def nearest(self, features: Values, count: int = 5) -> list[tuple[str, float]]:
        """File and likeness, -1 to 1, of the most alike to ``(F,)``, the most alike first."""
        mean = self.features.mean(axis=0, dtype=np.float64)
        known, asked = _unit(self.features - mean), _unit((features - mean)[None])[0]
        likeness = known @ asked
        order = np.argsort(-likeness, kind="stable")[:count]
        return [(self.files[at], float(likeness[at])) for at in order.tolist()]


def chosen(files: Sequence[str], most: int = MOST) -> list[str]:
    """Those among which one looks: all, or an even walk through them where there are more."""
    count = len(files)
    if count <= most:
        return list(files)
    return [files[at * count // most] for at in range(most)]


def save(folder: Path, alike: Alike, checkpoint: str) -> None:
    """Keep it beside the weights, of which ``checkpoint`` is the SHA-256.

    Raises: OSError, DataError where it can not be written.
    """
    arrays: dict[str, NDArray[Any]] = {
        "features": alike.features.astype(np.float16),
        "files": np.frombuffer(json.dumps(alike.files).encode(), np.uint8),
        "checkpoint": np.frombuffer(checkpoint.encode(), np.uint8),
        "format": np.array([_FORMAT]),
    }
    arrays["checksum"] = _sum(arrays)
    storage.write_bytes(
        folder / FILE,
        save_tensors({name: np.ascontiguousarray(array) for name, array in arrays.items()}),
    )


def stored(folder: Path, checkpoint: str) -> Alike | None:
    """What was kept of this very checkpoint; None where there is none, or it is damaged."""
    try:
        arrays = load_tensors((folder / FILE).read_bytes())
        files = tuple(map(str, json.loads(arrays["files"].tobytes())))
        features = arrays["features"].astype(np.float32)
        whole = (
            arrays["format"].tolist() == [_FORMAT]
            and arrays["checksum"].tolist() == _sum(arrays).tolist()
            and arrays["checkpoint"].tobytes().decode() == checkpoint
            and features.ndim == 2
            and len(features) == len(files)
            and bool(np.isfinite(features).all())
        )
    except Exception:  # whatever a damaged file does to its reader; it is made anew
        return None
    return Alike(files, features) if whole else None


def _sum(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Of the features and of whose they are."""
    kept = arrays["features"]
    data = f"{kept.dtype} {kept.shape}".encode() + kept.tobytes() + arrays["files"].tobytes()
    return np.array([zlib.crc32(data)], dtype=np.int64)


def _unit(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """Rows ``(N, F)`` of length 1; one of length 0 stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0))
