"""Processes that train together come to what one process comes to."""

import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from covidcore.jobs import torchrun
from covidcore.training.batches import ActivationBatches
from covidcore.training.group import Group
from covidcore.training.loop import seeded
from tests.training.in_group import batches, tensors_of, train
from tests.training.test_batches import ROWS, activations

RANKS = 3


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What three processes under torchrun left."""
    folder = tmp_path_factory.mktemp("three")
    process = torchrun.start(RANKS, 1, "tests.training.in_group", str(folder))
    assert process.stdin is not None
    with process.stdin:
        assert process.wait() == 0
    return folder


def results_of(folder: Path, name: str, rank: int) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads((folder / f"{name}-{rank}.json").read_text())
    return told


@pytest.mark.parametrize(("name", "tolerance"), [("fp32", 1e-5), ("bf16", 5e-3)])
def test_three_processes_are_one(three: Path, name: str, tolerance: float) -> None:
    """With normalisation, dropout, class weights, smoothing and shares of unequal size."""
    tail, results = train(name)
    told = results_of(three, "whole" if name == "fp32" else name, 0)
    assert len(told) == len(results) == 2
    for one, other in zip(told, map(asdict, results), strict=True):
        assert one == pytest.approx(other, rel=tolerance, abs=tolerance)
    if name == "fp32":
        stored = load_file(three / "whole-0.safetensors")
        expected = tensors_of(tail)
        assert set(stored) == set(expected)
        for key, tensor in expected.items():
            torch.testing.assert_close(stored[key], tensor, rtol=1e-3, atol=1e-4, msg=key)


def test_all_ranks_hold_the_same_to_the_bit(three: Path) -> None:
    for name in ("whole", "bf16"):
        first = load_file(three / f"{name}-0.safetensors")
        for rank in range(1, RANKS):
            assert results_of(three, name, rank) == results_of(three, name, 0)
            other = load_file(three / f"{name}-{rank}.safetensors")
            assert all(torch.equal(first[key], other[key]) for key in first)


def test_three_processes_that_begin_anew_in_the_middle_are_the_same_to_the_bit(three: Path) -> None:
    assert results_of(three, "halves", 0) == results_of(three, "whole", 0)
    whole, halves = (load_file(three / f"{name}-0.safetensors") for name in ("whole", "halves"))
    assert all(torch.equal(whole[key], halves[key]) for key in whole)


@pytest.mark.parametrize("images", [4, 10, 11, 12])
def test_shares_are_all_the_images_and_as_equal_as_can_be(images: int) -> None:
    shares = [list(range(images))[Group(rank, 4).share(images)] for rank in range(4)]
    assert list(itertools.chain(*shares)) == list(range(images))
    sizes = {len(share) for share in shares}
    assert max(sizes) - min(sizes) <= 1


def test_a_share_is_the_images_that_the_whole_batch_would_have() -> None:
    rows = torch.tensor([4, 0, 2, 9, 7])
    cached = ActivationBatches(activations(4), 3, **ROWS)
    for data, taken in ((batches(30), rows), (cached, rows[:3])):
        whole = data.train(taken, 2, seeded(5))
        parts = [data.train(taken, 2, seeded(5), Group(r, 2).share(len(taken))) for r in range(2)]
        assert torch.equal(torch.cat(parts), whole)
