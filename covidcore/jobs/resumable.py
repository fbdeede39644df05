"""The checkpoint of a run that is not finished: what is needed to go on after any step.

One safetensors file, so that tensors and position can not be of different moments: the trained
part, the optimiser's state, and the trained part of the best epoch so far.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors
from torch import nn

from covidcore import storage
from covidcore.jobs.folder import RunFolder
from covidcore.training.loop import EpochResult, Step

_VERSION = 2


@dataclass
class Position:
    """How far a run has come."""

    precision: str
    history: list[EpochResult] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    step: Step = field(default_factory=Step)
    """The last step done; ``Step(epoch)`` at the beginning of an epoch."""

    @property
    def best_result(self) -> EpochResult:
        """The epoch of least validation loss."""
        return min(self.history, key=lambda result: result.val_loss)

    def add(self, result: EpochResult, tail: nn.Module) -> None:
        """Take note of an epoch; keeps a copy of the trained part where it is the best so far."""
        self.history.append(result)
        self.step = Step(result.epoch + 1)
        if self.best_result is result:
            self.best = {name: t.detach().cpu().clone() for name, t in tail.state_dict().items()}


def save(
    folder: RunFolder, tail: nn.Module, optimiser: torch.optim.Optimizer, position: Position
) -> None:
    """Replace the checkpoint."""
    tensors = {f"now.{name}": tensor for name, tensor in tail.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in position.best.items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{key}": value for key, value in state.items()}
    about = {
        "version": _VERSION,
        "precision": position.precision,
        "history": [asdict(result) for result in position.history],
        "step": asdict(position.step),
    }
    data = save_tensors(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        metadata={"position": json.dumps(about)},
    )
    storage.write_bytes(folder.last, data)


def stored_precision(folder: RunFolder) -> str | None:
    """The number format that the run began with; None where there is no checkpoint to use."""
    about = _position(folder)
    return str(about["precision"]) if about else None


def restore(
    folder: RunFolder, tail: nn.Module, optimiser: torch.optim.Optimizer
) -> Position | None:
    """Put a checkpoint back into ``tail`` and ``optimiser``; None where there is none to use."""
    about = _position(folder)
    if about is None:
        return None
    before = {name: tensor.clone() for name, tensor in tail.state_dict().items()}
    try:
        tensors = load_file(folder.last)
        history = [EpochResult(**values) for values in about["history"]]
        tail.load_state_dict(_below(tensors, "now."))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in _below(tensors, "optimiser.").items():
            number, key = name.split(".", 1)
            state.setdefault(int(number), {})[key] = tensor
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
        step = Step(**about["step"])
        return Position(about["precision"], history, _below(tensors, "best."), step)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        tail.load_state_dict(before)
        return None  # damaged or of another network: the run begins again


def _position(folder: RunFolder) -> dict[str, Any] | None:
    try:
        with safe_open(folder.last, framework="pt") as file:
            about: dict[str, Any] = json.loads((file.metadata() or {})["position"])
            return about if about["version"] == _VERSION else None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
