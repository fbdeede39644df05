"""How much disk a run takes, told before it starts, and what a worker does when there is no more.

During a run every large file takes its room before the first byte is written
(``storage.reserve``), so that a full disk is a sentence with what is needed and what is left.
"""

import contextlib
import os
import shutil
from pathlib import Path

from covidcore.errors import DataError
from covidcore.training.recipe import VARIANTS, Recipe

# Of each architecture: parameters in millions; where the last stage begins, its input's channels
# and how many pixels of the image make one of its own; features before the head.
_SHAPES = {
    "resnet18": (11.7, 256, 16, 512),
    "resnet34": (21.8, 256, 16, 512),
    "resnet50": (25.6, 1024, 16, 2048),
    "densenet121": (8.0, 512, 32, 1024),
    "efficientnet_b0": (5.3, 192, 32, 1280),
    "mobilenet_v3_large": (5.5, 112, 16, 1280),
}

_BALLAST_BYTES = 1 << 16


def needed(recipe: Recipe, images: int) -> int:
    """Bytes that a run writes at most: pixels, activations, checkpoints (an upper estimate)."""
    parameters, channels, stride, features = _SHAPES[recipe.arch]
    pixels = images * recipe.image_size**2
    variants = VARIANTS if recipe.augment != "none" else 1
    side = -(-recipe.image_size // stride)
    per_image = {"head": features, "last_stage": channels * side**2, "all": 0}[recipe.trainable]
    activations = 2 * images * variants * per_image
    # Weights now, best, and two of AdamW's; twice while one file replaces another; the result.
    copies = 5 if recipe.ema_decay else 4
    checkpoints = int(parameters * 1e6) * 4 * (copies * 2 + 1)
    return pixels + activations + checkpoints


def check_space(recipe: Recipe, images: int, home: Path) -> None:
    """Raises: DataError where the home's disk has not enough room for a run."""
    folder = next(path for path in (home, *home.parents) if path.exists())
    free, need = shutil.disk_usage(folder).free, needed(recipe, images)
    if free < need:
        raise DataError(
            f"This run needs about {need / 1e9:.1f} GB, and the disk of {home} has "
            f"{free / 1e9:.1f} GB left: make room, or set COVIDCORE_HOME to another disk."
        )


class Ballast:
    """A little of the disk, held from a worker's start, so that it can write down its end.

    On a disk without a free block not even "the disk is full" could be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".ballast-0"  # a name that the next worker sweeps up
        with contextlib.suppress(OSError):
            self._path.write_bytes(os.urandom(_BALLAST_BYTES))  # zeros might take no room

    def drop(self) -> None:
        """Give the room back."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
