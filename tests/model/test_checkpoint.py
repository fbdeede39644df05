"""A stored model comes back as it was, or not at all."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from covidcore import storage
from covidcore.errors import CheckpointError
from covidcore.model import checkpoint
from covidcore.model.network import build
from covidcore.model.preprocess import Preprocessing

ARCH = "mobilenet_v3_large"  # the smallest file
SPEC = Preprocessing(64, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
CLASSES = ("<b>x", "NORMAL", "Ünïcode, 'quoted'")
FACTS = {"recipe": {"epochs": 3}, "dataset": "abc", "split": "def", "weights": {"name": "none"}}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    model = build(ARCH, 3, seed=1)
    checkpoint.save(folder, model, checkpoint.Contract(ARCH, CLASSES, SPEC, 1.3, FACTS))
    return folder


@pytest.fixture
def folder(stored: Path, tmp_path: Path) -> Path:
    return shutil.copytree(stored, tmp_path / "run")


def test_round_trip(folder: Path) -> None:
    model, contract = checkpoint.load(folder)
    assert (contract.arch, contract.classes, contract.temperature) == (ARCH, CLASSES, 1.3)
    assert contract.preprocessing == SPEC
    assert {name: contract.facts[name] for name in FACTS} == FACTS
    assert not model.training
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = build(ARCH, 3, seed=1).eval()(images)
        assert torch.equal(model(images), expected)


def with_tensors(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Other tensors under a contract that vouches for them."""
    save_file(tensors, folder / checkpoint.TENSORS)
    with_contract(folder, sha256=storage.sha256_file(folder / checkpoint.TENSORS))


def with_contract(folder: Path, **changes: Any) -> None:
    path = folder / checkpoint.CONTRACT
    path.write_text(json.dumps({**storage.read_json(path), **changes}))


def flip_a_byte(folder: Path) -> None:
    data = bytearray((folder / checkpoint.TENSORS).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / checkpoint.TENSORS).write_bytes(data)


def truncate(folder: Path) -> None:
    data = (folder / checkpoint.TENSORS).read_bytes()
    (folder / checkpoint.TENSORS).write_bytes(data[: len(data) // 2])


def swap(folder: Path) -> None:
    other = folder.parent / "other"
    contract = checkpoint.Contract(ARCH, CLASSES, SPEC, 1.0)
    checkpoint.save(other, build(ARCH, 3, seed=2), contract)
    shutil.copy(other / checkpoint.TENSORS, folder / checkpoint.TENSORS)


def not_a_number(folder: Path) -> None:
    tensors = load_file(folder / checkpoint.TENSORS)
    tensors["classifier.3.bias"][1] = float("nan")
    with_tensors(folder, tensors)


def one_tensor_less(folder: Path) -> None:
    tensors = load_file(folder / checkpoint.TENSORS)
    del tensors["classifier.3.bias"]
    with_tensors(folder, tensors)


def cut_contract(folder: Path) -> None:
    path = folder / checkpoint.CONTRACT
    path.write_text(path.read_text()[:-20])


def golden_cut(folder: Path) -> None:
    golden = storage.read_json(folder / checkpoint.CONTRACT)["golden"]
    golden[2]["png"] = golden[2]["png"][:400]
    with_contract(folder, golden=golden)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "flipped byte": flip_a_byte,
    "truncated": truncate,
    "empty": lambda folder: (folder / checkpoint.TENSORS).write_bytes(b""),
    "tensors missing": lambda folder: (folder / checkpoint.TENSORS).unlink(),
    "contract missing": lambda folder: (folder / checkpoint.CONTRACT).unlink(),
    "folder missing": shutil.rmtree,
    "tensors of another run": swap,
    "NaN": not_a_number,
    "a tensor less": one_tensor_less,
    "contract cut": cut_contract,
    "contract is a list": lambda folder: (folder / checkpoint.CONTRACT).write_text("[1]"),
    "a later format": lambda folder: with_contract(folder, format=3),
    "no golden inputs": lambda folder: with_contract(folder, golden=[]),
    "golden inputs without logits": lambda folder: with_contract(folder, golden=[{"png": ""}] * 5),
    "golden inputs that are a word": lambda folder: with_contract(folder, golden="sound"),
    "golden inputs cut": golden_cut,
    "another network": lambda folder: with_contract(folder, arch="resnet34"),
    "an unknown network": lambda folder: with_contract(folder, arch="vit"),
    "more classes": lambda folder: with_contract(folder, classes=["a", "b", "c", "d"]),
    "a class twice": lambda folder: with_contract(folder, classes=["a", "b", "b"]),
    "temperature 0": lambda folder: with_contract(folder, temperature=0),
    "temperature null": lambda folder: with_contract(folder, temperature=None),
    "temperature infinite": lambda folder: with_contract(folder, temperature=float("inf")),
    "preprocessing gone": lambda folder: with_contract(folder, preprocessing={}),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_model_is_refused(folder: Path, damage: Callable[[Path], object]) -> None:
    damage(folder)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(folder)
    assert str(caught.value).endswith(".")
