"""Cross-validation of a finished run: what it holds, kept and found again; what leaks buy."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.phantoms import PhantomSpec
from covidcore.errors import DataError
from covidcore.evaluation.folds import bought, deal
from covidcore.jobs import folds_process
from covidcore.jobs.features import head_recipe
from covidcore.jobs.folds import folds_study, leak_ledger
from covidcore.jobs.store import RunStore
from covidcore.proportions import wilson
from covidcore.training.heads import train_heads
from covidcore.training.recipe import PRESETS
from tests.once import drawn
from tests.runs import LONG, SHORT, Trained, trained

SPLIT_AT_RANDOM = replace(SHORT, group_by="none", epochs=2, standardise=True, learning_rate=0.01)


@pytest.fixture(scope="module")
def copies() -> Path:
    """Phantoms with planted copies, of patients with several images."""
    return drawn(PhantomSpec(images=54, size=64, duplicates=9, near_duplicates=6), "copies")


@pytest.fixture(scope="module")
def finished(copies: Path) -> Trained:
    return trained(copies, SPLIT_AT_RANDOM)


@pytest.fixture
def store(finished: Trained, home: Path) -> RunStore:
    """The run and its dataset in a home of the test's own."""
    shutil.copytree(finished.settings.home, home)
    return RunStore(Settings(home=home))


def nothing(doing: str, done: int, total: int) -> None:
    """A report that nobody reads."""


def test_what_it_holds(store: RunStore, finished: Trained) -> None:
    found = storage.plain(folds_process.examine(store, finished.run, 3, 2, nothing))
    assert (found["folds"], found["repeats"], found["n"]) == (3, 2, 69)
    assert list(found["groupings"]) == ["none", "patient", "both"]
    groups = [one["groups"] for one in found["groupings"].values()]
    assert groups[0] == 69 > groups[1] >= groups[2]
    for one in found["groupings"].values():
        assert len(one["per_fold"]) == 6
        assert len(one["repeats"]) == 2
        assert one["accuracy"] == pytest.approx(np.mean(one["repeats"]))
        assert one["ci"][0] <= one["accuracy"] <= one["ci"][1]
        assert sum(values["n"] for values in one["per_class"].values()) == 69
    report = store.evaluation(finished.run)
    assert found["single_split"]["accuracy"] == report["accuracy"]
    assert found["head_on_the_split"]["n"] == report["n"]
    assert list(found["leakage"]) == ["patient", "both"]
    assert found["leakage"]["both"]["related"]["n"] >= 15
    # The same question again has the same answer.
    assert storage.plain(folds_process.examine(store, finished.run, 3, 2, nothing)) == found


def test_it_is_answered_by_a_process_and_kept(store: RunStore, finished: Trained) -> None:
    study = folds_study(store, finished.run, 2, 1)
    assert study.standing().phase == "absent"
    document = study.follow(nothing)
    assert study.result.name == "2x1.json"
    assert document["seconds"] > 0
    stored = study.result.stat().st_mtime_ns
    assert folds_study(store, finished.run, 2, 1).follow(nothing) == document
    assert study.result.stat().st_mtime_ns == stored
    assert folds_study(store, finished.run, 2, 2).standing().phase == "absent"


def test_too_many_folds_are_told(store: RunStore, finished: Trained) -> None:
    with pytest.raises(DataError, match=r"folds is 40; it must lie between 2 and 20\."):
        folds_study(store, finished.run, 40, 1)
    study = folds_study(store, finished.run, 20, 1)
    with pytest.raises(DataError, match="groups of images that belong together: too few for 20"):
        study.follow(nothing)
    assert study.standing().phase == "failed"


def test_the_ledger_counts_the_run_s_test_images(store: RunStore, finished: Trained) -> None:
    ledger = {one["kind"]: one for one in leak_ledger(store, finished.run, finished.dataset)}
    split, index = store.split(finished.run).set_index("file")["split"], finished.dataset.index
    sets = index["file"].map(split)
    train, test = index[sets == "train"], index[sets == "test"]
    exact = test["pixel_sha256"].isin(train["pixel_sha256"])
    patient = test["group"].isin(train["group"])
    assert ledger["exact"]["with"]["n"] == exact.sum()
    assert ledger["patient"]["with"]["n"] == patient.sum() > 0
    assert ledger["any"]["with"]["n"] >= (exact | patient).sum()
    table = store.predictions(finished.run)
    right = int(table[table["file"].isin(test.loc[patient, "file"])]["correct"].sum())
    assert ledger["patient"]["with"]["right"] == right
    assert ledger["patient"]["with"]["ci"] == list(wilson(right, int(patient.sum())))
    for one in ledger.values():
        assert one["with"]["n"] + one["without"]["n"] == len(test)


def test_a_split_by_patient_and_picture_has_an_empty_ledger(phantoms: Path) -> None:
    finished = trained(phantoms, SHORT)
    ledger = leak_ledger(finished.store, finished.run, finished.dataset)
    assert [one["with"]["n"] for one in ledger] == [0, 0, 0, 0]
    assert math.isnan(ledger[-1]["difference"])


def test_copies_are_what_random_folds_gain_by() -> None:
    """Labels are a lottery, so that only who has seen the very picture can know."""
    rng = np.random.default_rng(0)
    once = rng.normal(size=(60, 40)).astype(np.float16)
    features = np.concatenate([once, once])  # every picture is there twice
    truth = np.tile(rng.permutation(np.arange(60) % 3), 2)
    groups = np.tile(np.arange(60), 2)
    recipe = replace(PRESETS["quick"].recipe, epochs=60, learning_rate=0.03)
    answers = {}
    for way, ids in (("none", np.arange(120)), ("both", groups)):
        fold = deal(truth, ids, 3, 2, 0, ("a", "b", "c"))
        seen = np.stack([turn != at for turn in fold for at in range(3)])
        logits = train_heads(features, truth, seen, 3, recipe).argmax(axis=2)
        answers[way] = np.stack(
            [np.choose(turn, logits[3 * at : 3 * at + 3]) for at, turn in enumerate(fold)]
        )
    found = bought(truth, answers["none"], answers["both"], groups)
    assert found["difference"] > 0.2
    assert found["ci"][0] > 0.1


def test_who_trains_more_than_the_head_is_stood_in_for_by_quick() -> None:
    assert head_recipe(SHORT) == SHORT
    found = head_recipe(replace(LONG, seed=3, class_weights="balanced"))
    assert (found.trainable, found.standardise, found.epochs) == ("head", True, 30)
    assert (found.arch, found.image_size, found.weights) == (LONG.arch, 32, "none")
    assert (found.seed, found.class_weights) == (3, "balanced")
