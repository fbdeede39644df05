"""A run as a model to pass on: small, no picture in it, and it says the same."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from covidcore import storage
from covidcore.config import Settings
from covidcore.errors import RunError
from covidcore.inference import familiar
from covidcore.inference.hashed import Hashed
from covidcore.inference.predictor import Predictor
from covidcore.jobs import imports
from covidcore.jobs.exports import export_checkpoint
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.imports import import_model
from covidcore.jobs.models import PARTS, stated_figures
from covidcore.jobs.shipping import ship
from covidcore.jobs.store import RunStore
from tests.runs import Trained, trained


@pytest.fixture(scope="module")
def shipped(finished: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("shipped") / "model"
    ship(finished.store, finished.run, target)
    return target


@pytest.fixture(scope="module")
def finished(phantoms: Path) -> Trained:
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
    contract = storage.read_json(shipped / "contract.json")
    figures = finished.store.evaluation(finished.run)
    assert contract["figures"]["accuracy_ci"] == list(figures["accuracy_ci"])
    assert contract["figures"]["confusion"] == figures["confusion"]
    assert contract["dataset"] == finished.dataset.fingerprint


def test_a_run_of_before_is_not_passed_on(
    finished: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(familiar, "load", lambda *_: None)
    with pytest.raises(RunError, match="does not say what it was trained on"):
        ship(finished.store, finished.run, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_it_can_be_brought_in_elsewhere(
    finished: Trained, tmp_path: Path, settings: Settings
) -> None:
    made = export_checkpoint(finished.store, finished.run, tmp_path / "model.zip", share=True)
    assert set(made) == set(PARTS)
    store = RunStore(settings)
    imported = import_model(store, tmp_path / "model.zip")
    predictor = Predictor.open(store.path(imported.run))
    assert predictor.known is not None
    assert isinstance(predictor.known.memory, Hashed)
    with pytest.raises(RunError):  # it has no figures of its own to pass on
        export_checkpoint(store, imported.run, tmp_path / "again.zip", share=True)
    assert not (tmp_path / "again.zip").exists()


def test_the_project_s_own_model_has_its_place_by_itself(
    shipped: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "SHIPPED", shipped)
    store = RunStore(settings)
    run = store.find("shipped")
    assert store.info(run).imported
    assert store.find("shipped") == run
    tensors = store.path(run) / "best.safetensors"
    tensors.write_bytes(b"")
    assert store.find("shipped") == run
    assert tensors.read_bytes() == (shipped / "best.safetensors").read_bytes()


def test_a_copy_without_it_says_so(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "SHIPPED", tmp_path / "nothing")
    with pytest.raises(RunError, match="comes without a trained model"):
        RunStore(settings).find("shipped")


@pytest.mark.parametrize(
    "changed",
    [
        {"confusion": [[1, 2], [3]]},
        {"confusion": [[1, -2], [3, 4]]},
        {"confusion": "matrix"},
        {"confusion": [[1e9, 2], [3, 4]]},
        {"n": 3},
        {"accuracy_ci": [0.9, 1.4]},
        {"accuracy_ci": None},
        {"accuracy": "good"},
    ],
)
def test_figures_that_make_no_sense_are_none(tmp_path: Path, changed: dict) -> None:
    figures = {
        "n": 10, "classes": ["a", "b"], "confusion": [[1, 2], [3, 4]], "accuracy": 0.5,
        "accuracy_ci": [0.2, 0.8],
    }  # fmt: skip
    path = tmp_path / "contract.json"
    path.write_text(json.dumps({"figures": figures}))
    assert stated_figures(RunFolder(tmp_path)) == figures
    path.write_text(json.dumps({"figures": figures | changed}))
    assert stated_figures(RunFolder(tmp_path)) == {}
