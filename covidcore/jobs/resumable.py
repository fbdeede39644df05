"""The checkpoint of a run that is not finished: what is needed to go on after any step.

One safetensors file, so that tensors and position can not be of different moments: the trained
part, the optimiser's state, the average of the weights, and the best epoch so far. The file holds
its own SHA-256, so a damaged one is known before a number of it is used.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from covidcore import storage
from covidcore.jobs.folder import RunFolder
from covidcore.training.average import Average
from covidcore.training.loop import EpochResult, Step

_VERSION = 4
_BLANK = b"0" * 64
"""What stands in the SHA-256's place while it is computed: it is of the whole file but itself."""
_LABEL = b'"sha256":"'

DAMAGED = "The checkpoint is damaged, or of another version of covidcore: the run begins again."


@dataclass
class Position:
    """How far a run has come."""

    precision: str
    history: list[EpochResult] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    step: Step = field(default_factory=Step)
    """The last step done; ``Step(epoch)`` at the beginning of an epoch."""
    average: Average | None = None
    """Of the weights, where the recipe asks for one."""

    @property
    def best_result(self) -> EpochResult:
        """The epoch of least validation loss."""
        return min(self.history, key=lambda result: result.val_loss)

    def add(self, result: EpochResult, tail: nn.Module) -> None:
        """Take note of an epoch; keeps a copy of what was validated where it is the best so far."""
        self.history.append(result)
        self.step = Step(result.epoch + 1)
        if self.best_result is result:
            judged = (self.average.network if self.average else tail).state_dict()
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in judged.items()}


def save(
    folder: RunFolder, tail: nn.Module, optimiser: torch.optim.Optimizer, position: Position
) -> None:
    """Replace the checkpoint."""
    tensors = {f"now.{name}": tensor for name, tensor in tail.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in position.best.items()}
    if position.average:
        kept = position.average.network.state_dict()
        tensors |= {f"average.{name}": tensor for name, tensor in kept.items()}
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
        metadata={"position": json.dumps(about), "sha256": _BLANK.decode()},
    )
    _write_with_hash(folder.last, data)


def stored_precision(folder: RunFolder) -> str | None:
    """The number format that the run began with; None where there is no checkpoint to use."""
    about = _position(_read(folder))
    return str(about["precision"]) if about else None


def restore(
    folder: RunFolder,
    tail: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: Average | None = None,
) -> Position | None:
    """Put a checkpoint back into all of these; None where there is none to use."""
    data = _read(folder)
    about = _position(data)
    if about is None:
        return None
    before = {name: tensor.clone() for name, tensor in tail.state_dict().items()}
    try:
        tensors = load_tensors(data)
        history = [EpochResult(**values) for values in about["history"]]
        tail.load_state_dict(_below(tensors, "now."))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in _below(tensors, "optimiser.").items():
            number, key = name.split(".", 1)
            state.setdefault(int(number), {})[key] = tensor
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
        _lay_out_alike(optimiser)
        if average:
            average.network.load_state_dict(_below(tensors, "average."))
        step, best = Step(**about["step"]), _below(tensors, "best.")
        return Position(about["precision"], history, best, step, average)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        tail.load_state_dict(before)
        return None  # of another network: the run begins again


def _lay_out_alike(optimiser: torch.optim.Optimizer) -> None:
    """Lay each moment out in memory as its parameter: a fused optimiser goes by memory alone."""
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            if value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter).copy_(value)


def _write_with_hash(path: Path, data: bytes) -> None:
    """Write the file with its SHA-256 in the place that was left blank for it."""
    place = _place_of_hash(data)
    with storage.replacing(path) as file:
        storage.reserve(file, path.parent, len(data))
        file.write(data[:place] + hashlib.sha256(data).hexdigest().encode())
        file.write(memoryview(data)[place + len(_BLANK) :])


def _read(folder: RunFolder) -> bytes:
    """The checkpoint's bytes; none where there is no file, or any bit of it is not as written."""
    try:
        data = folder.last.read_bytes()
        place = _place_of_hash(data)
    except (OSError, ValueError):
        return b""
    end = place + len(_BLANK)
    digest, view = hashlib.sha256(data[:place] + _BLANK), memoryview(data)
    digest.update(view[end:])
    return data if digest.hexdigest().encode() == data[place:end] else b""


def _place_of_hash(data: bytes) -> int:
    """Where the hash begins, within the header.

    Raises: ValueError where there is none.
    """
    header = 8 + int.from_bytes(data[:8], "little")
    return data.index(_LABEL, 0, header) + len(_LABEL)


def _position(data: bytes) -> dict[str, Any] | None:
    """Where the run stood; None for no bytes, or those of another version of covidcore."""
    if not data:
        return None
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    about: dict[str, Any] = json.loads(header["__metadata__"]["position"])
    return about if about["version"] == _VERSION else None


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
