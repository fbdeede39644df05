"""The frozen part of a network, run once an image and kept on disk for every later run.

What is stored depends on the images, the weights, the architecture, where the network is cut,
the input's size, the number format and the variant (0: the image as it is; 1, 2, ...: varied by
``augment``), and on nothing else: so runs, folds and sweeps share it.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from filelock import FileLock
from torch import nn

from covidcore import sealed, storage
from covidcore.model.preprocess import Preprocessing, normalise
from covidcore.training.augment import augment
from covidcore.training.loop import seeded
from covidcore.training.precision import autocast, device, on_device
from covidcore.training.stored import FrozenName, is_as_written

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH = 32


@dataclass(frozen=True)
class FrozenPart:
    """The frozen layers, and everything that names what they compute."""

    layers: nn.Sequential
    arch: str
    cut: str
    weights_id: str
    spec: Preprocessing
    precision: str

    @property
    def name(self) -> FrozenName:
        """What the stored activations are known by."""
        return FrozenName(self.arch, self.cut, self.weights_id, self.spec, self.precision)

    def key(self, variant: int) -> str:
        """Names the stored activations of one variant."""
        return self.name.key(variant)


def activations(
    frozen: FrozenPart,
    pixels: "NDArray[np.uint8]",
    variant: int,
    fingerprint: str,
    home: Path,
    progress: Callable[[int, int], None] | None = None,
) -> "NDArray[np.float16]":
    """Outputs of the frozen part for every row of ``pixels``: ``(N, F)`` or ``(N, H, W, C)``.

    A read-only map.
    float16 holds every bf16 activation of these networks exactly. Raises: DataError on a full
    disk; whatever ``progress`` raises, with nothing left behind.
    """
    path = frozen.name.path(variant, fingerprint, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not is_as_written(path):
            storage.sweep(path)
            _compute(frozen, pixels, variant, path, progress)
    stored: NDArray[np.float16] = np.load(path, mmap_mode="r", allow_pickle=False)
    return stored


@torch.inference_mode()
def _compute(
    frozen: FrozenPart,
    pixels: "NDArray[np.uint8]",
    variant: int,
    path: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    layers = frozen.layers.to(device()).eval()
    with storage.replacing(path) as out:
        for start in range(0, len(pixels), _BATCH):
            batch = on_device(np.array(pixels[start : start + _BATCH]))
            if variant:
                # Seeded by variant and place alone: every run means the same by "variant 2".
                batch = augment(batch, seeded(variant, start))
            with autocast(frozen.precision):
                values = layers(normalise(batch, frozen.spec))
            values = values.to(torch.float16).cpu()
            if values.ndim == 4:
                values = values.permute(0, 2, 3, 1)  # channels last, as the layers like them
            array = values.contiguous().numpy()
            if start == 0:
                shape = (len(pixels), *array.shape[1:])
                header = {"descr": "<f2", "fortran_order": False, "shape": shape}
                sums = _begin(out, header)
                # Space first: a full disk is one clear error now and not half a file later.
                room = math.prod(shape) * 2 + sealed.size_of_sums(len(pixels))
                storage.reserve(out, path.parent, room)
            for row in array:
                data = row.tobytes()
                out.write(data)
                sums.add(data)
            if progress:
                progress(min(start + _BATCH, len(pixels)), len(pixels))
        out.write(bytes(sums))


def _begin(out: IO[bytes], header: dict[str, Any]) -> sealed.Sums:
    """Write the header; what its check sums begin with."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, header)
    out.write(head.getvalue())
    return sealed.Sums(head.getvalue())
