"""What augmentation makes of one image, for people to look at; torch is imported when asked."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def variants(
    square: "NDArray[np.uint8]", count: int, seed: int, kind: str = "standard"
) -> "NDArray[np.uint8]":
    """``count`` copies ``(count, S, S)`` of a grey square ``(S, S)``, varied as training does it.

    ``kind`` is standard or strong, as in a recipe. The same seed gives the same copies.
    Importing torch takes a second and some 200 MB.
    """
    import numpy as np
    import torch

    from covidcore.training.augment import KINDS, augment

    squares = torch.from_numpy(np.repeat(square[np.newaxis], count, axis=0))
    varied = augment(squares, torch.Generator().manual_seed(seed), bounds=KINDS[kind])
    return np.asarray(varied.round().to(torch.uint8))
