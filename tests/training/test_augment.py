"""Varied copies stay radiographs: same shape and range, close to the original, never mirrored."""

import math
from dataclasses import replace

import pytest
import torch

from covidcore.training.augment import KINDS, STANDARD, STRONG, Bounds, augment
from covidcore.training.loop import seeded

COPIES, SIDE = 64, 64


def lopsided() -> torch.Tensor:
    """(COPIES, SIDE, SIDE) uint8: mid grey with a bright patch at the upper left."""
    image = torch.full((SIDE, SIDE), 60, dtype=torch.uint8)
    image[10:30, 8:24] = 180
    return image.expand(COPIES, SIDE, SIDE).clone()


def test_shape_type_and_range() -> None:
    extremes = torch.tensor([0, 255], dtype=torch.uint8).repeat(COPIES, SIDE, SIDE // 2)
    before = extremes.clone()
    made = augment(extremes, seeded(1))
    assert made.shape == (COPIES, SIDE, SIDE)
    assert made.dtype == torch.float32
    assert made.min() >= 0
    assert made.max() <= 255
    assert torch.equal(extremes, before)


def test_a_seed_means_the_same_and_another_something_else() -> None:
    images = lopsided()
    assert torch.equal(augment(images, seeded(3)), augment(images, seeded(3)))
    assert torch.equal(augment(images, seeded(3)), augment(images.float(), seeded(3)))
    assert not torch.equal(augment(images, seeded(3)), augment(images, seeded(4)))


def test_each_image_of_a_batch_is_varied_in_its_own_way() -> None:
    made = augment(lopsided(), seeded(5))
    assert len({tuple(image[::7, ::7].flatten().tolist()) for image in made}) == COPIES


def test_never_a_mirror_image() -> None:
    images = lopsided().float()
    made = augment(images, seeded(6))
    to_itself = (made - images).abs().mean(dim=(1, 2))
    to_the_mirror = (made - images.flip(2)).abs().mean(dim=(1, 2))
    upside_down = (made - images.flip(1)).abs().mean(dim=(1, 2))
    assert (to_itself < to_the_mirror).all()
    assert (to_itself < upside_down).all()


def test_the_picture_stays_where_it_was() -> None:
    images = torch.zeros(COPIES, SIDE, SIDE)
    images[:, 28:36, 28:36] = 200
    made = augment(images, seeded(7))
    made = (made - made.amin(dim=(1, 2), keepdim=True)).clamp_min(0)
    bright = made * (made > 0.5 * made.amax(dim=(1, 2), keepdim=True))
    at = torch.arange(SIDE).float()
    total = bright.sum(dim=(1, 2))
    x = (bright.sum(1) * at).sum(1) / total
    y = (bright.sum(2) * at).sum(1) / total
    furthest = STANDARD.shift * SIDE / STANDARD.zoom[0] + 1
    assert (x - 31.5).abs().max() <= furthest
    assert (y - 31.5).abs().max() <= furthest
    assert x.std() > 1  # and it does move


def test_on_average_nothing_changes() -> None:
    images = lopsided().float()
    made = torch.cat([augment(images, seeded(8, n)) for n in range(8)])
    inside = slice(16, 48)  # away from the border, where black comes in
    change = made[:, inside, inside].mean() - images[:, inside, inside].mean()
    assert change.abs() < 0.2 * STANDARD.brightness
    spread = made[:, inside, inside].mean(dim=(1, 2)).std()
    assert 0.3 * STANDARD.brightness < spread < STANDARD.brightness


def test_the_bounds_are_those_of_positioning() -> None:
    for bounds in KINDS.values():
        assert 0 < bounds.rotation <= 15
        assert 0.7 <= bounds.zoom[0] < 1 < bounds.zoom[1] <= 1.2


NOTHING = Bounds(0.0, (1.0, 1.0), 0.0, contrast=0.0, brightness=0.0)


def only(**changed: float) -> torch.Tensor:
    """What one change alone does to 512 copies of a grey square with a bright middle."""
    images = torch.full((512, SIDE, SIDE), 100.0)
    images[:, 24:40, 24:40] = 200.0
    return augment(images, seeded(1), bounds=replace(NOTHING, **changed))


def test_bounds_of_nothing_leave_a_picture_alone() -> None:
    made = only()
    assert torch.allclose(made[:, 24:40, 24:40], torch.tensor(200.0), atol=0.1)
    assert torch.allclose(made[:, :20], torch.tensor(100.0), atol=0.1)


def test_half_of_the_borders_are_painted_in_many_greys() -> None:
    made = only(frame=0.08)
    changed = (made - 100).abs() > 0.5
    assert not changed[:, 8:56, 8:24].any()  # 8 % of 64 pixels are five
    painted = changed.any(dim=(1, 2)) & changed[:, 0].any(dim=1)
    assert 0.35 < painted.float().mean() < 0.6
    assert len(made[:, 0, 32][painted].unique()) > 20
    assert (made[:, 24:40, 24:40] - 200).abs().max() < 0.1


def test_half_of_the_pictures_have_one_corner_covered() -> None:
    made = only(cover=0.3)
    changed = (made - 100).abs() > 0.5
    corners = torch.stack(
        [changed[:, y, x] for y in (0, SIDE - 1) for x in (0, SIDE - 1)], dim=1
    ).sum(1)
    assert set(corners.tolist()) == {0, 1}
    assert 0.4 < (corners == 1).float().mean() < 0.6
    assert (made[:, 24:40, 24:40] - 200).abs().max() < 0.1
    each = [changed[:, y, x].float().mean() for y in (0, -1) for x in (0, -1)]
    assert min(each) > 0.06  # every corner has its turn


def test_gamma_keeps_the_order_of_grey_levels_and_the_ends() -> None:
    ramp = torch.linspace(0, 255, SIDE).expand(COPIES, SIDE, SIDE)
    made = augment(ramp, seeded(2), bounds=replace(NOTHING, gamma=0.4))
    assert (made.diff(dim=2) >= -1e-3).all()
    assert made[:, :, 0].max() < 1 and made[:, :, -1].min() > 254
    middle = made[:, 0, SIDE // 2] / 255
    assert middle.min() > 0.5 ** math.exp(0.41) and middle.max() < (0.52) ** math.exp(-0.41)
    assert middle.std() > 0.02


def test_blur_softens_an_edge_and_keeps_the_mean() -> None:
    made = only(blur=0.9)
    edge = (made[:, 32, 24] - made[:, 32, 23]) / 100  # 1 where it is sharp
    assert edge.max() > 0.95 and edge.min() < 0.6
    assert torch.allclose(made.mean(dim=(1, 2)), only().mean(dim=(1, 2)), atol=0.5)


@pytest.mark.parametrize("bounds", KINDS.values(), ids=KINDS)
def test_a_share_of_a_batch_becomes_what_it_is_in_the_whole(bounds: Bounds) -> None:
    images = torch.randint(0, 256, (8, SIDE, SIDE), generator=seeded(9)).float()
    whole = augment(images, seeded(10), bounds=bounds)
    part = augment(images[2:5], seeded(10), 8, slice(2, 5), bounds)
    assert torch.allclose(whole[2:5], part, atol=1e-3)
    assert whole.min() >= 0 and whole.max() <= 255


def test_strong_is_further_from_the_picture_than_standard() -> None:
    images = lopsided().float()
    far = (augment(images, seeded(11), bounds=STRONG) - images).abs().mean()
    assert far > 1.3 * (augment(images, seeded(11)) - images).abs().mean()
