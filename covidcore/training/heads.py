"""Many linear heads on the same features, trained at once: for folds and repeats.

Each is trained as the program trains one (`training.loop` with ``trainable="head"``): the same
order of images, steps, loss, optimiser and schedule, so that its result is what a run of its own
would give at its last epoch. Together they are one product of matrices a step in place of many.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from covidcore.data.facts import Progress
from covidcore.training.loop import learning_rate_factor, seeded
from covidcore.training.recipe import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray


def first_weights(features: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where a head starts: weights ``(F, C)``, bias ``(C,)``; drawn as ``torch.nn.Linear`` does."""
    bound = 1 / math.sqrt(features)
    generator = seeded(seed, 0)
    weight = torch.empty(features, classes).uniform_(-bound, bound, generator=generator)
    return weight, torch.empty(classes).uniform_(-bound, bound, generator=generator)


def train_heads(
    features: "NDArray[np.float16]",
    labels: "NDArray[np.int64]",
    seen: "NDArray[np.bool_]",
    classes: int,
    recipe: Recipe,
    progress: Progress | None = None,
) -> "NDArray[np.float32]":
    """Logits ``(M, N, C)`` of M heads on all images, each trained on its own of them.

    ``features`` ``(N, F)``, ``labels`` ``(N,)``; ``seen`` ``(M, N)`` says which images a head
    learns from. Of ``recipe`` those fields count that say how a head is trained.
    """
    images = torch.from_numpy(np.array(features)).float()
    logits = np.empty((len(seen), len(labels), classes), dtype=np.float32)
    steps = np.array([_steps(int(count), recipe.batch_size) for count in seen.sum(axis=1)])
    total, done = int((steps * recipe.epochs).sum()), 0
    for count in np.unique(steps):  # heads of as many steps march together
        which = np.flatnonzero(steps == count)
        heads = _Heads(images, torch.from_numpy(labels), seen[which], classes, recipe)
        for _ in heads.epochs(int(count)):
            done += int(count) * len(which)
            if progress:
                progress(done, total)
        logits[which] = heads.logits().numpy()
    return logits


def _steps(images: int, batch: int) -> int:
    """As ``loop.fit`` has it: two images a step at the least."""
    return max(1, min(math.ceil(images / batch), images // 2))


class _Heads:
    """Heads that take the same number of steps."""

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        seen: "NDArray[np.bool_]",
        classes: int,
        recipe: Recipe,
    ) -> None:
        self.images, self.labels, self.recipe = images, labels, recipe
        self.rows = [torch.from_numpy(np.flatnonzero(one)) for one in seen]
        self.mean, self.scale = self._standards()
        weight, bias = first_weights(images.shape[1], classes, recipe.seed)
        self.weight = weight.repeat(len(seen), 1, 1)  # (M, F, C)
        self.bias = bias.repeat(len(seen), 1, 1)  # (M, 1, C)
        self.class_weights = self._class_weights(classes)
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [self.weight], "weight_decay": recipe.weight_decay},
                {"params": [self.bias], "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
        )

    def epochs(self, steps: int) -> Iterator[None]:
        """Train; yields after each epoch."""
        for epoch in range(1, self.recipe.epochs + 1):
            places, filled = self._order(epoch, steps)
            for step in range(steps):
                at = ((epoch - 1) * steps + step) / (self.recipe.epochs * steps)
                rate = self.recipe.learning_rate * learning_rate_factor(self.recipe.schedule, at)
                for group in self.optimiser.param_groups:
                    group["lr"] = rate
                self._step(places[:, step], filled[:, step])
            yield

    @torch.inference_mode()
    def logits(self) -> torch.Tensor:
        """Of all images, ``(M, N, C)``."""
        weight, bias = self._plain()
        return self.images @ weight + bias

    def _standards(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and scale of each head's training features ``(M, F, 1)``: `network.Standardise`."""
        if not self.recipe.standardise:
            nothing = torch.zeros(len(self.rows), self.images.shape[1], 1)
            return nothing, torch.ones_like(nothing)
        means = torch.stack([self.images[rows].mean(dim=0) for rows in self.rows])
        deviations = torch.stack([self.images[rows].std(dim=0) for rows in self.rows])
        varies = deviations > 1e-3 * deviations.mean(dim=1, keepdim=True)
        scale = torch.where(varies, 1 / deviations, 0.0)
        return means[..., None], scale[..., None]

    def _class_weights(self, classes: int) -> torch.Tensor:
        """What an image of each class counts ``(M, C)``; one that a head never sees, nothing."""
        if self.recipe.class_weights == "none":
            return torch.ones(len(self.rows), classes)
        counts = torch.stack([self.labels[rows].bincount(minlength=classes) for rows in self.rows])
        weight = counts.sum(dim=1, keepdim=True) / (classes * counts.float())
        return torch.where(counts > 0, weight, 0.0)

    def _order(self, epoch: int, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The images of each step ``(M, steps, B)`` and which of these places are filled."""
        width = max(math.ceil(len(rows) / steps) for rows in self.rows)
        places = torch.zeros(len(self.rows), steps, width, dtype=torch.int64)
        filled = torch.zeros(len(self.rows), steps, width)
        for head, rows in enumerate(self.rows):
            order = rows[torch.randperm(len(rows), generator=seeded(self.recipe.seed, epoch))]
            full = -(-len(rows) // steps)
            longer = len(rows) - steps * (full - 1)  # so many steps have one image more
            cut = longer * full
            places[head, :longer, :full] = order[:cut].reshape(longer, full)
            places[head, longer:, : full - 1] = order[cut:].reshape(steps - longer, full - 1)
            filled[head, :longer, :full] = 1
            filled[head, longer:, : full - 1] = 1
        return places, filled

    @torch.no_grad()
    def _step(self, places: torch.Tensor, filled: torch.Tensor) -> None:
        """One step of every head on its images ``(M, B)``; the gradient is written out."""
        inputs = self.images[places]  # (M, B, F)
        # The weights are standardised in place of the features, which are a hundred times as many.
        weight, bias = self._plain()
        shares = torch.softmax(torch.baddbmm(bias, inputs, weight), dim=2)
        labels = self.labels[places]
        counts = self.class_weights.gather(1, labels) * filled  # (M, B)
        smooth, classes = self.recipe.label_smoothing, shares.shape[2]
        wanted = torch.zeros_like(shares).scatter_(2, labels[..., None], 1 - smooth)
        wanted = (wanted + smooth / classes) * self.class_weights[:, None] * filled[..., None]
        error = shares * wanted.sum(dim=2, keepdim=True) - wanted
        error /= counts.sum(dim=1)[:, None, None]
        of_bias = error.sum(dim=1, keepdim=True)
        self.bias.grad = of_bias
        self.weight.grad = self.scale * (inputs.transpose(1, 2) @ error - self.mean * of_bias)
        self.optimiser.step()

    def _plain(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights ``(M, F, C)`` and bias ``(M, 1, C)`` for features that are not standardised."""
        weight = self.weight * self.scale
        return weight, self.bias - self.mean.transpose(1, 2) @ weight
