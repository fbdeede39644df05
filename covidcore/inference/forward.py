"""The forward pass of a finished model: as fast as this machine can, as exact as an answer needs.

Batch normalisation is folded into the convolutions. Where bf16 is faster, images are asked in it,
and those whose answer it could change are asked again in single precision.
"""

import copy
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from covidcore.evaluation.calibration import softmax
from covidcore.model import checkpoint, golden, network
from covidcore.model.checkpoint import Contract
from covidcore.model.preprocess import normalise
from covidcore.training import precision

EXACT = 0.01
"""Largest difference of a probability from what single precision gives."""
_MARGIN = 4
"""An image's logits may be off by so many times what the golden inputs' are at the most: of 400
radiographs the worst was off by 2.5 times that (docs/performance.md)."""

Values = NDArray[np.float64]
Features = NDArray[np.float32]


class Forward:
    """Logits and features of images, by a network whose layers are changed for it."""

    def __init__(self, model: nn.Module, contract: Contract, home: Path | None = None) -> None:
        """``home`` remembers which format is faster here; without one it is single precision."""
        fold(model)
        self.model = model
        self._spec = contract.preprocessing
        self._temperature = contract.temperature
        self._exact, self._head = network.cut(model, contract.arch, "head")
        self._quick: nn.Module | None = None
        self._error = 0.0
        if home and contract.golden and precision.choose("auto", home) == "bf16":
            quick = copy.deepcopy(model).bfloat16().to(memory_format=torch.channels_last)
            self._quick, _ = network.cut(quick, contract.arch, "head")
            self._error = _MARGIN * self._worst(golden.squares(contract.golden, self._spec))

    @classmethod
    def open(cls, folder: Path, home: Path | None = None) -> "tuple[Forward, Contract]":
        """Of the checkpoint in a folder. Raises: CheckpointError, as ``checkpoint.load``."""
        model, contract = checkpoint.load(folder)
        return cls(model, contract, home), contract

    def alone(self) -> None:
        """Compute on one processor in this thread: others compute beside it."""
        torch.set_num_threads(1)

    @torch.inference_mode()
    def __call__(self, squares: NDArray[np.uint8]) -> tuple[Values, Features]:
        """Logits ``(N, C)`` and features ``(N, F)`` of grey squares ``(N, S, S)``."""
        batch = normalise(torch.from_numpy(squares), self._spec)
        if not self._quick:
            return self._asked(self._exact, batch)
        logits, features = self._asked(self._quick, batch)
        again = np.flatnonzero(self._doubtful(logits))
        if len(again):
            logits[again], features[again] = self._asked(self._exact, batch[again])
        return logits, features

    def _doubtful(self, logits: Values) -> NDArray[np.bool_]:
        """Of which images a probability may be off by more than ``EXACT``.

        If each logit is off by at most e, then a probability p of softmax(logits / T) is off by at
        most p (1 - p) 2 e / T, to first order.
        """
        p = softmax(logits, self._temperature)
        off: Values = (p * (1 - p) * 2 * self._error / self._temperature).max(axis=1)
        return off > EXACT

    def _asked(self, body: nn.Module, batch: torch.Tensor) -> tuple[Values, Features]:
        """The head computes in single precision: rounded logits would be off by more."""
        features = body(batch.to(next(body.parameters()).dtype)).float()
        return self._head(features).double().numpy(), features.numpy()

    @torch.inference_mode()
    def _worst(self, squares: NDArray[np.uint8]) -> float:
        """Largest difference of a logit between the two formats, beside what all have in common."""
        assert self._quick
        batch = normalise(torch.from_numpy(squares), self._spec)
        off = self._asked(self._quick, batch)[0] - self._asked(self._exact, batch)[0]
        return float(np.abs(off - off.mean(axis=1, keepdims=True)).max())


def fold(model: nn.Module) -> None:
    """Make each convolution of a finished network do what the normalisation after it does."""
    for parent in list(model.modules()):
        for (name, first), (after, second) in pairwise(list(parent.named_children())):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(first, second))
                setattr(parent, after, nn.Identity())
    model.to(memory_format=torch.channels_last)
