"""What a model is familiar with, kept beside its weights: the gate judges uploads by it.

Made at the end of training from the run's own training and validation images. No pickle: tensors
and a list of names in one safetensors file, whose SHA-256 is in the contract. A model that is
passed on goes without thumbnails of its training images: it has hashes of them (`data.known`).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from covidcore import storage
from covidcore.data.comparing import standardised
from covidcore.data.known import load as load_known
from covidcore.errors import CheckpointError, DataError
from covidcore.inference.hashed import Hashed
from covidcore.inference.looks import grey_statistics
from covidcore.inference.memory import SIDE, Memory, thumbnail
from covidcore.inference.novelty import PERCENTILE, Novelty, Values

FILE = "familiar.safetensors"
STATISTICS = 3000
"""Training images, at most, whose distribution is described; all are remembered."""

_FORMAT = 1
_ALIKE = 0.5
"""Median correlation with the mean image under which a dataset has no typical one."""


@dataclass(frozen=True, eq=False)
class Familiar:
    """The distribution of features and of grey levels, and the training images in small."""

    features: Novelty
    """Of pooled features: what the network makes of an image before its head."""
    looks: Novelty
    """Of grey-level statistics."""
    memory: Memory | Hashed
    typical: Values
    """The mean thumbnail ``(32, 32)``."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Images of one set: features ``(N, F)``, statistics ``(N, K)`` and classes ``(N,)``."""

    features: Values
    looks: Values
    labels: NDArray[np.int64]


def describe(
    training: Sample,
    validation: Sample,
    files: tuple[str, ...],
    thumbnails: NDArray[np.uint8],
) -> Familiar:
    """From two samples, and thumbnails ``(N, 32, 32)`` of all training images with their names."""
    one_class = np.zeros_like(training.labels)
    return Familiar(
        Novelty.fit(training.features, training.labels, validation.features),
        Novelty.fit(training.looks, one_class, validation.looks),
        Memory(files, thumbnails),
        _typical(thumbnails),
    )


def _typical(thumbnails: NDArray[np.uint8]) -> Values:
    """The mean thumbnail; of one grey, which is like nothing, where the images have none."""
    mean = thumbnails.mean(axis=0, dtype=np.float64)
    alike = standardised(thumbnails) @ standardised(mean[None])[0]
    if np.median(alike) < _ALIKE:
        mean = np.zeros_like(mean)
    return np.asarray(mean, np.float32)


def thumbnails_of(squares: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Thumbnails ``(n, 32, 32)`` of some of the squares ``(N, S, S)``."""
    return np.stack([thumbnail(np.asarray(squares[row])) for row in rows])


def save(folder: Path, familiar: Familiar) -> dict[str, Any]:
    """Write it beside the weights; returns what the contract says of it."""
    data = _pack(familiar)
    storage.write_bytes(folder / FILE, data)
    return {
        "sha256": storage.sha256_bytes(data),
        "percentile": PERCENTILE,
        "feature_threshold": storage.plain(familiar.features.threshold),
        "images": len(familiar.memory.files),
    }


def load(
    folder: Path, stated: dict[str, Any] | None, known: dict[str, Any] | None = None
) -> Familiar | None:
    """Open it by what the contract says; None for a run of a version that did not make it.

    ``known``: what the contract says of the hashes, asked where there are no thumbnails.
    Raises: CheckpointError where it is missing or damaged.
    """
    if stated is None:
        return None
    try:
        data = (folder / FILE).read_bytes()
        if storage.sha256_bytes(data) != stated["sha256"]:
            raise ValueError("damaged")
        return _unpack(data, lambda: Hashed(load_known(folder, known)))
    except (
        *(DataError, OSError, KeyError, TypeError, ValueError),
        *(SafetensorError, RecursionError),
    ) as error:
        raise CheckpointError(
            f"{folder / FILE} is missing or damaged: resume this run to make it anew."
        ) from error


def _pack(familiar: Familiar) -> bytes:
    arrays = {
        "features.means": familiar.features.means,
        "features.whitening": familiar.features.whitening,
        "looks.means": familiar.looks.means,
        "looks.whitening": familiar.looks.whitening,
        "thresholds": np.array([familiar.features.threshold, familiar.looks.threshold]),
        "typical": familiar.typical,
        "format": np.array([_FORMAT]),
    }
    if isinstance(familiar.memory, Memory):
        # A tensor, as safetensors orders its metadata differently each time.
        names = json.dumps(familiar.memory.files).encode()
        arrays |= {
            "thumbnails": familiar.memory.thumbnails,
            "files": np.frombuffer(names, np.uint8),
        }
    packed: bytes = save_tensors({name: np.ascontiguousarray(a) for name, a in arrays.items()})
    return packed


def _unpack(data: bytes, hashed: Callable[[], Hashed]) -> Familiar:
    arrays = load_tensors(data)
    thresholds = arrays["thresholds"].tolist()
    typical = arrays["typical"]
    if (
        arrays["format"].tolist() != [_FORMAT]
        or typical.shape != (SIDE, SIDE)
        or not np.isfinite(typical).all()
    ):
        raise ValueError("format")
    memory = _thumbnails(arrays) if "thumbnails" in arrays else hashed()
    features, looks = (
        _novelty(arrays[f"{name}.means"], arrays[f"{name}.whitening"], threshold)
        for name, threshold in zip(("features", "looks"), thresholds, strict=True)
    )
    if looks.means.shape[1] != grey_statistics(np.zeros((1, SIDE, SIDE), np.uint8)).shape[1]:
        raise ValueError("looks")
    return Familiar(features, looks, memory, typical)


def _thumbnails(arrays: dict[str, NDArray[Any]]) -> Memory:
    """Raises: ValueError where they are none."""
    files, thumbnails = json.loads(arrays["files"].tobytes()), arrays["thumbnails"]
    if thumbnails.shape != (len(files), SIDE, SIDE) or thumbnails.dtype != np.uint8:
        raise ValueError("thumbnails")
    return Memory(tuple(map(str, files)), thumbnails)


def _novelty(means: Values, whitening: Values, threshold: float) -> Novelty:
    """Raises: ValueError for shapes that do not belong together, and for what is no number."""
    size = means.shape[-1]
    if means.ndim != 2 or not len(means) or whitening.shape != (size, size):
        raise ValueError("shapes")
    if not (np.isfinite(means).all() and np.isfinite(whitening).all() and threshold > 0):
        raise ValueError("values")
    return Novelty(means, whitening, threshold)
