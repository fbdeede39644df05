"""Batches hold the right images with the right labels, varied where they shall be."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from covidcore.model.preprocess import Preprocessing, normalise
from covidcore.training.batches import ActivationBatches, PixelBatches, image_sizes
from covidcore.training.loop import seeded

IDENTITY = Preprocessing(64, (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
ROWS = {
    "labels": LABELS,
    "train_rows": np.array([7, 2, 0, 5, 9, 4]),
    "val_rows": np.array([8, 1, 3]),
    "classes": 3,
}


def pixels() -> np.ndarray:
    """Ten grey squares; image i has the value 10 i everywhere."""
    return np.repeat(np.arange(10, dtype=np.uint8) * 10, 64 * 64).reshape(10, 64, 64)


def activations(variants: int, shape: tuple[int, ...] = (4,)) -> list[np.ndarray]:
    """Row r of variant v holds 10 r + v everywhere."""
    rows = np.arange(10, dtype=np.float16).reshape(10, *(1 for _ in shape)) * 10
    return [np.broadcast_to(rows + v, (10, *shape)).astype(np.float16) for v in range(variants)]


def values(images: torch.Tensor) -> list[float]:
    return [round(float(image.float().mean()), 3) for image in images]


def test_pixels_are_those_of_the_rows_in_their_order() -> None:
    batches = PixelBatches(pixels(), IDENTITY, "none", (64, 64), **ROWS)
    rows = torch.tensor([4, 0, 2])
    assert values(batches.train(rows, 1, seeded(1))) == [90, 70, 0]
    assert batches.train_labels(rows).tolist() == [LABELS[9], LABELS[7], LABELS[0]]
    assert batches.train_size == 6
    assert batches.class_counts.tolist() == [2, 2, 2]


def test_validation_is_every_image_once_and_not_varied() -> None:
    batches = PixelBatches(pixels(), IDENTITY, "standard", (32, 64), **ROWS)
    images, labels = batches.validation(0)
    assert values(images) == [80, 10, 30]
    assert labels.tolist() == [LABELS[8], LABELS[1], LABELS[3]]
    assert images.shape == (3, 3, 64, 64)


def test_training_pixels_are_varied_by_the_generator() -> None:
    batches = PixelBatches(pixels(), IDENTITY, "standard", (64,), **ROWS)
    rows = torch.arange(6)
    first, again, other = (batches.train(rows, 1, seeded(n)) for n in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_strong_augmentation_is_asked_for_by_name() -> None:
    rows = torch.arange(6)
    made = [
        PixelBatches(pixels(), IDENTITY, kind, (64,), **ROWS).train(rows, 1, seeded(1))
        for kind in ("standard", "strong")
    ]
    assert not torch.equal(*made)


def test_an_epoch_has_its_size() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (10, 64, 64), dtype=np.uint8)
    batches = PixelBatches(noise, IDENTITY, "none", (32, 64), **ROWS)
    small, full = (batches.train(torch.arange(6), epoch, seeded(1)) for epoch in (1, 2))
    assert small.shape == (6, 3, 32, 32)
    assert full.shape == (6, 3, 64, 64)
    expected = functional.interpolate(
        torch.from_numpy(noise[ROWS["train_rows"]])[:, None].float(),
        size=(32, 32),
        mode="bilinear",
        antialias=True,
    )
    torch.testing.assert_close(small, normalise(expected[:, 0], IDENTITY))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_variants_come_round_before_one_comes_again(count: int) -> None:
    batches = ActivationBatches(activations(count), 3, **ROWS)
    rows = torch.tensor([5, 1, 3, 0])
    met = []
    for epoch in range(1, count + 1):
        images = batches.train(rows, epoch, seeded(epoch))
        assert [int(value) // 10 for value in values(images)] == [4, 2, 5, 7]
        met.append([int(value) % 10 for value in values(images)])
    for variants in zip(*met, strict=True):
        assert sorted(variants) == list(range(count))


def test_variants_start_at_different_places() -> None:
    batches = ActivationBatches(activations(4), 3, **ROWS)
    first = {value % 10 for value in values(batches.train(torch.arange(6), 1, seeded(1)))}
    assert len(first) > 1
    other = ActivationBatches(activations(4), 4, **ROWS)
    assert values(other.train(torch.arange(6), 1, seeded(1))) != values(
        batches.train(torch.arange(6), 1, seeded(1))
    )


def test_validation_takes_the_images_as_they_are() -> None:
    batches = ActivationBatches(activations(4), 3, **ROWS)
    images, labels = batches.validation(0)
    assert values(images) == [80, 10, 30]
    assert labels.tolist() == [2, 1, 0]


def test_feature_maps_come_back_channels_first() -> None:
    stored = activations(1, (2, 3, 5))  # height, width, channels
    stored[0][:, 0, 1, 4] = 7
    batches = ActivationBatches(stored, 0, **ROWS)
    images = batches.train(torch.arange(6), 1, seeded(1))
    assert images.shape == (6, 5, 2, 3)
    assert images.dtype == torch.float32
    assert (images[:, 4, 0, 1] == 7).all()
    assert batches.plain(np.array([0, 1])).shape == (2, 5, 2, 3)


@pytest.mark.parametrize("image_size", [32, 48, 64, 67, 112, 224, 320, 512])
@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 10, 30])
def test_progressive_sizes_grow_to_the_full_one(image_size: int, epochs: int) -> None:
    sizes = image_sizes(image_size, epochs, progressive=True)
    assert len(sizes) == epochs
    assert list(sizes) == sorted(sizes)
    assert sizes[-1] == image_size
    assert all(size == image_size or size % 32 == 0 for size in sizes)
    assert min(sizes) >= 32
    if epochs >= 3 and image_size >= 224:
        assert len(set(sizes)) == 2


def test_the_documented_sizes() -> None:
    assert image_sizes(224, 6, True) == (192, 192, 224, 224, 224, 224)
    assert image_sizes(224, 3, False) == (224, 224, 224)
