"""The store with real workers: one run a result, and no way to stop it that loses anything."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.data.split import digest
from covidcore.errors import DataError, RecipeError, RunError
from covidcore.evaluation.marks import copies
from covidcore.jobs.folder import State
from covidcore.jobs.info import runs_as_json
from covidcore.jobs.plan import plan_split
from covidcore.jobs.store import RunStore
from tests.edited import edit
from tests.runs import (
    LONG,
    SHORT,
    Trained,
    assert_same_results,
    kill_worker,
    wait_for_end,
    wait_until,
)

HISTORY = [
    *("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
    "learning_rate",
]


def events(folder: Path, kind: str) -> list[dict[str, object]]:
    lines = (folder / "log.txt").read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [event for event in found if event["event"] == kind]


def test_a_finished_run_has_everything(finished: Trained) -> None:
    store, run, folder = finished.store, finished.run, finished.folder
    files = {path.name for path in folder.iterdir()}
    by_readers = {"opened.json", "opened.lock"}  # of tests that have looked at it before
    assert files - by_readers == {
        *("job.json", "split.csv", "status.json", "history.csv", "log.txt", "lock"),
        "handover.json",
        *("last.safetensors", "best.safetensors", "contract.json", "familiar.safetensors"),
        "known.safetensors",
        *("predictions.parquet", "report.json"),
    }
    info = store.info(run)
    assert (info.state, info.epoch, info.epochs, info.message) == (
        State.DONE,
        LONG.epochs,
        LONG.epochs,
        "",
    )
    assert info.name == "a finished run"
    assert info.seconds is not None
    assert info.seconds > 0
    assert store.recipe(run) == LONG
    assert [event["state"] for event in events(folder, "end")] == ["done"]
    assert "Warning" not in (folder / "log.txt").read_text()

    history = store.history(run)
    assert list(history.columns) == HISTORY
    assert list(history["epoch"]) == list(range(1, LONG.epochs + 1))
    best = history.loc[history["val_loss"].idxmin()]
    status = store.status(run)
    assert status["best_epoch"] == best["epoch"]
    assert status["val_loss"] == pytest.approx(best["val_loss"])


def test_its_split_is_whole_and_divides_no_patient(finished: Trained) -> None:
    split = finished.store.split(finished.run)
    assert set(split["file"]) == set(finished.dataset.index["file"])
    assert split.groupby("group")["split"].nunique().max() == 1
    assert (pd.crosstab(split["label"], split["split"]) > 0).all(axis=None)
    assert digest(split) == finished.store.job(finished.run)["split"]
    pd.testing.assert_frame_equal(split, plan_split(LONG, finished.dataset), check_dtype=False)


def test_its_predictions_and_figures_agree(finished: Trained) -> None:
    table = finished.store.predictions(finished.run)
    known = copies(finished.dataset.index, finished.store.split(finished.run))
    assert table["copy"].tolist() == [known.get(file, "") for file in table["file"]]
    figures = finished.store.evaluation(finished.run)
    split = finished.store.split(finished.run)
    assert sorted(table["file"]) == sorted(split.loc[split["split"] != "train", "file"])
    classes = figures["classes"]
    assert tuple(classes) == finished.dataset.classes
    given = ["file", "split", "label", "predicted", "correct", "loss", "source", "group"]
    numbers = [f"{kind}:{name}" for kind in ("logit", "p") for name in classes]
    assert list(table.columns) == [*given, *numbers, "copy"]
    assert np.allclose(table[numbers[3:]].sum(axis=1), 1)
    test = table[table["split"] == "test"]
    assert figures["n"] == len(test) == np.sum(figures["confusion"])
    assert figures["accuracy"] == pytest.approx(test["correct"].mean())
    assert figures["accuracy"] == finished.store.info(finished.run).accuracy
    assert figures["loss"] == pytest.approx(test["loss"].mean())
    validated = table[table["split"] == "val"]
    assert finished.store.status(finished.run)["val_loss"] == pytest.approx(
        validated["loss"].mean(), rel=1e-4
    )


def test_the_same_again_is_found_and_not_run(finished: Trained) -> None:
    log = (finished.folder / "log.txt").read_bytes()
    again = finished.store.submit(LONG, finished.dataset, "another name")
    assert (again.run, again.cached) == (finished.run, True)
    assert finished.store.submit(replace(LONG, threads=2), finished.dataset).cached
    assert finished.store.info(finished.run).state is State.DONE
    assert (finished.folder / "log.txt").read_bytes() == log
    assert len(events(finished.folder, "start")) == 1


def test_cancelled_and_resumed_is_the_run_that_was_never_stopped(
    store: RunStore, dataset: Dataset, finished: Trained
) -> None:
    run = store.submit(LONG, dataset).run
    assert run == finished.run
    wait_until(lambda: len(store.history(run)), "the first epoch")
    assert store.info(run).state is State.RUNNING
    with pytest.raises(RunError, match="is running: cancel it first"):
        store.remove(run)
    with pytest.raises(RunError, match="is running: there is nothing to resume"):
        store.resume(run)
    store.cancel(run)
    assert wait_for_end(store, run) is State.CANCELLED
    assert 1 <= store.info(run).epoch < LONG.epochs
    with pytest.raises(RunError, match="is cancelled: it has no results yet"):
        store.evaluation(run)
    with pytest.raises(RunError, match="nothing to cancel"):
        store.cancel(run)

    store.resume(run)
    assert wait_for_end(store, run) is State.DONE
    assert_same_results(store.path(run), finished.folder)
    with pytest.raises(RunError, match="is done: there is nothing to resume"):
        store.resume(run)


def test_killed_and_submitted_again_is_the_run_that_was_never_stopped(
    store: RunStore, dataset: Dataset, finished: Trained
) -> None:
    run = store.submit(LONG, dataset).run
    wait_until(lambda: len(store.history(run)) > 1, "the second epoch")
    assert kill_worker(store.path(run))
    info = store.info(run)
    assert info.state is State.INTERRUPTED
    assert 2 <= info.epoch < LONG.epochs
    assert [one.state for one in store.list()] == [State.INTERRUPTED]  # and it stays so

    again = store.submit(LONG, dataset)
    assert (again.run, again.cached) == (run, False)
    assert wait_for_end(store, run) is State.DONE
    assert_same_results(store.path(run), finished.folder)
    assert len(events(store.path(run), "start")) == 2


def test_runs_wait_for_one_another_and_a_worker_starts_the_next(
    store: RunStore, dataset: Dataset
) -> None:
    first = store.submit(replace(LONG, epochs=1000), dataset).run
    second = store.submit(SHORT, dataset).run
    third = store.submit(replace(SHORT, seed=1), dataset).run
    assert [store.info(run).state for run in (first, second, third)] == [
        *(State.RUNNING, State.QUEUED, State.QUEUED)
    ]
    assert len({first, second, third}) == 3
    assert [info.run for info in store.list()] == [third, second, first]

    store.cancel(third)
    assert store.info(third).state is State.CANCELLED
    wait_until(lambda: store.info(first).epoch > 1, "the first to train")
    store.cancel(first)
    assert wait_for_end(store, first) is State.CANCELLED
    assert wait_for_end(store, second) is State.DONE
    assert store.info(third).state is State.CANCELLED
    assert not (store.path(third) / "log.txt").exists()
    store.remove(third)
    with pytest.raises(RunError, match="There is no run"):
        store.info(third)


def test_a_head_with_standardised_features_is_stored_without_them(
    store: RunStore, dataset: Dataset
) -> None:
    """What is stored is the plain network, whose answers are those of the evaluation."""
    from covidcore.inference.predictor import Predictor

    recipe = replace(SHORT, standardise=True, epochs=3, class_weights="balanced", seed=2)
    run = store.submit(recipe, dataset).run
    assert wait_for_end(store, run) is State.DONE, store.log_tail(run)
    table = store.predictions(run)
    answers = Predictor.open(store.path(run)).predict(
        (file, dataset.root / file) for file in table["file"]
    )
    for answer, row in zip(answers, table.to_dict("records"), strict=True):
        for name, probability in answer["probabilities"].items():
            assert probability == pytest.approx(row[f"p:{name}"], abs=0.02)


def test_what_vanished_or_was_tampered_with_fails_with_a_sentence(
    store: RunStore, dataset: Dataset
) -> None:
    file = dataset.index["file"].iloc[3]
    gone = replace(dataset, root=dataset.root / "elsewhere")
    about = store.settings.home / "datasets" / dataset.fingerprint / "dataset.json"
    told = about.read_text()
    edit(about, str(dataset.root), str(gone.root))
    run = store.submit(SHORT, gone).run
    assert wait_for_end(store, run) is State.FAILED
    message = store.info(run).message
    assert "can not be read any more" in message
    assert message.endswith(".")
    assert file.split("/")[1] in message

    about.write_text(told)
    job = store.path(run) / "job.json"
    edit(job, store.job(run)["split"], "0" * 64)
    store.resume(run)
    assert wait_for_end(store, run) is State.FAILED
    assert "split.csv is damaged" in store.info(run).message
    assert "Traceback" not in (store.path(run) / "log.txt").read_text()

    # Removed, even where an earlier removal was cut short; and made anew.
    (store.queue.folder / f".removed-{run}").mkdir()
    (store.queue.folder / f".removed-{run}" / "job.json").write_text("{}")
    store.remove(run)
    assert store.list() == []
    assert not [path for path in store.queue.folder.iterdir() if path.is_dir()]


def test_a_damaged_run_does_not_hide_the_others(finished: Trained, home: Path) -> None:
    store = RunStore(Settings(home=home))
    for run, text in (("aaaa", "{"), ("bbbb", "[]"), ("cccc", '{"recipe": {"epochs": 3}}')):
        (store.queue.folder / run).mkdir(parents=True)
        (store.queue.folder / run / "job.json").write_text(text)
    (store.queue.folder / "dddd").mkdir()
    shutil.copytree(finished.folder, store.queue.folder / finished.run)
    (listed,) = store.list()
    assert (listed.run, listed.state) == (finished.run, State.DONE)
    assert store.find("latest") == finished.run
    with pytest.raises(RunError, match="damaged"):
        store.info("aaaa")
    store.remove("aaaa")
    with pytest.raises(RunError, match="no run"):
        store.find("aaaa")


def test_a_worker_that_can_not_start_is_a_failure_with_its_last_words(
    store: RunStore, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "filelock.py").write_text("raise ImportError('a broken installation')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run = store.submit(SHORT, dataset).run
    info = store.info(run)
    assert info.state is State.FAILED
    assert info.message.startswith("The worker could not be started.")
    assert "a broken installation" in info.message


def test_an_unforeseen_error_is_a_failure_with_its_traceback_in_the_log(
    store: RunStore, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "safetensors").mkdir()
    (tmp_path / "safetensors" / "__init__.py").write_text("raise LookupError('nobody knows')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run = store.submit(SHORT, dataset).run
    assert wait_for_end(store, run) is State.FAILED
    assert store.info(run).message == "Training failed (LookupError: nobody knows)."
    assert "Traceback" in "\n".join(store.log_tail(run, 100))


def test_patience_ends_a_run_early(store: RunStore, dataset: Dataset) -> None:
    recipe = replace(SHORT, epochs=200, patience=2, learning_rate=0.5, schedule="constant")
    run = store.submit(recipe, dataset).run
    assert wait_for_end(store, run) is State.DONE, store.log_tail(run)
    info, best = store.info(run), store.status(run)["best_epoch"]
    assert info.epoch == best + 2 < 200
    assert len(store.history(run)) == info.epoch
    tensors = load_file(store.path(run) / "last.safetensors")
    assert any(name.startswith("best.") for name in tensors)


def test_what_can_not_be_trained_is_refused_before_a_run_is_made(
    store: RunStore, dataset: Dataset
) -> None:
    with pytest.raises(RecipeError, match="no source “Nowhere”"):
        store.submit(replace(SHORT, exclude_sources=("Nowhere",)), dataset)
    sources = tuple(set(dataset.index["source"]))
    with pytest.raises(DataError, match="has no images left"):
        store.submit(replace(SHORT, exclude_sources=sources), dataset)
    for runner in ("moon", "ray:", "ray:host", "ray:ftp://host"):
        elsewhere = RunStore(replace(store.settings, runner=runner))
        with pytest.raises(RecipeError, match=f"COVIDCORE_RUNNER is “{runner}”"):
            elsewhere.submit(SHORT, dataset)
    assert store.list() == []


def test_an_excluded_source_is_in_no_set(dataset: Dataset) -> None:
    split = plan_split(replace(SHORT, exclude_sources=("Hospital A",)), dataset)
    kept = dataset.index[dataset.index["source"] != "Hospital A"]
    assert 0 < len(split) < len(dataset.index)
    assert set(split["file"]) == set(kept["file"])


def test_finding_a_run(finished: Trained, store: RunStore) -> None:
    assert finished.store.find(finished.run[:5]) == finished.run
    assert finished.store.find("latest") == finished.run
    for prefix in ("", "zzz", "../" + finished.run, ".submit"):
        with pytest.raises(RunError):
            finished.store.find(prefix)
    for prefix in ("latest", "a"):
        with pytest.raises(RunError):
            store.find(prefix)
    for name in ("", ".", "..", "../runs", "nothere"):
        with pytest.raises(RunError, match="There is no run"):
            finished.store.info(name)


def test_the_list_as_the_contract_has_it(finished: Trained) -> None:
    (document,) = runs_as_json(finished.store.list())
    assert list(document) == [
        *("run", "name", "state", "preset", "dataset", "epoch", "epochs", "eta_seconds"),
        *("accuracy", "created", "seconds"),
    ]
    assert json.loads(json.dumps(document))["state"] == "done"
