"""The cut of a network: both halves together are the network, and only one of them is trained."""

import pytest
import torch
from torch import nn

from covidcore.model.network import Standardise, build, cut, head_name
from covidcore.model.weights import ARCHITECTURES

TRAINABLE = ("head", "last_stage", "all")
LAST_STAGE = {
    "resnet18": ("layer4.", "fc."),
    "resnet34": ("layer4.", "fc."),
    "resnet50": ("layer4.", "fc."),
    "densenet121": ("features.denseblock4.", "features.norm5.", "classifier."),
    "efficientnet_b0": ("features.7.", "features.8.", "classifier."),
    "mobilenet_v3_large": (*(f"features.{n}." for n in (13, 14, 15, 16)), "classifier."),
}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def lived(request: pytest.FixtureRequest) -> tuple[str, nn.Module, torch.Tensor]:
    """A network whose normalisation has seen images, as after training; and two images."""
    model = build(request.param, 5)
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.train()(images)
    return request.param, model, images[:2]


@pytest.mark.parametrize("trainable", TRAINABLE)
def test_frozen_then_tail_is_the_network(
    lived: tuple[str, nn.Module, torch.Tensor], trainable: str
) -> None:
    arch, model, images = lived
    with torch.no_grad():
        whole = model.eval()(images)
        frozen, tail = cut(model, arch, trainable)
        halves = tail.eval()(frozen(images))
    assert whole.shape == (2, 5)
    assert (whole[0] != whole[1]).any()
    torch.testing.assert_close(halves, whole)


@pytest.mark.parametrize("trainable", TRAINABLE)
def test_what_is_trainable(lived: tuple[str, nn.Module, torch.Tensor], trainable: str) -> None:
    arch, model, _ = lived
    frozen, tail = cut(model, arch, trainable)
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    starts = {"head": (head_name(arch) + ".",), "last_stage": LAST_STAGE[arch], "all": ("",)}
    expected = {name for name, _ in model.named_parameters() if name.startswith(starts[trainable])}
    assert names == expected
    assert {id(p) for p in tail.parameters()} == {
        id(p) for name, p in model.named_parameters() if name in names
    }
    assert (len(frozen) == 0) == (trainable == "all")
    assert not frozen.training


def test_training_the_tail_leaves_the_frozen_part_alone() -> None:
    model = build("resnet18", 3)
    frozen, tail = cut(model, "resnet18", "last_stage")
    before = {name: tensor.clone() for name, tensor in frozen.state_dict().items()}
    head = model.get_parameter("fc.weight").clone()
    optimiser = torch.optim.SGD(tail.parameters(), lr=0.1)
    for _ in range(2):
        logits = tail.train()(frozen(torch.randn(4, 3, 64, 64)))
        logits.square().sum().backward()
        optimiser.step()
    for name, tensor in frozen.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not torch.equal(model.get_parameter("fc.weight"), head)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_early_parts_are_those_before_the_last_stage(arch: str) -> None:
    model = build(arch, 3)
    frozen, _ = cut(model, arch, "last_stage")
    _, tail = cut(model, arch, "all")
    early = {id(parameter) for part in tail[: tail.early] for parameter in part.parameters()}
    assert early == {id(parameter) for parameter in frozen.parameters()}
    for trainable, pretrained in (("all", False), ("last_stage", True), ("head", True)):
        assert cut(model, arch, trainable, pretrained)[1].early == 0


def test_early_parts_keep_their_statistics() -> None:
    _, tail = cut(build("resnet18", 3), "resnet18", "all")
    before = {name: tensor.clone() for name, tensor in tail.state_dict().items()}
    tail.train()(torch.randn(4, 3, 64, 64))
    changed = {name for name, tensor in tail.state_dict().items() if (tensor != before[name]).any()}
    late = {name for name in before if int(name.split(".")[0]) >= tail.early}
    assert changed == {name for name in late if name.endswith(("mean", "var", "tracked"))}
    assert not any(module.training for module in tail.eval().modules())


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_head_has_one_output_a_class(arch: str) -> None:
    head = build(arch, 7).get_submodule(head_name(arch))
    assert isinstance(head, nn.Linear)
    assert head.out_features == 7


def test_random_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = build("resnet18", 3, seed=5).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = build("resnet18", 3, seed=5), build("resnet18", 3, seed=6)
    assert all(torch.equal(tensor, first[name]) for name, tensor in again.state_dict().items())
    assert not torch.equal(other.state_dict()["fc.weight"], first["fc.weight"])


def test_standardise() -> None:
    torch.manual_seed(0)
    features = torch.randn(50, 6) * torch.tensor([0.1, 1, 5, 30, 1, 1]) + torch.arange(6)
    features[:, 4] = 3.0  # does not vary
    layer = Standardise(features)
    made = layer(features)
    torch.testing.assert_close(made.mean(0), torch.zeros(6), atol=1e-4, rtol=0)
    varies = torch.tensor([0, 1, 2, 3, 5])
    torch.testing.assert_close(made.std(0)[varies], torch.ones(5))
    assert (made[:, 4] == 0).all()


def test_folding_standardise_into_the_head_is_exact() -> None:
    torch.manual_seed(0)
    features = (torch.randn(40, 8) * 7 + 3).double()
    features[:, 2] = -1.5
    layer, head = Standardise(features), nn.Linear(8, 3).double()
    with torch.no_grad():
        expected = head(layer(features))
        layer.fold_into(head)
        torch.testing.assert_close(head(features), expected, rtol=1e-12, atol=1e-12)
