"""Processes that train together, each with its share of the images of every step."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed

_PATIENCE = timedelta(minutes=30)
"""How long one waits for the others: longer than the first of them needs to write a checkpoint."""


class Group:
    """This process, number ``rank`` of ``size``. Without arguments: one that does everything.

    ``total`` and ``any`` return when all processes of the group have called them.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self.images = 0
        """Of the present step."""
        self.mine = slice(0, 0)
        """Which of them are this process's."""

    def share(self, images: int) -> slice:
        """Begin a step of so many images: which of them are this process's.

        The shares are as equal as can be, and lie one after the other in the order of the ranks.
        """
        bounds = (images * self.rank // self.size, images * (self.rank + 1) // self.size)
        self.images, self.mine = images, slice(*bounds)
        return self.mine

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of ``values`` over the processes, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def any(self, here: bool) -> bool:
        """Whether it is so in one of the processes at the least."""
        return bool(self.total(torch.tensor(float(here))).item())


@contextmanager
def joined() -> Iterator[Group]:
    """The group that torchrun made this process part of.

    Where there are GPUs enough, each process has one of its own (nccl); else they share (gloo).
    """
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    backend = "gloo"
    if devices := torch.cuda.device_count():
        torch.cuda.set_device(rank % devices)
        if devices >= size:
            backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Group(rank, size)
        distributed.barrier()  # who goes first would break off what the others still say
    finally:
        distributed.destroy_process_group()
