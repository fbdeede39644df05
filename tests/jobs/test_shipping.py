"""A run as a model to pass on: small, no picture in it, and it says the same."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from covidcore.errors import RunError
from covidcore.inference.hashed import Hashed
from covidcore.inference.predictor import Predictor
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.shipping import ship
from tests.runs import Trained


@pytest.fixture(scope="module")
def shipped(finished: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("shipped") / "model"
    ship(finished.store, finished.run, target)
    return target


@pytest.fixture(scope="module")
def finished(phantoms: Path) -> Trained:
    from tests.runs import trained

    return trained(phantoms)


def test_it_says_what_the_run_says(finished: Trained, shipped: Path) -> None:
    folder = finished.store.path(finished.run)
    files = finished.store.split(finished.run)["file"][:12]
    items = [(file, finished.dataset.root / file) for file in files]
    ours, theirs = (Predictor.open(one).predict(items, anyway=True) for one in (folder, shipped))
    for one, other in zip(ours, theirs, strict=True):
        assert other["answer"] == one["answer"]
        assert other["refused"] == one["refused"]
        assert other["probabilities"] == pytest.approx(one["probabilities"], abs=0.01)


def test_it_knows_its_training_images_by_hashes_alone(finished: Trained, shipped: Path) -> None:
    split = finished.store.split(finished.run)
    files = split["file"][split["split"] == "train"][:12]
    model = Predictor.open(shipped)
    assert model.known is not None
    assert isinstance(model.known.memory, Hashed)
    items = [(file, finished.dataset.root / file) for file in files]
    named = [one["near_training_image"] for one in model.predict(items)]
    assert named == list(files)


def test_it_is_small_and_holds_no_picture_and_no_path(finished: Trained, shipped: Path) -> None:
    folder = RunFolder(finished.store.path(finished.run))
    assert (shipped / "best.safetensors").stat().st_size < 0.6 * folder.tensors.stat().st_size
    names = {path.name for path in shipped.iterdir()}
    assert names == {
        "best.safetensors", "contract.json", "familiar.safetensors", "known.safetensors",
    }  # fmt: skip
    assert "thumbnails" not in load_file(shipped / "familiar.safetensors")
    assert load_file(shipped / "best.safetensors")["classifier.weight"].dtype == np.float16
    assert str(finished.store.settings.home) not in (shipped / "contract.json").read_text()


def test_its_contract_has_the_run_s_figures(finished: Trained, shipped: Path) -> None:
    contract = json.loads((shipped / "contract.json").read_text())
    figures = finished.store.evaluation(finished.run)
    assert contract["figures"]["accuracy_ci"] == list(figures["accuracy_ci"])
    assert contract["figures"]["confusion"] == figures["confusion"]
    assert contract["dataset"] == finished.dataset.fingerprint


def test_a_run_of_before_is_not_passed_on(
    finished: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from covidcore.jobs import shipping

    monkeypatch.setattr(shipping.familiar, "load", lambda *_: None)
    with pytest.raises(RunError, match="does not say what it was trained on"):
        ship(finished.store, finished.run, tmp_path / "model")
    assert not (tmp_path / "model").exists()
