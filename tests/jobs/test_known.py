"""A run that begins with another run's weights keeps that run's images out of its test."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from covidcore import storage
from covidcore.config import Settings
from covidcore.data import known
from covidcore.data.index import scan
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.errors import RecipeError, WeightsError
from covidcore.jobs import plan
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.outside_process import examine
from covidcore.jobs.plan import plan_runs
from covidcore.jobs.store import RunStore
from covidcore.model.weights import Weights, known_images, resolve
from covidcore.training.recipe import Recipe
from tests.runs import LONG, SHORT, Trained, wait_for_end


def sets(table: pd.DataFrame, name: str) -> set[str]:
    return set(table.loc[table["split"] == name, "file"])


@pytest.fixture
def onward(finished: Trained) -> Recipe:
    """Begins where the finished run ended; other sets than its, by the seed."""
    tensors = RunFolder(finished.store.path(finished.run)).tensors
    start = {"arch": LONG.arch, "weights": str(tensors)}
    return replace(SHORT, **start, seed=SHORT.seed + 1, group_by="none")


def test_a_run_states_what_it_was_trained_on(finished: Trained) -> None:
    folder = RunFolder(finished.store.path(finished.run))
    stated = storage.read_json(folder.contract)["known"]
    images = known.load(folder.path, stated)
    assert set(images.files) == sets(finished.store.split(finished.run), "train")
    assert folder.known.name in finished.store.status(finished.run)["artefacts"]


def test_weights_of_a_run_bring_its_preprocessing_and_its_images(
    finished: Trained, onward: Recipe
) -> None:
    weights = resolve(onward.weights, onward.arch, finished.store.settings)
    contract = storage.read_json(Path(onward.weights).with_name("contract.json"))
    assert list(weights.mean) == contract["preprocessing"]["mean"] != [0.485, 0.456, 0.406]
    assert weights.known == contract["known"]
    assert len(known_images(weights)) == contract["known"]["images"]


def test_its_images_are_neither_validated_nor_tested_on(
    finished: Trained, onward: Recipe, settings: Settings
) -> None:
    trained_on = sets(finished.store.split(finished.run), "train")
    (planned,) = plan_runs([onward], finished.dataset, settings)
    held_out = sets(planned.split, "val") | sets(planned.split, "test")
    assert not held_out & trained_on
    assert planned.known == {"train": len(trained_on), "val": 0, "test": 0}
    (other,) = plan_runs([replace(onward, known_images="any")], finished.dataset, settings)
    assert (sets(other.split, "test")) & trained_on
    assert other.known is not None
    assert other.known["test"] == len(sets(other.split, "test") & trained_on)
    assert other.run != planned.run


def test_a_run_says_what_its_weights_had_seen_and_passes_it_on(
    finished: Trained, onward: Recipe, phantoms: Path, settings: Settings
) -> None:
    store = RunStore(settings)
    dataset = scan(phantoms, settings.home)
    submission = store.submit(onward, dataset)
    assert "none is validated or tested on" in submission.note
    assert wait_for_end(store, submission.run) is State.DONE
    job = store.job(submission.run)
    first = sets(finished.store.split(finished.run), "train")
    assert job["known"] == {"train": len(first), "val": 0, "test": 0}
    folder = RunFolder(store.path(submission.run))
    images = known.load(folder.path, storage.read_json(folder.contract)["known"])
    assert set(images.files) == first | sets(store.split(submission.run), "train")
    again = store.submit(onward, dataset)
    assert again.cached
    assert again.run == submission.run


def test_without_the_list_there_is_no_run(
    finished: Trained,
    onward: Recipe,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan, "_compared", {})
    for name in ("best.safetensors", "contract.json"):
        (tmp_path / name).write_bytes(Path(onward.weights).with_name(name).read_bytes())
    recipe = replace(onward, weights=str(tmp_path / "best.safetensors"))
    with pytest.raises(WeightsError, match=r"known\.safetensors.* is missing or damaged"):
        plan_runs([recipe], finished.dataset, settings)


def test_outside_the_images_of_the_weights_are_set_aside_too(
    finished: Trained, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write(PhantomSpec(images=24, size=96, seed=5), tmp_path / "other")
    dataset = scan(other, settings.home)
    few = known.known_of(dataset.index[:7])
    stated = known.save(tmp_path, few)
    weights = Weights("x", "y", str(tmp_path / "best.safetensors"), known=stated)
    shutil.copytree(finished.store.settings.home, settings.home, dirs_exist_ok=True)
    store = RunStore(settings)
    job = {**store.job(finished.run), "weights": weights.to_json()}
    monkeypatch.setattr(RunStore, "job", lambda store, run: job)
    mapping = {name: name for name in dataset.classes}
    document, _ = examine(store, finished.run, dataset, mapping, lambda *_: None)
    assert document["set_aside"]["weights"] == 7
    assert document["n"] == len(dataset.index) - 7


def test_the_field_is_checked() -> None:
    with pytest.raises(RecipeError, match="known_images can not be “maybe”: use train, any"):
        replace(SHORT, known_images="maybe")
