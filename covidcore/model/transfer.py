"""Pre-trained weights from a file into a network: read without running a line of it."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from covidcore.errors import WeightsError
from covidcore.model.weights import Weights, identity
from covidcore.storage import sha256_file

if TYPE_CHECKING:
    import torch

_MAX_BYTES = 2**30


def _check_unchanged(weights: Weights, path: Path) -> None:
    """A result is filed under the hash of its weights: they have to be those when it is made."""
    try:
        digest = sha256_file(path)
    except OSError as error:
        raise WeightsError(
            f"The weights {path} can not be read any more ({error.strerror}): put the file back, "
            "then resume the run."
        ) from error
    if weights.id not in (digest, identity(digest, tuple(weights.mean), tuple(weights.std))):
        raise WeightsError(
            f"The weights {path} have changed since the run was submitted: put the file back as "
            "it was and resume the run, or submit it again."
        )


def begin(arch: str, classes: int, seed: int, weights: Weights) -> "torch.nn.Module":
    """A network that starts from ``weights``, with a new head of ``classes`` outputs.

    Weights that this program has trained grew up with a head that was drawn as ours is, and with
    the same seed it would be the same one: their features point along it, so that training would
    begin not with a guess but with firm answers to other images. So beside a file that has a head
    the draw depends on the file too. Raises: as ``load_into``.
    """
    from covidcore.model import network

    model = network.build(arch, classes, seed)
    if load_into(model, network.head_name(arch), weights):
        network.draw_head(model, arch, _mixed(seed, weights.id))
    return model


def _mixed(seed: int, identity: str) -> int:
    return int(hashlib.sha256(f"{seed}:{identity}".encode()).hexdigest()[:15], 16)


def load_into(model: "torch.nn.Module", head: str, weights: Weights) -> bool:
    """Copy a backbone's tensors into ``model``, all but those of its ``head`` layer.

    Returns whether the file has a head itself. Raises: WeightsError where the file is gone,
    unreadable or not the one that was resolved, or a tensor is missing, misshapen or not finite.
    """
    import torch

    if weights.path is None:
        return False
    _check_unchanged(weights, Path(weights.path))
    state = _read(Path(weights.path))
    own = model.state_dict()
    for name, target in own.items():
        if name.startswith(head + "."):
            continue
        value = state.get(name)
        if value is None and name.endswith("num_batches_tracked"):
            continue  # a counter that some exporters leave out, and that nothing here reads
        if value is None or value.shape != target.shape:
            raise WeightsError(f"{weights.path} does not fit this network: {name} is not in it.")
        if not torch.isfinite(value).all():
            raise WeightsError(
                f"{weights.path} is damaged: {name} holds values that are no number."
            )
        own[name] = value.to(target.dtype)
    model.load_state_dict(own)
    return f"{head}.weight" in state


def _read(path: Path) -> "dict[str, torch.Tensor]":
    import torch
    from safetensors.torch import load_file

    if path.stat().st_size > _MAX_BYTES:
        raise WeightsError(f"{path} is larger than 1 GiB: these are not weights for this program.")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a stranger's file: whatever it raises, it can not be used
        raise WeightsError(
            f"{path} can not be read as weights: it is damaged or of another kind."
        ) from error
    if not isinstance(state, dict) or not all(_plain(value) for value in state.values()):
        raise WeightsError(f"{path} is not a plain table of tensors (a state dict).")
    return _modern_names(state)


def _plain(value: object) -> bool:
    """Whether it is a dense tensor of real numbers in memory.

    A sparse one of a stranger may point outside its own values, which not every torch looks at.
    """
    import torch

    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided:
        return False
    return value.device.type == "cpu" and not value.is_quantized and not value.is_complex()


def _modern_names(state: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """torchvision's DenseNet file spells ``norm.1`` where the network says ``norm1``."""
    import re

    pattern = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")
    return {pattern.sub(r"\1\2", name): value for name, value in state.items()}
