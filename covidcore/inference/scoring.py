"""Logits of a finished model on images of a dataset, read from their files or given as squares."""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from covidcore.data.facts import Progress
from covidcore.data.pixels import read_square
from covidcore.model.explain import grad_cam
from covidcore.model.preprocess import Preprocessing, normalise
from covidcore.training.precision import autocast, device, on_device

_BATCH = 64


@torch.inference_mode()
def score(
    model: nn.Module,
    spec: Preprocessing,
    root: Path,
    files: Sequence[tuple[str, str]],
    precision: str,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Logits ``(N, C)`` of ``files``, pairs of name and SHA-256 below ``root``.

    The next images are read while the network looks at these.
    Raises: DataError where a file is gone or is not what was scanned.
    """
    model = model.to(device()).eval()
    parts = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def read_ahead(start: int) -> list[Future[NDArray[np.uint8]]]:
            return [
                pool.submit(read_square, root, *file, spec.image_size)
                for file in files[start : start + _BATCH]
            ]

        ahead = read_ahead(0)
        for start in range(0, len(files), _BATCH):
            now, ahead = ahead, read_ahead(start + _BATCH)
            squares = on_device(np.stack([one.result() for one in now]))
            with autocast(precision):
                logits = model(normalise(squares, spec))
            parts.append(logits.double().cpu().numpy())
            if progress:
                progress(min(start + _BATCH, len(files)), len(files))
    return np.concatenate(parts)


@torch.inference_mode()
def score_squares(
    model: nn.Module,
    spec: Preprocessing,
    squares: NDArray[np.uint8],
    precision: str,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Logits ``(N, C)`` of grey squares ``(N, S, S)`` of the model's own size."""
    model = model.to(device()).eval()
    parts = []
    for start in range(0, len(squares), _BATCH):
        batch = on_device(np.array(squares[start : start + _BATCH]))
        with autocast(precision):
            logits = model(normalise(batch, spec))
        parts.append(logits.double().cpu().numpy())
        if progress:
            progress(min(start + _BATCH, len(squares)), len(squares))
    return np.concatenate(parts)


def maps_of_squares(
    model: nn.Module, arch: str, spec: Preprocessing, squares: NDArray[np.uint8], precision: str
) -> NDArray[np.float32]:
    """Grad-CAM ``(N, h, w)`` of the class that the model answers, of squares ``(N, S, S)``."""
    model = model.to(device())
    parts = []
    for start in range(0, len(squares), _BATCH):
        batch = on_device(np.array(squares[start : start + _BATCH]))
        with autocast(precision):
            parts.append(grad_cam(model, arch, normalise(batch, spec)))
    return np.concatenate(parts)
