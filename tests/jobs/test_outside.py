"""A finished run on other datasets: copies of its images set aside, kept, found again, stopped."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from covidcore.config import Settings
from covidcore.data.index import Dataset, scan
from covidcore.data.phantoms import PhantomSpec
from covidcore.errors import DataError, RunError, Stopped
from covidcore.jobs import outside_process
from covidcore.jobs.outside import (
    outside_predictions,
    outside_results,
    outside_study,
    outside_under_way,
)
from covidcore.jobs.store import RunStore
from tests.jobs.places import Failpoints
from tests.once import drawn
from tests.runs import SHORT, Trained, processes, trained, wait_until


@pytest.fixture(scope="module")
def finished(phantoms: Path) -> Trained:
    return trained(phantoms, SHORT)


@pytest.fixture
def store(finished: Trained, home: Path) -> RunStore:
    """The run and its dataset in a home of the test's own."""
    shutil.copytree(finished.settings.home, home)
    return RunStore(Settings(home=home))


@pytest.fixture(scope="module")
def others() -> Path:
    """Phantoms that the run has never seen. Not to be written to."""
    spec = PhantomSpec(images=18, size=96, seed=5, classes=("COVID", "normal", "Else"))
    return drawn(spec, "other")


MAPPING = {"COVID": "COVID-19", "normal": "NORMAL"}


def nothing(doing: str, done: int, total: int) -> None:
    """A report that nobody reads."""


def with_copies(others: Path, finished: Trained, copies: int, to: Path) -> Path:
    """The other phantoms, with so many training images among them: as they are, and re-coded."""
    shutil.copytree(others, to)
    split = finished.store.split(finished.run)
    chosen = split[(split["split"] == "train") & (split["label"] == "NORMAL")]["file"][:copies]
    for number, file in enumerate(chosen):
        image = Image.open(finished.dataset.root / file)
        target = to / "normal" / "images" / f"copy-{number}"
        if number % 2:
            image.convert("L").save(target.with_suffix(".jpg"), quality=80)
        else:
            image.save(target.with_suffix(".png"))
    return to


def examine(store: RunStore, run: str, dataset: Dataset, mapping: dict[str, str]) -> tuple:
    return outside_process.examine(store, run, dataset, mapping, nothing)


@pytest.mark.parametrize("copies", [0, 1, 4])
def test_copies_of_training_images_are_set_aside_and_nothing_else(
    store: RunStore, finished: Trained, others: Path, tmp_path: Path, copies: int
) -> None:
    folder = with_copies(others, finished, copies, tmp_path / "mixed")
    dataset = scan(folder, store.settings.home)
    document, table = examine(store, finished.run, dataset, MAPPING)
    aside = document["set_aside"]
    assert (aside["images"], aside["training"]) == (copies, copies)
    assert aside["exact"] == (copies + 1) // 2
    assert all("copy-" in one["file"] for one in aside["files"])
    assert document["n"] == len(table) == 12
    assert not table["file"].str.contains("copy-").any()
    assert document["left_out"] == {"Else": 6}
    assert document["on"] == {"name": "mixed", "images": 18 + copies}


def test_the_run_s_own_dataset_gives_the_run_s_own_figures(
    store: RunStore, finished: Trained
) -> None:
    same = dict(zip(finished.dataset.classes, finished.dataset.classes, strict=True))
    document, table = examine(store, finished.run, finished.dataset, same)
    split = store.split(finished.run)["split"].value_counts()
    aside = document["set_aside"]
    assert (aside["training"], aside["validation"]) == (split["train"], split["val"])
    assert aside["exact"] == split["train"] + split["val"]
    own = store.predictions(finished.run)
    own = own[own["split"] == "test"].sort_values("file", ignore_index=True)
    table = table.sort_values("file", ignore_index=True)
    logits = [name for name in own if name.startswith("logit:")]
    np.testing.assert_allclose(table[logits], own[logits], atol=2e-3)
    report = store.evaluation(finished.run)
    assert document["confusion"] == report["confusion"]
    assert document["drop"]["accuracy"]["difference"] == 0


def test_a_run_s_test_images_are_no_outside_data(
    store: RunStore, finished: Trained, others: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(others, folder)
    split = store.split(finished.run)
    file = split[split["split"] == "test"]["file"].iloc[0]
    shutil.copy(finished.dataset.root / file, folder / "COVID" / "images" / "copy.png")
    dataset = scan(folder, store.settings.home)
    aside = examine(store, finished.run, dataset, MAPPING)[0]["set_aside"]
    assert (aside["images"], aside["test"]) == (1, 1)
    assert aside["files"][0]["like"] == file


def test_where_everything_is_the_run_s_own_nothing_is_scored(
    store: RunStore, finished: Trained, tmp_path: Path
) -> None:
    shutil.copytree(finished.dataset.root, tmp_path / "copy")
    (tmp_path / "copy" / "metadata.csv").unlink()  # another dataset, of the same pictures
    dataset = scan(tmp_path / "copy", store.settings.home)
    assert dataset.fingerprint != finished.dataset.fingerprint
    same = dict(zip(dataset.classes, dataset.classes, strict=True))
    with pytest.raises(DataError, match="No image is left to score: all 36 are among the run"):
        examine(store, finished.run, dataset, same)


def test_it_is_answered_by_a_process_and_kept(
    store: RunStore, finished: Trained, others: Path
) -> None:
    dataset = scan(others, store.settings.home)
    study = outside_study(store, finished.run, dataset, MAPPING)
    assert study.standing().phase == "absent"
    told: list[str] = []
    document = study.follow(lambda doing, done, total: told.append(doing))
    assert told
    assert study.standing().phase == "done"
    assert document["split"] == "outside"
    assert document["mapping"] == MAPPING
    stored = study.result.stat().st_mtime_ns
    again = outside_study(store, finished.run, dataset, dict(reversed(MAPPING.items())))
    assert again.follow(nothing) == document  # nothing is computed twice
    assert study.result.stat().st_mtime_ns == stored
    (one,) = outside_results(store, finished.run)
    assert one == {**document, "key": study.result.stem}
    table = outside_predictions(store, finished.run, one["key"])
    assert pd.crosstab(table["label"], table["predicted"]).to_numpy().sum() == document["n"] == 12
    assert not outside_under_way(store, finished.run)
    # Nothing is trained on it: the run is as it was, and no other is there.
    assert store.evaluation(finished.run) == finished.store.evaluation(finished.run)
    assert [info.run for info in store.list()] == [finished.run]


def test_a_result_of_another_checkpoint_is_none(
    store: RunStore, finished: Trained, others: Path
) -> None:
    dataset = scan(others, store.settings.home)
    study = outside_study(store, finished.run, dataset, MAPPING)
    study.result.parent.mkdir()
    study.result.write_text('{"n": 3, "stamp": {"version": 1, "checkpoint": "another"}}')
    assert study.stored() is None
    assert outside_results(store, finished.run) == []


def test_a_file_that_is_gone_is_a_sentence(
    store: RunStore, finished: Trained, others: Path, tmp_path: Path
) -> None:
    shutil.copytree(others, tmp_path / "gone")
    dataset = scan(tmp_path / "gone", store.settings.home)
    lost = next((tmp_path / "gone" / "COVID" / "images").iterdir())
    lost.unlink()
    study = outside_study(store, finished.run, dataset, MAPPING)
    with pytest.raises(DataError, match=r"can not be read any more.*scan the dataset again"):
        study.follow(nothing)
    assert study.standing().phase == "failed"
    assert lost.name in study.standing().message


def test_it_can_be_stopped_and_asked_again(
    store: RunStore, finished: Trained, others: Path, failpoints: Failpoints
) -> None:
    dataset = scan(others, store.settings.home)
    study = outside_study(store, finished.run, dataset, MAPPING)
    key = study.result.stem
    failpoints.arm(f"write {key}.parquet")
    study.start()
    failpoints.wait(f"write {key}.parquet")
    assert list(outside_under_way(store, finished.run)) == [key]
    study.start()  # does nothing
    study.stop()
    wait_until(lambda: study.standing().phase == "stopped", "the end of the process")
    assert not study.result.exists()
    failpoints.release(f"write {key}.parquet")
    assert study.follow(nothing)["n"] == 12


def test_who_follows_is_told_that_it_was_stopped(
    store: RunStore, finished: Trained, others: Path, failpoints: Failpoints
) -> None:
    study = outside_study(store, finished.run, scan(others, store.settings.home), MAPPING)
    failpoints.arm(f"write {study.result.stem}.parquet")
    with pytest.raises(Stopped, match="stopped before its end"):
        study.follow(lambda doing, done, total: study.stop())


def test_a_run_that_is_removed_meanwhile_does_not_come_back(
    store: RunStore, finished: Trained, others: Path, failpoints: Failpoints
) -> None:
    study = outside_study(store, finished.run, scan(others, store.settings.home), MAPPING)
    failpoints.arm(f"write {study.result.stem}.parquet")
    study.start()
    failpoints.wait(f"write {study.result.stem}.parquet")
    folder = store.path(finished.run)
    store.remove(finished.run)
    failpoints.release(f"write {study.result.stem}.parquet")
    at_it = f"covidcore.jobs.outside_process {store.settings.home} {finished.run}"
    wait_until(lambda: not any(at_it in command for _, command in processes()), "its end")
    assert store.list() == []
    assert not folder.exists()


def test_runs_without_a_model_are_told(store: RunStore, finished: Trained, others: Path) -> None:
    dataset = scan(others, store.settings.home)
    (store.path(finished.run) / "contract.json").unlink()
    with pytest.raises(RunError, match="has no model"):
        outside_study(store, finished.run, dataset, MAPPING)
