"""Checkpoints as somebody might send them: a sound one, and ways to change it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from covidcore import storage
from covidcore.inference import familiar
from covidcore.inference.familiar import Sample, describe
from covidcore.inference.looks import grey_statistics
from covidcore.inference.memory import thumbnail
from covidcore.model import checkpoint, network
from covidcore.model.checkpoint import Contract
from covidcore.model.preprocess import Preprocessing
from tests.pictures import picture

ARCH = "mobilenet_v3_large"  # the smallest file
SIZE = 32
CLASSES = ("<b>x</b>", "NORMAL", "Ünïcode, 'quoted' [a](http://b)")
WIDTH = 1280  # of its pooled features


def write(folder: Path, seed: int = 1, **facts: Any) -> Path:
    """A whole checkpoint of a network that has learnt nothing, with a gate."""
    model = network.build(ARCH, len(CLASSES), seed)
    noise = np.random.default_rng(seed)
    squares = [picture(number, SIZE, SIZE) for number in range(40)]

    def sample(start: int) -> Sample:
        some = squares[start : start + 20]
        features = noise.normal(size=(20, WIDTH)).astype(np.float32)
        looks = grey_statistics(some)
        return Sample(features, looks, np.arange(20) % len(CLASSES))

    names = tuple(f"class/{number}.png" for number in range(20))
    thumbnails = np.stack([thumbnail(one) for one in squares[:20]])
    gate = familiar.save(folder, describe(sample(0), sample(20), names, thumbnails))
    spec = Preprocessing(SIZE, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    contract = Contract(ARCH, CLASSES, spec, 1.3, {"gate": gate, **facts})
    checkpoint.save(folder, model, contract)
    return folder


def with_contract(folder: Path, **changes: Any) -> None:
    path = folder / "contract.json"
    path.write_text(json.dumps({**storage.read_json(path), **changes}))


def with_tensors(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Other tensors under a contract that vouches for them."""
    save_file(tensors, folder / "best.safetensors")
    vouch(folder)


def vouch(folder: Path) -> None:
    """Let the contract have the hash of whatever the tensors are now."""
    with_contract(folder, sha256=storage.sha256_file(folder / "best.safetensors"))


def with_gate(folder: Path, **arrays: np.ndarray) -> None:
    """Other arrays of the gate under a contract that vouches for them."""
    from safetensors.numpy import load_file
    from safetensors.numpy import save_file as save_arrays

    path = folder / "familiar.safetensors"
    changed = {name.replace("__", "."): array for name, array in arrays.items()}
    save_arrays({**load_file(path), **changed}, path)
    gate = storage.read_json(folder / "contract.json")["gate"]
    with_contract(folder, gate={**gate, "sha256": storage.sha256_file(path)})
