"""A trained model on disk: tensors (safetensors) and a JSON contract that says what they mean.

Nothing is unpickled. The contract is written last, so a folder with a contract is whole; it
holds the hash of the tensors, the classes in the order of the outputs, the preprocessing, and
golden inputs with their logits, which are computed again before a model is used.

Torch is imported by the functions that need it: to read a contract costs nothing.
"""

import copy
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidcore import storage
from covidcore.errors import CheckpointError, DataError
from covidcore.model import golden
from covidcore.model.golden import Golden
from covidcore.model.preprocess import Preprocessing
from covidcore.model.weights import ARCHITECTURES

if TYPE_CHECKING:
    from torch import nn

FORMAT = 2
"""Of the contract. 1 had no golden inputs and is still read."""
TENSORS, CONTRACT = "best.safetensors", "contract.json"


@dataclass(frozen=True)
class Contract:
    """What has to be known to use a model's tensors, and where they come from."""

    arch: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: float
    facts: dict[str, Any] = field(default_factory=dict)
    """Recipe, dataset fingerprint, split hash, weights: for people, not needed to predict."""
    golden: tuple[Golden, ...] = ()
    """What ``save`` found; empty in contracts of format 1."""


def save(folder: Path, model: "nn.Module", contract: Contract) -> None:
    """Write a model and its contract into ``folder``, with golden inputs made here.

    A model of half precision is stored so, and computes in single precision when it is opened.
    """
    from safetensors.torch import save as save_tensors

    data = save_tensors(
        {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    )
    model = copy.deepcopy(model).float()
    storage.write_bytes(folder / TENSORS, data)
    storage.write_json(
        folder / CONTRACT,
        {
            "format": FORMAT,
            "arch": contract.arch,
            "classes": list(contract.classes),
            "preprocessing": contract.preprocessing.to_json(),
            "temperature": contract.temperature,
            "golden": [
                one.to_json()
                for one in golden.make(model, contract.classes, contract.preprocessing)
            ],
            "sha256": storage.sha256_bytes(data),
            **contract.facts,
        },
    )


def load(
    folder: Path, title: str = "", cure: str = "train this run again"
) -> "tuple[nn.Module, Contract]":
    """Open a model, in evaluation mode, after its hash, shapes and values were checked.

    Its golden inputs get their logits, or it is not opened. ``title`` is what messages call the
    folder, and ``cure`` what they advise. Raises: CheckpointError where there is none, or it is
    damaged, of another version, or says something else than it did.
    """
    import torch
    from safetensors.torch import load as load_tensors

    from covidcore.model.network import build

    contract, digest = read_contract(folder, title, cure)
    tensors = f"{title or folder}/{TENSORS}"
    try:
        data = (folder / TENSORS).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{tensors} is missing: {cure}.") from error
    if storage.sha256_bytes(data) != digest:
        raise CheckpointError(f"{tensors} is damaged: {cure}.")
    model = build(contract.arch, len(contract.classes))
    try:
        state = load_tensors(data)
        model.load_state_dict(state)
    except Exception as error:  # safetensors' own errors and torch's RuntimeError
        raise CheckpointError(f"{tensors} does not fit its contract.") from error
    if not all(torch.isfinite(tensor).all() for tensor in state.values()):
        raise CheckpointError(f"{tensors} holds values that are no numbers.")
    model = model.eval()
    if contract.golden:
        golden.check(model, contract.classes, contract.preprocessing, contract.golden)
    return model, contract


def read_contract(
    folder: Path, title: str = "", cure: str = "train this run again"
) -> tuple[Contract, str]:
    """What a contract says, and the SHA-256 of the tensors that it is about.

    Raises: CheckpointError, as ``load``.
    """
    where = title or str(folder)
    try:
        values = storage.read_json(folder / CONTRACT)
    except DataError as error:
        said = str(error).replace(str(folder), where)
        raise CheckpointError(f"There is no usable model in {where}: {said}") from error
    try:
        if values["format"] not in (1, FORMAT) or values["arch"] not in ARCHITECTURES:
            raise CheckpointError(f"The model in {where} is of another version of covidcore.")
        contract = Contract(
            arch=values["arch"],
            classes=tuple(str(name) for name in values["classes"]),
            preprocessing=Preprocessing.from_json(values["preprocessing"]),
            temperature=float(values["temperature"]),
            facts={
                k: values.get(k)
                for k in ("recipe", "dataset", "dataset_name", "split", "weights", "gate", "known")
            },
            golden=tuple(Golden.from_json(one) for one in values.get("golden", ())),
        )
        if len(contract.golden) != (golden.COUNT if values["format"] == FORMAT else 0):
            raise ValueError("golden")
        if not 0 < contract.temperature < math.inf:
            raise ValueError("temperature")
        if not 2 <= len(contract.classes) == len(set(contract.classes)):
            raise ValueError("classes")
        return contract, str(values["sha256"])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise CheckpointError(f"{where}/{CONTRACT} is damaged: {cure}.") from error
