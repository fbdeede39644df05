"""Stress tests of finished runs: planted truths are found, and what is found is kept."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.index import load
from covidcore.data.phantoms import PhantomSpec
from covidcore.errors import DataError, RunError
from covidcore.evaluation.corruptions import CORRUPTIONS
from covidcore.jobs import stress_process
from covidcore.jobs.openings import times_opened
from covidcore.jobs.store import RunStore
from covidcore.jobs.stress import stress_study
from covidcore.jobs.stress_sources import leave_one_out
from covidcore.training.recipe import Recipe
from tests.once import drawn
from tests.runs import SHORT, Trained, copied, stressed, trained

TWO = ("COVID-19", "NORMAL")
# All of a network that begins with nothing, as small as it can be and still find a planted cue.
SEES = Recipe(
    weights="none",
    trainable="all",
    image_size=64,
    epochs=8,
    batch_size=8,
    learning_rate=1e-3,
    augment="none",
    split="50/10/40",
    precision="fp32",
    threads=1,
)
HEAD = replace(SHORT, epochs=20, standardise=True, learning_rate=0.01)
RESULT = [
    *("run", "dataset", "of", "n", "accuracy", "accuracy_ci", "classes", "chance"),
    *("chance_class", "lungs", "lungs_out", "lungs_only", "examples", "ladder", "corruptions"),
    *("corruptions_verdict", "attention", "leave_one_source_out", "command", "created"),
    *("seconds", "stamp"),
]

Planted = Callable[..., Trained]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def short_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    """One corruption of ten images in place of nine of 120."""
    monkeypatch.setattr(stress_process, "CORRUPTIONS", {"inversion": CORRUPTIONS["inversion"]})
    monkeypatch.setattr(stress_process, "LADDER_IMAGES", 10)


@pytest.fixture(scope="module")
def planted() -> Planted:
    """Train on phantoms whose lungs are all healthy, with a cue that tells the first class."""

    def train(recipe: Recipe, **spec: Any) -> Trained:
        healthy = {"classes": TWO, "size": 64, "signal": 0, "images_per_patient": 1}
        return trained(drawn(PhantomSpec(**{**healthy, **spec})), recipe)

    return train


def nothing(doing: str, done: int, total: int) -> None:
    """A report that nobody reads."""


def examined(run: Trained) -> dict[str, Any]:
    found: dict[str, Any] = storage.plain(stress_process.examine(run.store, run.run, nothing))
    return found


@pytest.mark.campaign
@pytest.mark.usefixtures("short_ladder")
def test_a_label_in_the_corner_is_found_with_the_lungs_out(planted: Planted) -> None:
    found = examined(planted(SEES, images=160, cue="corner"))
    assert found["lungs"] == {"masks": 64, "boxes": 0}
    assert found["accuracy"] > 0.9 and found["chance"] == 0.5
    assert found["lungs_out"]["accuracy_ci"][0] > 0.5
    assert found["lungs_out"]["finding"] == "above_chance"
    assert "what is not lungs" in found["lungs_out"]["verdict"]
    assert found["lungs_only"]["finding"] == "at_chance"


@pytest.mark.campaign
@pytest.mark.usefixtures("short_ladder")
def test_a_label_in_the_lungs_is_lost_with_the_lungs(planted: Planted) -> None:
    found = examined(planted(SEES, images=120, cue="lungs"))
    assert found["accuracy"] > 0.9
    low, high = found["lungs_out"]["accuracy_ci"]
    assert low < 0.5 < high
    assert found["lungs_out"]["finding"] == "at_chance"
    assert found["lungs_only"]["finding"] == "above_chance"


def test_a_planted_source_collapses_when_it_is_left_out(planted: Planted) -> None:
    """Six in ten of the first class come from a hospital of their own; lungs tell nothing."""
    run = planted(HEAD, images=150, cue="source", cue_share=0.6)
    found = storage.plain(leave_one_out(run.store, run.run, run.dataset, nothing))
    (own,) = (one for one in found["sources"] if one["source"] == "Hospital C")
    assert (own["classes"], own["unlearnable"]) == ({TWO[0]: 45}, [])
    assert own["reference"]["accuracy"] > 0.8
    assert own["accuracy_ci"][1] < own["reference"]["accuracy_ci"][0]
    assert found["finding"] == "falls"
    assert "goes by the source" in found["verdict"]
    assert found["lost"]["ci"][0] > 0


def test_a_class_that_one_source_alone_has_can_not_be_learnt(planted: Planted) -> None:
    run = planted(HEAD, images=90, cue="source", classes=(*TWO, "Viral Pneumonia"))
    found = storage.plain(leave_one_out(run.store, run.run, run.dataset, nothing))
    *others, own = found["sources"]
    assert own["source"] == "Hospital C"
    assert (own["unlearnable"], own["accuracy"]) == ([TWO[0]], 0)
    assert own["reference"]["accuracy"] > 0.6
    assert own["learnable"] == {"n": 0, "accuracy": None, "accuracy_ci": [None, None]}
    assert [one["unlearnable"] for one in others] == [[], []]
    assert "30 of 90 images are of a class that no other source has" in found["verdict"]


def test_without_a_cue_no_source_matters(planted: Planted) -> None:
    run = planted(HEAD, images=90)
    found = leave_one_out(run.store, run.run, run.dataset, nothing)
    assert [one["source"] for one in found["sources"]] == ["Hospital A", "Hospital B"]
    assert sum(one["n"] for one in found["sources"]) == 90
    assert found["finding"] == "holds"


def test_one_source_can_not_be_left_out(planted: Planted) -> None:
    run = planted(HEAD, images=30, sources=("Hospital A",))
    found = leave_one_out(run.store, run.run, run.dataset, nothing)
    assert found["sources"] == [] and "“Hospital A”" in found["reason"]
    assert found["finding"] == "untested"


@pytest.fixture
def store(phantoms: Path, home: Path) -> RunStore:
    """A finished run in a home of the test's own."""
    shutil.copytree(trained(phantoms, SHORT).settings.home, home)
    return RunStore(Settings(home=home))


def test_it_is_answered_by_a_process_and_kept(store: RunStore, phantoms: Path) -> None:
    run = store.find("latest")
    assert stress_study(store, run).standing().phase == "absent"
    store = copied(stressed(phantoms), phantoms, store.settings.home.with_name("stressed"))
    study = stress_study(store, run)
    found = study.stored()
    assert found and list(found) == RESULT
    assert found["n"] == found["of"] == store.evaluation(run)["n"]
    assert found["accuracy"] == store.evaluation(run)["accuracy"]
    assert [one["kind"] for one in found["corruptions"]] == list(CORRUPTIONS)
    for one in found["corruptions"]:
        assert [at["level"] for at in one["levels"]] == list(CORRUPTIONS[one["kind"]].levels)
    # A map of a single cell, as of 32 pixels, says nothing about where.
    assert found["attention"]["finding"] == "untested"
    assert {one["label"] for one in found["examples"]} == set(found["classes"])
    assert times_opened(store.path(run)) == 0
    written = study.result.stat().st_mtime_ns
    assert stress_study(store, run).follow(nothing) == found
    assert study.result.stat().st_mtime_ns == written


def test_images_that_are_gone_are_told(store: RunStore, tmp_path: Path) -> None:
    run = store.find("latest")
    index = store.settings.home / "datasets" / store.job(run)["dataset"]
    for file in index.glob("pixels-*.npy"):
        file.unlink()
    described = storage.read_json(index / "dataset.json")
    storage.write_json(index / "dataset.json", {**described, "root": str(tmp_path / "gone")})
    with pytest.raises(DataError, match="can not be read any more: scan the dataset again"):
        stress_process.examine(store, run, nothing)


def test_a_run_without_a_model_is_told(store: RunStore) -> None:
    run = store.find("latest")
    (store.path(run) / "contract.json").unlink()
    with pytest.raises(RunError, match="has no model"):
        stress_study(store, run)


def test_of_a_large_test_set_a_part_is_looked_at(
    store: RunStore, short_ladder: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stress_process, "IMAGES", 6)
    monkeypatch.setattr(stress_process, "LADDER_IMAGES", 3)
    run = store.find("latest")
    found = stress_process.examine(store, run, nothing)
    assert (found["n"], found["of"]) == (6, store.evaluation(run)["n"])
    assert found["lungs_out"]["n"] == 6 and sum(found["lungs"].values()) == 6
    assert found["ladder"]["n"] == 3
    assert math.isnan(found["attention"]["ratio"])


def test_the_model_sees_what_it_was_trained_to_see(store: RunStore) -> None:
    """Unaltered squares are answered as the run's own evaluation was."""
    run = store.find("latest")
    dataset = load(store.job(run)["dataset"], store.settings.home)
    subject = stress_process.subject_of(store, run, dataset)
    assert (subject.answers(subject.pixels) == subject.predicted).all()
    table = store.predictions(run).set_index("file")
    assert (table.loc[subject.files, "label"] == np.array(subject.classes)[subject.truth]).all()
