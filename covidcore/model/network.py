"""torchvision networks with our head, and the cut between what is frozen and what is trained."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from covidcore.lean import leave_out_compiler


@dataclass(frozen=True)
class _Anatomy:
    """Where an architecture ends in a linear layer, and its parts in the order they run."""

    head: str
    """Dotted name of the last linear layer."""
    body: Callable[[nn.Module], list[nn.Module]]
    """All parts before the pooled features, in order."""
    last_stage: int
    """How many of the body's parts, from its end, make its last stage."""
    neck: Callable[[nn.Module], list[nn.Module]]
    """Parts between the pooled features and the head that are frozen with the body."""
    before_head: Callable[[nn.Module], list[nn.Module]]
    """Parts that belong to the head (dropout)."""


def _resnet(model: nn.Module) -> list[nn.Module]:
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool")
    return [*(model.get_submodule(name) for name in names), nn.Flatten(1)]


def _features(*ends: nn.Module) -> Callable[[nn.Module], list[nn.Module]]:
    def parts(model: nn.Module) -> list[nn.Module]:
        return [*model.get_submodule("features").children(), *ends, nn.Flatten(1)]

    return parts


def _nothing(_: nn.Module) -> list[nn.Module]:
    return []


def _classifier(start: int, stop: int) -> Callable[[nn.Module], list[nn.Module]]:
    return lambda model: list(model.get_submodule("classifier").children())[start:stop]


_POOL = nn.AdaptiveAvgPool2d(1)
_RESNET = _Anatomy("fc", _resnet, 3, _nothing, _nothing)
_ANATOMY = {
    "resnet18": _RESNET,
    "resnet34": _RESNET,
    "resnet50": _RESNET,
    "densenet121": _Anatomy("classifier", _features(nn.ReLU(), _POOL), 5, _nothing, _nothing),
    "efficientnet_b0": _Anatomy("classifier.1", _features(_POOL), 4, _nothing, _classifier(0, 1)),
    "mobilenet_v3_large": _Anatomy(
        "classifier.3", _features(_POOL), 6, _classifier(0, 2), _classifier(2, 3)
    ),
}


def build(arch: str, classes: int, seed: int = 0) -> nn.Module:
    """A network of random weights whose last layer has one output a class."""
    leave_out_compiler()
    from torchvision.models import get_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = get_model(arch, weights=None)
        owner, _, name = _ANATOMY[arch].head.rpartition(".")
        old = model.get_submodule(_ANATOMY[arch].head)
        assert isinstance(old, nn.Linear)
        parent = model.get_submodule(owner) if owner else model
        setattr(parent, name, nn.Linear(old.in_features, classes))
    return model.to(memory_format=torch.channels_last)


def draw_head(model: nn.Module, arch: str, seed: int) -> None:
    """Draw the last layer anew, as ``build`` does, from a seed of its own."""
    head = model.get_submodule(_ANATOMY[arch].head)
    assert isinstance(head, nn.Linear)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head.reset_parameters()


class Standardise(nn.Module):
    """Features ``(N, F)`` brought to mean 0 and deviation 1 over the training images.

    It makes the training of a linear head quick whatever the backbone's scale is. Features that
    do not vary are set to 0. ``fold_into`` takes it out again once the head is trained.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, features: torch.Tensor) -> None:
        super().__init__()
        deviation = features.std(dim=0)
        varies = deviation > 1e-3 * deviation.mean()
        self.register_buffer("mean", features.mean(dim=0))
        self.register_buffer("scale", torch.where(varies, 1 / deviation, 0.0))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features ``(N, F)`` -> the same shape."""
        return (features - self.mean) * self.scale

    @torch.no_grad()
    def fold_into(self, head: nn.Linear) -> None:
        """Change ``head`` so that it gives on plain features what it gave on standardised ones."""
        weight = head.weight * self.scale
        head.bias.sub_(weight @ self.mean)
        head.weight.copy_(weight)


class Tail(nn.Sequential):
    """The trained part of a network.

    Its first ``early`` children are pre-trained and come before the last stage: a small dataset
    should change them little. They keep their normalisation's statistics, which those of varied
    images would spoil for plain ones, and the optimiser gives them a rate of their own.
    """

    early: int = 0

    def train(self, mode: bool = True) -> "Tail":
        """Go over to training (or evaluation), but for what keeps its statistics."""
        super().train(mode)
        for part in list(self)[: self.early]:
            part.eval()
        return self


def head_name(arch: str) -> str:
    """Dotted name of the layer that is replaced by ours."""
    return _ANATOMY[arch].head


def at_pooling(model: nn.Module, arch: str) -> tuple[nn.Sequential, nn.Sequential]:
    """Divide a network where its last convolutions end: before the pooling, and from it on.

    Running one after the other is the network's own forward pass; what lies between are maps
    ``(N, K, h, w)``. Both share the network's parameters, and are set to evaluation.
    """
    anatomy = _ANATOMY[arch]
    body = anatomy.body(model)  # ends in the pooling and the flattening
    head = [*anatomy.before_head(model), model.get_submodule(anatomy.head)]
    front, back = body[:-2], [*body[-2:], *anatomy.neck(model), *head]
    return nn.Sequential(*front).eval(), nn.Sequential(*back).eval()


def cut(
    model: nn.Module, arch: str, trainable: str, pretrained: bool = True
) -> tuple[nn.Sequential, Tail]:
    """Divide a network into what stays as it is and what is trained; both share its parameters.

    Running one after the other is the network's own forward pass. ``frozen`` is set to
    evaluation, without gradients; it is empty for ``trainable="all"``. Early parts of the trained
    one are told from late ones only where they are ``pretrained``.
    """
    anatomy = _ANATOMY[arch]
    body = anatomy.body(model)
    neck, head = anatomy.neck(model), anatomy.before_head(model)
    head = [*head, model.get_submodule(anatomy.head)]
    # The pooling and the flattening at the end of the body count as parts of its last stage.
    late = len(body) - anatomy.last_stage
    at = {"head": len(body), "last_stage": late, "all": 0}[trainable]
    if trainable == "head":
        frozen, parts = [*body, *neck], head
    else:
        frozen, parts = body[:at], [*body[at:], *neck, *head]
    tail = Tail(*parts)
    tail.early = late if trainable == "all" and pretrained else 0
    tail.requires_grad_(True)
    return nn.Sequential(*frozen).eval().requires_grad_(False), tail
