"""The stored outputs of the frozen part are what the network computes, and are found again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from covidcore.errors import Stopped
from covidcore.model.network import build, cut
from covidcore.model.preprocess import Preprocessing, normalise
from covidcore.training.activations import FrozenPart, activations
from covidcore.training.batches import ActivationBatches
from tests.pictures import picture

SPEC = Preprocessing(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
IMAGES = 40  # more than a batch of them


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.stack([picture(seed, 32) for seed in range(IMAGES)])


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """A network whose normalisation has seen images, so that its outputs have some size."""
    model = build("resnet18", 3)
    with torch.no_grad():
        for _ in range(10):
            model.train()(torch.randn(8, 3, 32, 32))
    return model.eval()


def part(model: nn.Module, where: str, precision: str = "fp32") -> tuple[FrozenPart, nn.Module]:
    frozen, tail = cut(model, "resnet18", where)
    return FrozenPart(frozen, "resnet18", where, "none", SPEC, precision), tail.eval()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("where", ["head", "last_stage"])
def test_stored_is_what_the_network_computes(
    model: nn.Module, pixels: np.ndarray, home: Path, where: str, precision: str
) -> None:
    frozen, tail = part(model, where, precision)
    stored = activations(frozen, pixels, 0, "f" * 32, home)
    assert stored.dtype == np.float16
    assert not stored.flags.writeable
    assert stored.shape == ((IMAGES, 512) if where == "head" else (IMAGES, 2, 2, 256))
    rows = np.arange(IMAGES)
    batches = ActivationBatches(
        [stored], 0, labels=rows % 3, train_rows=rows, val_rows=rows, classes=3
    )
    with torch.no_grad():
        direct = model.eval()(normalise(torch.from_numpy(pixels), SPEC))
        logits = tail(batches.plain(rows))
    tolerance = (0.02 if precision == "fp32" else 0.2) * direct.std(dim=0).min().item()
    torch.testing.assert_close(logits, direct, atol=tolerance, rtol=0)


class Counted(nn.Module):
    """Features of an image: its mean and its top left corner. Counts its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return torch.stack([images.mean(dim=(1, 2, 3)), images[:, 0, :8, :8].mean(dim=(1, 2))], 1)


def counted() -> tuple[FrozenPart, Counted]:
    layer = Counted()
    return FrozenPart(nn.Sequential(layer), "a", "head", "w", SPEC, "fp32"), layer


def test_computed_once_and_found_again(pixels: np.ndarray, home: Path) -> None:
    frozen, layer = counted()
    seen: list[tuple[int, int]] = []
    first = activations(frozen, pixels, 0, "f", home, lambda *at: seen.append(at))
    assert seen == [(32, IMAGES), (IMAGES, IMAGES)]
    assert layer.calls == 2
    again = activations(frozen, pixels, 0, "f", home, lambda *at: seen.append(at))
    assert layer.calls == len(seen) == 2
    assert np.array_equal(first, again)


def test_variants_differ_and_mean_the_same_anywhere(
    pixels: np.ndarray, home: Path, tmp_path: Path
) -> None:
    frozen, _ = counted()
    plain, one, two = (activations(frozen, pixels, v, "f", home) for v in range(3))
    assert not np.array_equal(plain, one)
    assert not np.array_equal(one, two)
    elsewhere = activations(frozen, pixels, 2, "g", tmp_path / "other")
    assert np.array_equal(two, elsewhere)
    assert np.abs(two - plain).mean() < 0.5 * np.abs(plain - plain[::-1]).mean() + 0.5


def names(frozen: FrozenPart) -> Iterator[str]:
    yield frozen.key(0)
    yield frozen.key(1)
    yield replace(frozen, arch="b").key(0)
    yield replace(frozen, cut="last_stage").key(0)
    yield replace(frozen, weights_id="v").key(0)
    yield replace(frozen, precision="bf16").key(0)
    yield replace(frozen, spec=replace(SPEC, image_size=64)).key(0)
    yield replace(frozen, spec=replace(SPEC, mean=(0.4, 0.5, 0.5))).key(0)


def test_the_name_tells_everything_the_values_depend_on() -> None:
    frozen, _ = counted()
    assert len(set(names(frozen))) == 8
    assert list(names(counted()[0])) == list(names(frozen))


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_file_cut_short_is_made_again(pixels: np.ndarray, home: Path, keep: int) -> None:
    frozen, layer = counted()
    expected = np.array(activations(frozen, pixels, 0, "f", home))
    (path,) = home.rglob("*.npy")
    path.write_bytes(path.read_bytes()[:keep])
    assert np.array_equal(activations(frozen, pixels, 0, "f", home), expected)
    assert layer.calls == 4


def test_stopping_leaves_nothing_behind(pixels: np.ndarray, home: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise Stopped("enough")

    frozen, _ = counted()
    with pytest.raises(Stopped):
        activations(frozen, pixels, 0, "f", home, stop)
    assert {path.suffix for path in home.rglob("*") if path.is_file()} <= {".lock"}
