"""Batches for the loop: from pixels where everything is trained, else from cached activations."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from covidcore.model.preprocess import Preprocessing, normalise
from covidcore.training.augment import KINDS, augment
from covidcore.training.loop import seeded
from covidcore.training.precision import on_device
from covidcore.training.sizes import image_sizes as image_sizes  # of the batches that are made here

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLAIN = 0.25
"""Share of a step's images that are not varied; as of the variants of cached activations."""

_ALL = slice(None)


class _Labelled(ABC):
    """Rows of a dataset that train and that validate, with their classes."""

    val_batch = 64

    def __init__(
        self,
        labels: "NDArray[np.int64]",
        train_rows: "NDArray[np.int64]",
        val_rows: "NDArray[np.int64]",
        classes: int,
    ) -> None:
        self.classes = classes
        self.train_size, self.val_size = len(train_rows), len(val_rows)
        # Copies, for rows out of a table are read-only, which torch does not like.
        self.train_rows, self.val_rows = train_rows.copy(), val_rows.copy()
        self.labels = on_device(labels.copy())
        counts = np.bincount(labels[train_rows], minlength=classes)
        self.class_counts = on_device(counts)

    def train_labels(self, rows: torch.Tensor) -> torch.Tensor:
        """Class numbers of the training images at positions ``rows``."""
        return self.labels[on_device(self.train_rows[rows.numpy()])]

    def validation(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and labels of the validation images' batch of that number, from 0."""
        rows = self.val_rows[number * self.val_batch : (number + 1) * self.val_batch]
        return self.plain(rows), self.labels[on_device(rows)]

    @abstractmethod
    def plain(self, rows: "NDArray[np.int64]") -> torch.Tensor:
        """Inputs of dataset rows, not varied."""


class PixelBatches(_Labelled):
    """Normalised images, varied anew each time; for ``trainable="all"``.

    ``augmentation`` is a recipe's.
    """

    def __init__(
        self,
        pixels: "NDArray[np.uint8]",
        spec: Preprocessing,
        augmentation: str,
        sizes: "tuple[int, ...]",
        **rows: "NDArray[np.int64] | int",
    ) -> None:
        super().__init__(**rows)  # type: ignore[arg-type]
        self.pixels, self.spec, self.sizes = pixels, spec, sizes
        self.bounds = KINDS.get(augmentation)

    def train(
        self, rows: torch.Tensor, epoch: int, generator: torch.Generator, share: slice = _ALL
    ) -> torch.Tensor:
        """Images ``(n, 3, size, size)`` for this epoch's size."""
        squares = self._squares(self.train_rows[rows[share].numpy()])
        if self.bounds:
            # Some stay as they are, as validation images are: to move one blurs it a little.
            plain = (torch.rand(len(rows), generator=generator) < PLAIN)[share]
            varied = augment(squares, generator, len(rows), share, self.bounds)
            squares = torch.where(plain.to(squares.device)[:, None, None], squares.float(), varied)
        size = self.sizes[epoch - 1]
        if size != squares.shape[-1]:
            squares = functional.interpolate(
                squares[:, None].float(), size=(size, size), mode="bilinear", antialias=True
            )[:, 0]
        return normalise(squares, self.spec)

    def plain(self, rows: "NDArray[np.int64]") -> torch.Tensor:
        """Images at full size."""
        return normalise(self._squares(rows), self.spec)

    def _squares(self, rows: "NDArray[np.int64]") -> torch.Tensor:
        return on_device(np.asarray(self.pixels[rows]))


class ActivationBatches(_Labelled):
    """Cached outputs of the frozen part; each training image in a variant drawn each epoch."""

    def __init__(
        self,
        variants: "list[NDArray[np.float16]]",
        seed: int,
        **rows: "NDArray[np.int64] | int",
    ) -> None:
        super().__init__(**rows)  # type: ignore[arg-type]
        # Not as the maps that they are: to pick a row of a map costs more than the row.
        self.variants = [np.asarray(variant) for variant in variants]
        # A random first variant an image, then one further each epoch: no variant is met twice
        # before all were met once.
        self._first = torch.randint(
            len(variants), (self.train_size,), generator=seeded(seed, 0)
        ).numpy()

    def train(
        self, rows: torch.Tensor, epoch: int, generator: torch.Generator, share: slice = _ALL
    ) -> torch.Tensor:
        """Activations ``(n, ...)``, over the epochs every variant of an image about as often."""
        mine = rows[share].numpy()
        chosen = (self._first[mine] + epoch) % len(self.variants)
        places = self.train_rows[mine]
        return _as_input(
            np.stack([self.variants[v][p] for v, p in zip(chosen, places, strict=True)])
        )

    def plain(self, rows: "NDArray[np.int64]") -> torch.Tensor:
        """Activations of the images as they are (variant 0)."""
        return _as_input(self.variants[0][rows])


def _as_input(array: "NDArray[np.float16]") -> torch.Tensor:
    values = on_device(np.asarray(array)).float()
    return values.permute(0, 3, 1, 2) if values.ndim == 4 else values  # stored channels-last
