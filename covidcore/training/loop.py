"""The training loop: a generator of steps and epochs. Knows no files, no dataset and no job.

Everything random in a step is drawn from a seed made of (recipe seed, epoch, step). So nothing
but weights, optimiser state and the position has to be kept for a run to go on where it stopped,
and the result is the same, bit for bit, as if it had not.

Several processes may train together (a ``Group``): each runs this loop on its share of the images
of every step and on every so-many-th batch of the validation, and all come to the same figures.
"""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional

from covidcore.failpoints import reach
from covidcore.model.network import Tail
from covidcore.training.average import Average
from covidcore.training.group import Group
from covidcore.training.precision import autocast
from covidcore.training.recipe import Recipe
from covidcore.training.spanning import spread


class Batches(Protocol):
    """Where batches come from: pixels, or cached activations."""

    classes: int
    train_size: int
    val_size: int
    val_batch: int
    """Validation images in a batch; there may be fewer in the last."""
    class_counts: torch.Tensor
    """Training images a class, ``(C,)``."""

    def train(
        self, rows: torch.Tensor, epoch: int, generator: torch.Generator, share: slice
    ) -> torch.Tensor:
        """Inputs of the training images at positions ``rows[share]``, varied for this epoch.

        What is random is drawn for all ``rows``: a share of them is the same in any share.
        """
        ...

    def train_labels(self, rows: torch.Tensor) -> torch.Tensor:
        """Class numbers of the training images at positions ``rows``, int64."""
        ...

    def validation(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and labels of one batch of validation images, as they are."""
        ...


@dataclass(frozen=True)
class Step:
    """One optimiser step is done; ``epoch`` and ``step`` count from 1.

    It is also where to go on from: ``fit(..., start=step)`` begins with the step after it.
    """

    epoch: int = 1
    step: int = 0
    steps: int = 0
    loss: float = math.nan
    """Of this step's images."""
    images: int = 0
    """In this step."""
    total_loss: float = 0.0
    """Sum over the epoch's images so far."""
    right: int = 0
    """Of the epoch's images so far."""


@dataclass(frozen=True)
class Validating:
    """Part of the validation images are done."""

    epoch: int
    images: int
    of: int


@dataclass(frozen=True)
class EpochResult:
    """One pass over the training images and one over the validation images."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float


def learning_rate_factor(schedule: str, progress: float) -> float:
    """Share of the highest rate at ``progress`` (0 to 1) of training.

    one_cycle: cosine up from 1/25 during the first quarter, cosine down to zero after it
    (Smith & Topin 2018, with cosine arcs).
    """
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if progress < 0.25:
        return 1 / 25 + (1 - 1 / 25) * 0.5 * (1 - math.cos(math.pi * progress / 0.25))
    return 0.5 * (1 + math.cos(math.pi * (progress - 0.25) / 0.75))


def make_optimiser(tail: nn.Sequential, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW; the early children of a ``Tail`` at ``backbone_rate`` of the full rate.

    What early layers of a pre-trained network see (edges, textures) needs little change, and a
    small dataset would undo it (Howard & Ruder 2018, discriminative fine-tuning). Weight decay
    is left off biases and normalisation (anything with one dimension).
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    early = tail.early if isinstance(tail, Tail) else 0
    for position, part in enumerate(tail):
        for parameter in part.parameters():
            groups.setdefault((position >= early, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": recipe.weight_decay if decays else 0.0,
                "scale": 1.0 if is_late else recipe.backbone_rate,
            }
            for (is_late, decays), parameters in sorted(groups.items())
        ],
        lr=recipe.learning_rate,
        fused=True,  # a third of the time on a CPU
    )


def fit(
    tail: nn.Module,
    batches: Batches,
    recipe: Recipe,
    optimiser: torch.optim.Optimizer,
    precision: str,
    start: Step | None = None,
    group: Group | None = None,
    average: Average | None = None,
) -> Iterator[Step | Validating | EpochResult]:
    """Train ``tail`` in place; yields after every step and at the end of every epoch.

    The caller may stop at any yield; weights and optimiser are then whole, and the last ``Step``
    says where ``start`` goes on. Where there is an ``average``, it follows the weights, and is what
    is validated. Patience, checkpoints and the choice of the best epoch are the
    caller's. The processes of a ``group`` begin with the same weights and optimiser.
    """
    group = group or Group()
    network = spread(tail, group)
    # Two images a step at the least: normalisation over a batch of one means nothing.
    steps = max(1, min(math.ceil(batches.train_size / recipe.batch_size), batches.train_size // 2))
    weights = _class_weights(batches, recipe)
    start = start or Step()
    for epoch in range(start.epoch, recipe.epochs + 1):
        generator = seeded(recipe.seed, epoch)
        order = torch.randperm(batches.train_size, generator=generator)
        total_loss, right = start.total_loss, start.right
        tail.train()
        for step, rows in enumerate(order.tensor_split(steps), start=1):
            progress = ((epoch - 1) * steps + step - 1) / (recipe.epochs * steps)
            rate = _set_rate(optimiser, recipe, progress)
            if step <= start.step:
                continue
            seed_layers(_mix(recipe.seed, epoch, step))
            mine = group.share(len(rows))
            images = batches.train(rows, epoch, seeded(recipe.seed, epoch, step), mine)
            labels = batches.train_labels(rows)
            with autocast(precision):
                logits = network(images).float()
            loss = _part_of_mean(labels, mine, weights) * functional.cross_entropy(
                logits, labels[mine], weight=weights, label_smoothing=recipe.label_smoothing
            )
            optimiser.zero_grad(set_to_none=True)
            # The processes' gradients are averaged, and shall be summed.
            (loss * group.size).backward()  # type: ignore[no-untyped-call]
            reach("batch")
            optimiser.step()
            if average:
                average.follow(tail, (epoch - 1) * steps + step)
            hits = (logits.argmax(1) == labels[mine]).sum()
            figures = torch.tensor([loss.item(), hits.item()], dtype=torch.float64)
            mean_loss, met = group.total(figures).tolist()
            total_loss += mean_loss * len(rows)
            right += int(met)
            yield Step(epoch, step, steps, mean_loss, len(rows), total_loss, right)
        start = Step()
        judged = average.network if average else tail
        val_loss, val_accuracy = yield from _validate(judged, batches, precision, epoch, group)
        yield EpochResult(
            epoch=epoch,
            train_loss=total_loss / batches.train_size,
            train_accuracy=right / batches.train_size,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=rate,
        )


def _set_rate(optimiser: torch.optim.Optimizer, recipe: Recipe, progress: float) -> float:
    rate = recipe.learning_rate * learning_rate_factor(recipe.schedule, progress)
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]
    return rate


def _part_of_mean(labels: torch.Tensor, mine: slice, weights: torch.Tensor | None) -> torch.Tensor:
    """How much the mean loss of a share counts in that of all images with ``labels``."""
    counts = torch.ones_like(labels, dtype=torch.float32) if weights is None else weights[labels]
    return counts[mine].sum() / counts.sum()


def _validate(
    tail: nn.Module, batches: Batches, precision: str, epoch: int, group: Group
) -> Generator[Validating, None, tuple[float, float]]:
    """Mean cross-entropy (no weights, no smoothing) and accuracy on the validation images.

    The processes take turns; sums are made of the batches in their order, whoever had them.
    """
    tail.eval()
    count = math.ceil(batches.val_size / batches.val_batch)
    figures = torch.zeros((2, count), dtype=torch.float64)
    for first in range(0, count, group.size):
        number = first + group.rank
        if number < count:
            images, labels = batches.validation(number)
            # Not around the yield: the mode would reach into the caller.
            with torch.inference_mode(), autocast(precision):
                logits = tail(images).float()
                loss = functional.cross_entropy(logits, labels, reduction="sum")
            figures[:, number] = torch.tensor([loss, (logits.argmax(1) == labels).sum()])
        reach("validation")
        seen = min((first + group.size) * batches.val_batch, batches.val_size)
        yield Validating(epoch, seen, batches.val_size)
    losses, right = group.total(figures).tolist()
    return sum(losses) / batches.val_size, sum(right) / batches.val_size


def seed_layers(seed: int) -> None:
    """Seed what layers draw from, such as dropout.

    ``torch.manual_seed`` also writes down, each time and with a traceback, what to do should a GPU
    be used later: a quarter of the time that a step of the head takes.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)


def seeded(*parts: int) -> torch.Generator:
    """A CPU generator whose stream depends on all of ``parts``."""
    return torch.Generator().manual_seed(_mix(*parts))


def _mix(*parts: int) -> int:
    """Fold whole numbers into one 63-bit seed (FNV-1a over their digits)."""
    value = 0xCBF29CE484222325
    for byte in ",".join(map(str, parts)).encode():
        value = ((value ^ byte) * 0x100000001B3) & (2**64 - 1)
    return value >> 1


def _class_weights(batches: Batches, recipe: Recipe) -> torch.Tensor | None:
    if recipe.class_weights == "none":
        return None
    counts = batches.class_counts.to(torch.float32)
    return counts.sum() / (len(counts) * counts)
