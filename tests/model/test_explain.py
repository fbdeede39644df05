"""Grad-CAM: where a network looks whose answer is known to hang on one corner."""

import numpy as np
import pytest
import torch
from torch import nn

from covidcore.model import explain, network
from covidcore.model.network import at_pooling, build
from covidcore.model.weights import ARCHITECTURES


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_both_parts_are_the_network_and_between_them_are_maps(arch: str) -> None:
    model = build(arch, 3)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.train()(images)  # statistics, as after training
        whole = model.eval()(images)
        front, back = at_pooling(model, arch)
        maps = front(images)
        torch.testing.assert_close(back(maps), whole)
    assert maps.shape[2:] == (2, 2)
    seen = explain.grad_cam(model, arch, images)
    assert seen.shape == (2, 2, 2) and seen.dtype == np.float32
    assert (seen >= 0).all()
    assert all(parameter.grad is None for parameter in model.parameters())


class _Bright(nn.Module):
    """Maps of eight cells a side: how bright the image is there, and how dark."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        grey = nn.functional.avg_pool2d(images[:, :1], images.shape[2] // 8)
        return torch.cat([grey, 1 - grey], dim=1)


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A network that answers class 0 the brighter, class 1 the darker an image is."""
    head = nn.Linear(2, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[4.0, 0.0], [0.0, 1.0]]))
        head.bias.copy_(torch.tensor([0.0, 0.0]))
    parts = nn.ModuleDict({"body": _Bright(), "pool": nn.AdaptiveAvgPool2d(1), "head": head})
    anatomy = network._Anatomy(
        "head",
        lambda model: [model["body"], model["pool"], nn.Flatten(1)],
        1,
        lambda model: [],
        lambda model: [],
    )
    monkeypatch.setitem(network._ANATOMY, "by_hand", anatomy)
    return parts


def test_the_map_lies_where_the_answer_comes_from(by_hand: nn.Module) -> None:
    images = torch.zeros(2, 3, 64, 64)
    images[0, :, :16, :16] = 1  # bright in the upper left corner
    images[1, :, 48:, 40:] = 1
    bright = explain.grad_cam(by_hand, "by_hand", images, torch.tensor([0, 0]))
    expected = np.zeros((2, 8, 8), np.float32)
    expected[0, :2, :2] = expected[1, 6:, 5:] = bright.max()
    np.testing.assert_allclose(bright, expected, atol=1e-6)
    # What speaks for the other class is the dark rest.
    dark = explain.grad_cam(by_hand, "by_hand", images, torch.tensor([1, 1]))
    assert ((dark > 0) == (bright == 0)).all()


def test_without_a_class_it_is_that_of_the_answer(by_hand: nn.Module) -> None:
    images = torch.zeros(2, 3, 64, 64)
    images[0] = 1  # answered 0
    images[1, :, :8, :8] = 1  # answered 1: dark but for one cell
    answered = explain.grad_cam(by_hand, "by_hand", images)
    named = explain.grad_cam(by_hand, "by_hand", images, torch.tensor([0, 1]))
    np.testing.assert_array_equal(answered, named)
    assert answered[1, 0, 0] == 0 and (answered[1].ravel()[1:] > 0).all()


def test_what_speaks_against_the_answer_is_not_shown(by_hand: nn.Module) -> None:
    with torch.no_grad():
        by_hand["head"].weight[0, 1] = -9.0  # darkness speaks against class 0
    images = torch.zeros(1, 3, 64, 64)
    images[0, :, :16, :16] = 1
    seen = explain.grad_cam(by_hand, "by_hand", images, torch.tensor([0]))
    assert (seen[0, :2, :2] > 0).all()
    assert seen.sum() == pytest.approx(float(seen[0, :2, :2].sum()))
