"""The average of a network's weights over the last steps of training.

At a high learning rate the weights move around the place that they are looking for; their average
lies nearer to it than any of them (Polyak & Juditsky 1992; as an exponential average over the
steps of deep networks: Tarvainen & Valpola 2017). Its validation loss is steadier, so that the
choice of the best epoch is less of a draw.
"""

import copy

import torch
from torch import nn

from covidcore.training.recipe import Recipe


class Average:
    """A copy of ``network`` whose weights and statistics follow those of the trained one."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay = decay
        """What it keeps of itself at each step: about the last ``1 / (1 - decay)`` steps count."""

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step; steps of all epochs count from 1.

        Until there are enough of them it is the plain mean, which knows no beginning.
        """
        share = max(1 - self.decay, 1 / step)
        state = network.state_dict()
        for name, own in self.network.state_dict().items():
            if own.is_floating_point():
                own.lerp_(state[name], share)
            else:
                own.copy_(state[name])  # counts


def average_of(network: nn.Module, recipe: Recipe) -> Average | None:
    """Where a recipe asks for one: an average that begins with ``network``."""
    return Average(network, recipe.ema_decay) if recipe.ema_decay else None
