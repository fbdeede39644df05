"""The forward pass of a finished model: folded, in bf16 where that is allowed, and still exact."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from covidcore.evaluation.calibration import softmax
from covidcore.inference.forward import EXACT, Forward, fold
from covidcore.inference.predictor import BATCH, Predictor
from covidcore.model import checkpoint, network
from covidcore.model.network import build
from covidcore.model.preprocess import as_squares
from covidcore.model.weights import ARCHITECTURES
from covidcore.training import precision
from tests.pictures import picture
from tests.runs import Trained, trained


@pytest.fixture(scope="module")
def finished(phantoms: Path) -> Trained:
    return trained(phantoms)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where bf16 is faster."""
    monkeypatch.setattr(precision, "choose", lambda asked, home: "bf16")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_folded_network_says_what_it_said(arch: str) -> None:
    model = build(arch, 3).eval()
    normalisations = [part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for one in normalisations:  # as if trained: else folding would change nothing
        assert one.running_mean is not None and one.running_var is not None
        one.running_mean.uniform_(-0.1, 0.1)
        one.running_var.uniform_(0.5, 2)
    batch = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = model(batch)
        fold(model)
        after = model(batch)
    left = sum(isinstance(part, torch.nn.BatchNorm2d) for part in model.modules())
    # Those that come before a convolution, and not after one, stay.
    assert left == {"densenet121": 62}.get(arch, 0) < len(normalisations)
    assert torch.allclose(before, after, rtol=1e-3, atol=1e-4 * float(before.abs().max()))


def both(folder: Path, home: Path) -> tuple[Forward, Forward, checkpoint.Contract]:
    model, contract = checkpoint.load(folder)
    head = model.get_submodule(network.head_name(contract.arch))
    assert isinstance(head, torch.nn.Linear)
    head.weight.data *= 100  # as sure of its answers as one that was trained for long
    return Forward(copy.deepcopy(model), contract), Forward(model, contract, home), contract


def test_every_probability_is_as_good_as_that_of_single_precision(
    finished: Trained, quick: None, tmp_path: Path
) -> None:
    exact, fast, contract = both(finished.folder, tmp_path)
    squares = as_squares([picture(seed, 64) for seed in range(40)], contract.preprocessing)
    (wanted, _), (found, _) = exact(squares), fast(squares)
    assert not np.array_equal(found, wanted)  # else bf16 was not asked
    chances = [softmax(logits, contract.temperature) for logits in (wanted, found)]
    assert np.abs(chances[0] - chances[1]).max() <= EXACT


def test_what_bf16_could_change_is_asked_again(
    finished: Trained, quick: None, tmp_path: Path
) -> None:
    exact, fast, contract = both(finished.folder, tmp_path)
    squares = as_squares([picture(seed, 64) for seed in range(8)], contract.preprocessing)
    fast._error = 1e30  # whatever the probability: it could be any other
    for found, wanted in zip(fast(squares), exact(squares), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_threads_of_their_own_answer_the_same_in_the_same_order(finished: Trained) -> None:
    root = finished.dataset.root
    items = [(file, root / file) for file in finished.dataset.index["file"]] * 2
    items.insert(BATCH, ("none.png", root / "none.png"))
    one, two = (
        Predictor.open(finished.folder, threads=threads).predict(items) for threads in (1, 3)
    )
    assert [answer["file"] for answer in two] == [name for name, _ in items]
    for left, right in zip(one, two, strict=True):
        changes = {"milliseconds": 0, "probabilities": 0}
        assert left | changes == right | changes
        assert left["probabilities"] == pytest.approx(right["probabilities"], abs=1e-5)
