"""Varied copies of radiographs, made a whole batch at a time.

Small rotations, shifts and changes of scale, brightness and contrast: what positioning and
exposure do. Never a mirror image, which would put the heart on the right.
"""

import math

import torch
from torch.nn import functional

ROTATION = 8.0
"""Degrees either way."""
SCALE = 0.1
"""Share of the size, either way."""
SHIFT = 0.06
"""Share of the width or height, either way."""
CONTRAST = 0.2
BRIGHTNESS = 25.0
"""Grey levels of 255, either way."""


def augment(
    squares: torch.Tensor,
    generator: torch.Generator,
    of: int | None = None,
    share: slice = slice(None),
) -> torch.Tensor:
    """Vary grey squares ``(N, S, S)`` with values 0 to 255; float32 of the same shape and range.

    What comes in from beyond the border is black. ``generator`` lives on the CPU, so that a
    seed means the same everywhere. Where the squares are but a ``share`` of a batch ``of`` so
    many, they become what they would become in the whole batch.
    """
    n = len(squares) if of is None else of

    def draw(width: float) -> torch.Tensor:
        return ((torch.rand(n, generator=generator) * 2 - 1) * width)[share]

    angle = draw(math.radians(ROTATION))
    scale = 1 + draw(SCALE)
    theta = torch.stack(
        [
            torch.stack([angle.cos() * scale, -angle.sin() * scale, draw(2 * SHIFT)], dim=1),
            torch.stack([angle.sin() * scale, angle.cos() * scale, draw(2 * SHIFT)], dim=1),
        ],
        dim=1,
    )
    contrast, brightness = 1 + draw(CONTRAST), draw(BRIGHTNESS)
    images = squares[:, None].to(torch.float32)
    grid = functional.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, align_corners=False)[:, 0]
    contrast, brightness = contrast.to(images.device), brightness.to(images.device)
    mean = moved.mean(dim=(1, 2), keepdim=True)
    return ((moved - mean) * contrast[:, None, None] + mean + brightness[:, None, None]).clamp_(
        0, 255
    )
