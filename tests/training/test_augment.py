"""Varied copies stay radiographs: same shape and range, close to the original, never mirrored."""

import torch

from covidcore.training.augment import BRIGHTNESS, ROTATION, SCALE, SHIFT, augment
from covidcore.training.loop import seeded
from covidcore.training.variants import variants

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
    furthest = SHIFT * SIDE / (1 - SCALE) + 1
    assert (x - 31.5).abs().max() <= furthest
    assert (y - 31.5).abs().max() <= furthest
    assert x.std() > 1  # and it does move


def test_on_average_nothing_changes() -> None:
    images = lopsided().float()
    made = torch.cat([augment(images, seeded(8, n)) for n in range(8)])
    inside = slice(16, 48)  # away from the border, where black comes in
    change = made[:, inside, inside].mean() - images[:, inside, inside].mean()
    assert change.abs() < 0.2 * BRIGHTNESS
    spread = made[:, inside, inside].mean(dim=(1, 2)).std()
    assert 0.3 * BRIGHTNESS < spread < BRIGHTNESS


def test_the_bounds_are_those_of_positioning() -> None:
    assert 0 < ROTATION <= 15
    assert 0 < SCALE <= 0.2
    assert 0 < SHIFT <= 0.1


def test_variants_to_look_at_are_what_training_makes() -> None:
    image = lopsided()[0]
    made = variants(image.numpy(), 5, seed=3)
    same = augment(image.expand(5, SIDE, SIDE), torch.Generator().manual_seed(3))
    assert made.dtype == "uint8"
    assert made.shape == (5, SIDE, SIDE)
    assert torch.equal(torch.from_numpy(made), same.round().to(torch.uint8))
    assert not (made == variants(image.numpy(), 5, seed=4)).all()
