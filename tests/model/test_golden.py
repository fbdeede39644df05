"""A model that would say something else than when it was stored is not opened."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from covidcore import storage
from covidcore.data import decode as decoding
from covidcore.data import grey
from covidcore.errors import CheckpointError
from covidcore.model import checkpoint, golden, preprocess
from covidcore.model.network import build

ARCH = "resnet18"
CLASSES = ("a", "b", "c")
SPEC = preprocess.Preprocessing(64, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    checkpoint.save(folder, build(ARCH, 3, seed=1), checkpoint.Contract(ARCH, CLASSES, SPEC, 1.0))
    return folder


@pytest.fixture
def folder(stored: Path, tmp_path: Path) -> Path:
    return shutil.copytree(stored, tmp_path / "run")


def contract(folder: Path) -> dict[str, Any]:
    return dict(storage.read_json(folder / checkpoint.CONTRACT))


def rewrite(folder: Path, **changes: Any) -> None:
    (folder / checkpoint.CONTRACT).write_text(json.dumps({**contract(folder), **changes}))


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError, match="golden inputs") as caught:
        checkpoint.load(folder)
    return str(caught.value)


def test_five_inputs_with_a_logit_a_class_are_stored_and_agree(folder: Path) -> None:
    model, loaded = checkpoint.load(folder)
    assert len(loaded.golden) == 5
    for one in loaded.golden:
        assert tuple(one.logits) == CLASSES
        batch = preprocess.preprocess([decoding.decode(one.file).pixels], SPEC)
        with torch.inference_mode():
            said = model(batch)[0].tolist()
        assert said == pytest.approx(list(one.logits.values()), abs=1e-4)
    modes = {decoding.decode(one.file).mode for one in loaded.golden}
    assert modes == {"L", "RGB", "I;16"}
    answers = np.array([list(one.logits.values()) for one in loaded.golden])
    assert np.ptp(answers, axis=0).min() > 10 * golden.TOLERANCE  # or they would tell nothing


def test_a_model_in_training_is_asked_as_it_will_answer(folder: Path) -> None:
    model = build(ARCH, 3, seed=1).train()
    found = golden.make(model, CLASSES, SPEC)
    assert model.training
    assert [one.logits for one in found] == [one["logits"] for one in contract(folder)["golden"]]


def test_swapped_classes(folder: Path) -> None:
    rewrite(folder, classes=["b", "a", "c"])
    assert "its classes" in refused(folder)


def test_renamed_class(folder: Path) -> None:
    rewrite(folder, classes=["a", "b", "z"])
    refused(folder)


@pytest.mark.parametrize("change", [{"mean": [0.48, 0.5, 0.5]}, {"std": [0.25, 0.25, 0.24]}])
def test_changed_mean_and_deviation(folder: Path, change: dict[str, Any]) -> None:
    rewrite(folder, preprocessing={**contract(folder)["preprocessing"], **change})
    refused(folder)


def test_changed_size(folder: Path) -> None:
    rewrite(folder, preprocessing={**contract(folder)["preprocessing"], "image_size": 72})
    refused(folder)


def test_dropped_grey_conversion(folder: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(grey, "luma", lambda image: (np.asarray(image)[..., 0].copy(), 0.0))
    refused(folder)


def test_dropped_orientation(folder: Path, monkeypatch: Patch) -> None:
    monkeypatch.setitem(grey.UPRIGHT, 6, lambda pixels: pixels)
    refused(folder)


def test_sixteen_bits_clipped(folder: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(grey, "eight_bits", lambda samples: samples.clip(0, 255).astype(np.uint8))
    refused(folder)


def test_another_way_to_resize(folder: Path, monkeypatch: Patch) -> None:
    def nearest(pixels: np.ndarray, size: int) -> np.ndarray:
        return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST))

    monkeypatch.setattr(preprocess, "resize", nearest)
    refused(folder)


def test_a_torch_with_other_results(folder: Path, monkeypatch: Patch) -> None:
    pooled = torch.nn.functional.adaptive_avg_pool2d
    monkeypatch.setattr(
        torch.nn.functional, "adaptive_avg_pool2d", lambda *given: 1.01 * pooled(*given)
    )
    assert f"torch {torch.__version__} computes otherwise here" in refused(folder)


def test_a_torch_that_answers_nothing(folder: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(torch.nn.Linear, "forward", lambda self, x: x[:, :3] * float("nan"))
    refused(folder)


def test_rounding_of_another_processor_is_no_difference(folder: Path, monkeypatch: Patch) -> None:
    linear = torch.nn.functional.linear
    monkeypatch.setattr(torch.nn.functional, "linear", lambda *given: linear(*given) + 1e-4)
    checkpoint.load(folder)


def test_a_contract_of_the_first_format_is_read_without(folder: Path) -> None:
    values = contract(folder)
    del values["golden"]
    (folder / checkpoint.CONTRACT).write_text(json.dumps({**values, "format": 1}))
    _, loaded = checkpoint.load(folder)
    assert loaded.golden == ()
