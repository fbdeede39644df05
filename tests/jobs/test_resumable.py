"""The checkpoint of an unfinished run: going on from it is the same, bit for bit."""

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from covidcore.jobs import resumable
from covidcore.jobs.folder import RunFolder
from covidcore.model.network import build, cut
from covidcore.model.preprocess import Preprocessing
from covidcore.training.average import Average
from covidcore.training.batches import PixelBatches
from covidcore.training.loop import EpochResult, Step, Validating, fit, make_optimiser
from covidcore.training.recipe import Recipe
from tests.pictures import picture

RECIPE = Recipe(trainable="last_stage", image_size=32, epochs=3, batch_size=8, precision="fp32")
SPEC = Preprocessing(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def batches() -> PixelBatches:
    rows = np.arange(24)
    pixels = np.stack([picture(seed, 32) for seed in rows])
    numbers = {"labels": rows % 3, "train_rows": rows[:16], "val_rows": rows[16:], "classes": 3}
    return PixelBatches(pixels, SPEC, "standard", (32,) * 3, **numbers)


def tail_of(arch: str) -> nn.Sequential:
    """Convolutions that take an image: the network's own, all of it trained."""
    return cut(build(arch, 3), arch, "all")[1]


def result(epoch: int, val_loss: float) -> EpochResult:
    return EpochResult(epoch, 1.0, 0.5, val_loss, 0.5, 1e-3)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


@pytest.mark.parametrize(
    ("stop", "at"),
    [
        (lambda event: isinstance(event, EpochResult) and event.epoch == 1, (2, 0)),
        (lambda event: isinstance(event, Step) and (event.epoch, event.step) == (2, 1), (2, 1)),
        (lambda event: isinstance(event, Validating) and event.epoch == 2, (2, 2)),
    ],
    ids=["between epochs", "in an epoch", "in validation"],
)
def test_going_on_is_the_same_to_the_bit(
    folder: RunFolder, stop: Callable[[object], bool], at: tuple[int, int]
) -> None:
    torch.set_num_threads(1)
    arch, data, decay = "mobilenet_v3_large", batches(), 0.7
    whole = tail_of(arch)
    optimiser = make_optimiser(whole, RECIPE)
    position = resumable.Position("fp32", average=Average(whole, decay))
    for event in fit(whole, data, RECIPE, optimiser, "fp32", average=position.average):
        if isinstance(event, EpochResult):
            position.add(event, whole)
        elif isinstance(event, Step):
            position.step = event
        if stop(event):
            resumable.save(folder, whole, optimiser, position)

    tail = tail_of(arch)
    optimiser = make_optimiser(tail, RECIPE)
    restored = resumable.restore(folder, tail, optimiser, Average(tail, decay))
    assert restored is not None
    assert [one.epoch for one in restored.history] == [1]
    assert (restored.step.epoch, restored.step.step) == at
    assert resumable.stored_precision(folder) == restored.precision == "fp32"
    rest = fit(tail, data, RECIPE, optimiser, "fp32", restored.step, average=restored.average)
    for event in rest:
        if isinstance(event, EpochResult):
            restored.add(event, tail)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tail.state_dict()[name], tensor), name
        assert torch.equal(restored.best[name], position.best[name]), name
    assert any(not torch.equal(position.best[name], t) for name, t in whole.state_dict().items())
    losses = [(one.train_loss, one.val_loss) for one in restored.history]
    assert losses == [(one.train_loss, one.val_loss) for one in position.history]


def test_the_best_epoch_is_kept_and_the_first_of_equals() -> None:
    layer, position = nn.Linear(1, 1), resumable.Position("fp32")
    for epoch, loss in enumerate((0.9, 0.5, 0.7, 0.5), start=1):
        with torch.no_grad():
            layer.weight.fill_(epoch)
        position.add(result(epoch, loss), layer)
    assert position.best_result.epoch == 2
    assert position.best["weight"].item() == 2


def stored(folder: RunFolder, layer: nn.Module) -> torch.optim.Optimizer:
    optimiser = make_optimiser(nn.Sequential(layer), RECIPE)
    position = resumable.Position("bf16")
    position.add(result(1, 0.5), layer)
    resumable.save(folder, layer, optimiser, position)
    return optimiser


def test_every_flipped_bit_is_noticed(folder: RunFolder) -> None:
    """In the header, in what is told of the run, in a tensor, in the hash itself."""
    layer = nn.Linear(2, 2)
    optimiser = stored(folder, layer)
    data = folder.last.read_bytes()
    weight = layer.weight.clone()
    for at in range(len(data)):
        folder.last.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        assert resumable.stored_precision(folder) is None, at
        assert resumable.restore(folder, layer, optimiser) is None, at
    assert torch.equal(layer.weight, weight)
    folder.last.write_bytes(data)
    assert resumable.stored_precision(folder) == "bf16"
    assert resumable.restore(folder, layer, optimiser) is not None


def test_every_other_length_is_noticed(folder: RunFolder) -> None:
    layer = nn.Linear(2, 2)
    optimiser = stored(folder, layer)
    data = folder.last.read_bytes()
    for wrong in (*(data[:end] for end in range(len(data))), data + b"\0", data + data):
        folder.last.write_bytes(wrong)
        assert resumable.stored_precision(folder) is None, len(wrong)
        assert resumable.restore(folder, layer, optimiser) is None, len(wrong)


def test_it_is_a_safetensors_file_with_its_own_hash(folder: RunFolder) -> None:
    stored(folder, nn.Linear(2, 2))
    data = folder.last.read_bytes()
    with safe_open(folder.last, framework="np") as file:
        digest = file.metadata()["sha256"]
    blank = data.replace(digest.encode(), b"0" * 64)
    assert hashlib.sha256(blank).hexdigest() == digest


def test_values_that_are_no_numbers_come_back(folder: RunFolder) -> None:
    """A run that diverged is not a damaged one: it ends as it would have."""
    layer, position = nn.Linear(1, 1), resumable.Position("fp32")
    with torch.no_grad():
        layer.weight.fill_(math.nan)
    position.add(result(1, math.nan), layer)
    optimiser = make_optimiser(nn.Sequential(layer), RECIPE)
    resumable.save(folder, layer, optimiser, position)
    restored = resumable.restore(folder, layer, optimiser)
    assert restored is not None
    assert math.isnan(restored.history[0].val_loss)


def test_another_network_s_checkpoint_begins_again(folder: RunFolder) -> None:
    stored(folder, nn.Linear(2, 2))
    other = nn.Linear(3, 2)
    weight = other.weight.clone()
    assert resumable.restore(folder, other, make_optimiser(nn.Sequential(other), RECIPE)) is None
    assert torch.equal(other.weight, weight)


def test_without_a_checkpoint_there_is_nothing_to_restore(folder: RunFolder) -> None:
    layer = nn.Linear(2, 2)
    assert resumable.stored_precision(folder) is None
    optimiser = make_optimiser(nn.Sequential(layer), RECIPE)
    assert resumable.restore(folder, layer, optimiser) is None
