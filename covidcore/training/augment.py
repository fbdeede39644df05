"""Varied copies of radiographs, made a whole batch at a time.

Small rotations, shifts and changes of scale, brightness and contrast: what positioning and
exposure do. Never a mirror image, which would put the heart on the right. The strong kind goes
further in all of them, and takes away what tells where a picture was made rather than what it
shows: borders are cut or painted over, corners covered where markers stand, sharpness changed.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Bounds:
    """How far a copy may differ; each is drawn evenly, either way unless told."""

    rotation: float
    """Degrees."""
    zoom: tuple[float, float]
    """Least and greatest share of the picture's side that is seen; below 1 borders are cut."""
    shift: float
    """Share of the width or height."""
    contrast: float
    brightness: float
    """Grey levels of 255."""
    gamma: float = 0.0
    """Of the exponent's logarithm; 0 leaves the grey levels' order and spacing alone."""
    frame: float = 0.0
    """Greatest width of a painted border, as a share of the side; one of two copies has one."""
    cover: float = 0.0
    """Greatest side of a painted corner, as a share of the side; one of two copies has one."""
    blur: float = 0.0
    """Greatest share of a blurred picture that is mixed in, between 0 and this."""


STANDARD = Bounds(rotation=8.0, zoom=(0.9, 1.1), shift=0.06, contrast=0.2, brightness=25.0)
STRONG = Bounds(
    rotation=12.0,
    zoom=(0.75, 1.05),
    shift=0.08,
    contrast=0.35,
    brightness=35.0,
    gamma=0.4,
    frame=0.08,
    cover=0.3,
    blur=0.9,
)
KINDS = {"standard": STANDARD, "strong": STRONG}


def augment(
    squares: torch.Tensor,
    generator: torch.Generator,
    of: int | None = None,
    share: slice = slice(None),
    bounds: Bounds = STANDARD,
) -> torch.Tensor:
    """Vary grey squares ``(N, S, S)`` with values 0 to 255; float32 of the same shape and range.

    What comes in from beyond the border is black. ``generator`` lives on the CPU, so that a
    seed means the same everywhere. Where the squares are but a ``share`` of a batch ``of`` so
    many, they become what they would become in the whole batch.
    """
    draws = _Draws(generator, len(squares) if of is None else of, share, squares.device)
    images = _moved(squares, draws, bounds)
    images = _exposed(images, draws, bounds)
    if bounds.blur:
        images = _blurred(images, draws.between(0.0, bounds.blur))
    if bounds.frame:
        images = _framed(images, draws, bounds.frame)
    if bounds.cover:
        images = _covered(images, draws, bounds.cover)
    return images


class _Draws:
    """One number an image at a time, drawn for the whole batch, given for its share."""

    def __init__(
        self, generator: torch.Generator, count: int, share: slice, device: torch.device
    ) -> None:
        self.generator, self.count, self.share, self.device = generator, count, share, device

    def either_way(self, width: float) -> torch.Tensor:
        """Between ``-width`` and ``width``, ``(N,)``."""
        drawn = (torch.rand(self.count, generator=self.generator) * 2 - 1) * width
        return drawn[self.share].to(self.device)

    def between(self, low: float, high: float) -> torch.Tensor:
        """Between ``low`` and ``high``, ``(N,)``."""
        drawn = low + torch.rand(self.count, generator=self.generator) * (high - low)
        return drawn[self.share].to(self.device)


def _moved(squares: torch.Tensor, draws: _Draws, bounds: Bounds) -> torch.Tensor:
    low, high = bounds.zoom
    angle = draws.either_way(math.radians(bounds.rotation))
    scale = (low + high) / 2 + draws.either_way((high - low) / 2)
    theta = torch.stack(
        [
            torch.stack(
                [angle.cos() * scale, -angle.sin() * scale, draws.either_way(2 * bounds.shift)], 1
            ),
            torch.stack(
                [angle.sin() * scale, angle.cos() * scale, draws.either_way(2 * bounds.shift)], 1
            ),
        ],
        dim=1,
    )
    images = squares[:, None].to(torch.float32)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)[:, 0]


def _exposed(images: torch.Tensor, draws: _Draws, bounds: Bounds) -> torch.Tensor:
    contrast, brightness = (
        1 + draws.either_way(bounds.contrast),
        draws.either_way(bounds.brightness),
    )
    mean = images.mean(dim=(1, 2), keepdim=True)
    images = (images - mean) * _each(contrast) + mean + _each(brightness)
    images = images.clamp_(0, 255)
    if bounds.gamma:
        images = 255 * (images / 255) ** _each(draws.either_way(bounds.gamma).exp())
    return images


def _blurred(images: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
    """Mix in the mean of each pixel's 3 x 3 neighbours, twice over."""
    soft = images[:, None]
    for _ in range(2):
        soft = functional.avg_pool2d(soft, 3, 1, 1, count_include_pad=False)
    return images + (soft[:, 0] - images) * _each(strength)


def _framed(images: torch.Tensor, draws: _Draws, widest: float) -> torch.Tensor:
    """Paint a border of one grey level over half of the images, each side of its own width."""
    side, wanted = images.shape[-1], draws.between(0.0, 1.0) < 0.5
    at = (torch.arange(side, device=images.device) + 0.5) / side
    left, right, top, bottom = (_along(draws.between(0.0, widest)) for _ in range(4))
    columns, rows = (at < left) | (at > 1 - right), (at < top) | (at > 1 - bottom)
    outside = (columns[:, None, :] | rows[:, :, None]) & wanted[:, None, None]
    return torch.where(outside, _each(_paint(draws)), images)


def _covered(images: torch.Tensor, draws: _Draws, largest: float) -> torch.Tensor:
    """Paint a rectangle of one grey level over a corner of half of the images."""
    side, wanted = images.shape[-1], draws.between(0.0, 1.0) < 0.5
    at = (torch.arange(side, device=images.device) + 0.5) / side
    masks = []
    for size in (largest, largest / 2):  # wider than high, as the letters of a marker are
        from_the_end = _along(draws.between(0.0, 1.0) < 0.5)
        length = _along(draws.between(0.05, size))
        masks.append(torch.where(from_the_end, at > 1 - length, at < length))
    corner = masks[0][:, None, :] & masks[1][:, :, None] & wanted[:, None, None]
    return torch.where(corner, _each(_paint(draws)), images)


def _paint(draws: _Draws) -> torch.Tensor:
    """A grey level an image: black in two of four, white in one of ten, any in the others."""
    kind, grey = draws.between(0.0, 1.0), draws.between(0.0, 255.0)
    grey = torch.where(kind < 0.5, torch.zeros_like(grey), grey)
    return torch.where(kind > 0.9, torch.full_like(grey, 255.0), grey)


def _each(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None]


def _along(values: torch.Tensor) -> torch.Tensor:
    return values[:, None]
