"""The one way from a grey image to what the network sees, for training, evaluation and upload.

Torch is imported by the functions that make tensors: the description alone costs nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from covidcore.data.pixels import resize
from covidcore.errors import CheckpointError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Preprocessing:
    """How images become tensors; stored with the weights, and part of them.

    ``mean`` and ``std`` belong to the range 0 to 1 of each of the three equal channels.
    """

    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: str = "bilinear-antialias-squash"
    channels: str = "grey-repeated"

    def to_json(self) -> dict[str, Any]:
        """Every field by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Preprocessing":
        """The inverse of ``to_json``.

        Raises: CheckpointError where the description is not one this version can follow.
        """
        try:
            made = cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})
            sound = (
                isinstance(made.image_size, int)
                and 32 <= made.image_size <= 4096
                and len(made.mean) == len(made.std) == 3
                and all(map(math.isfinite, (*made.mean, *made.std)))
                and min(made.std) > 0
            )
        except (TypeError, KeyError, OverflowError) as error:  # a whole number of 400 digits
            raise CheckpointError("The preprocessing of this model is not understood.") from error
        if not sound:
            raise CheckpointError("The preprocessing of this model holds impossible values.")
        if (made.resize, made.channels) != (cls.resize, cls.channels):
            raise CheckpointError("This model was trained with a preprocessing unknown here.")
        return made


def preprocess(images: Sequence[NDArray[np.uint8]], spec: Preprocessing) -> "torch.Tensor":
    """Grey images ``(H, W)`` of any size -> float32 ``(N, 3, size, size)``, normalised."""
    import torch

    return normalise(torch.from_numpy(as_squares(images, spec)), spec)


def as_squares(images: Sequence[NDArray[np.uint8]], spec: Preprocessing) -> NDArray[np.uint8]:
    """Grey images ``(H, W)`` of any size -> ``(N, size, size)``, values 0 to 255."""
    return np.stack([resize(image, spec.image_size) for image in images])


def normalise(squares: "torch.Tensor", spec: Preprocessing) -> "torch.Tensor":
    """Grey squares ``(N, S, S)`` with values 0 to 255 -> float32 ``(N, 3, S, S)``.

    The result is stored channels-last, which the convolutions here prefer.
    """
    import torch

    # One multiplication and one addition a channel: x / 255 / std - mean / std.
    scale = torch.tensor([1 / 255 / deviation for deviation in spec.std])
    shift = torch.tensor([-mean / dev for mean, dev in zip(spec.mean, spec.std, strict=True)])
    device = squares.device
    grey = squares.to(torch.float32)[..., None]
    return (grey * scale.to(device) + shift.to(device)).permute(0, 3, 1, 2)
