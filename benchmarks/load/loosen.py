"""Undoes, at import, what keeps the app small and quick where many ask at once."""

import contextlib
import gc
from typing import Any

import torch

from covidcore.inference.predictor import Predictor

_made = Predictor.__init__


def _in_no_order(self: Predictor, *given: Any) -> None:
    _made(self, *given)
    self.turn = contextlib.nullcontext()  # type: ignore[assignment]


Predictor.__init__ = _in_no_order  # type: ignore[method-assign]
torch.set_num_threads = lambda count: None
gc.freeze = lambda: None
