"""What ``test_group`` runs in three processes; each writes what it came to."""

import copy
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.ops import StochasticDepth

from covidcore.jobs.lifeline import Lifeline
from covidcore.training.average import Average, average_of
from covidcore.training.group import Group, joined
from covidcore.training.loop import EpochResult, Step, fit, make_optimiser
from tests.training.test_loop import RECIPE, batches

# Steps of 10 and 11 images: shares of three processes are never all of one size.
EVERYTHING = replace(
    RECIPE, batch_size=11, class_weights="balanced", label_smoothing=0.1, ema_decay=0.8
)
IMAGES = 400
"""Of which a third validates: in three batches."""


def network() -> nn.Sequential:
    """A layer of each kind that looks at more than one image, or draws at random."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=4, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Sequential(
            nn.Conv2d(16, 16, 3, bias=False), nn.BatchNorm2d(16), StochasticDepth(0.3, "row")
        ),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(1),
        nn.Dropout(0.3),
        nn.Linear(16 * 4, 3),
    ).to(memory_format=torch.channels_last)


def tensors_of(tail: nn.Module) -> dict[str, torch.Tensor]:
    """State, and the gradients of the last step."""
    found = {name: tensor.contiguous() for name, tensor in tail.state_dict().items()}
    for name, parameter in tail.named_parameters():
        assert parameter.grad is not None
        found[f"gradient of {name}"] = parameter.grad.contiguous()
    return found


def train(precision: str, group: Group | None = None, stop: int = 0) -> tuple[nn.Module, list]:
    """Two epochs; where ``stop`` is given, in two halves, the second with everything made anew."""
    recipe = replace(EVERYTHING, epochs=2, learning_rate=1e-3)
    data = batches(IMAGES, unequal=True)
    tail = network()
    optimiser, average = make_optimiser(tail, recipe), average_of(tail, recipe)
    assert average is not None
    results, at, done = [], Step(), 0
    for event in fit(tail, data, recipe, optimiser, precision, group=group, average=average):
        done += isinstance(event, Step)
        at = event if isinstance(event, Step) else at
        results += [event] if isinstance(event, EpochResult) else []
        if stop and done == stop:
            break
    if stop:
        parts = (tail, optimiser, average.network)
        kept = copy.deepcopy([part.state_dict() for part in parts])
        tail = network()
        optimiser, average = make_optimiser(tail, recipe), Average(tail, recipe.ema_decay)
        for part, state in zip((tail, optimiser, average.network), kept, strict=True):
            part.load_state_dict(state)
        rest = fit(tail, data, recipe, optimiser, precision, at, group, average)
        results += [event for event in rest if isinstance(event, EpochResult)]
    return tail, results


def main(folder: Path) -> None:
    Lifeline().start()
    torch.set_num_threads(1)
    with joined() as group:
        for name, precision, stop in (
            ("whole", "fp32", 0),
            ("halves", "fp32", 7),
            ("bf16", "bf16", 0),
        ):
            tail, results = train(precision, group, stop)
            save_file(tensors_of(tail), folder / f"{name}-{group.rank}.safetensors")
            told = [asdict(result) for result in results]
            (folder / f"{name}-{group.rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
