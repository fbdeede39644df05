"""A run's validation images are looked at once, and compared with what is asked about."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from covidcore import storage
from covidcore.config import Settings
from covidcore.errors import DataError
from covidcore.inference.predictor import Predictor
from covidcore.jobs import alike
from covidcore.jobs.store import RunStore
from tests.edited import edit
from tests.runs import Trained, trained


@pytest.fixture(scope="module")
def finished(phantoms: Path) -> Trained:
    return trained(phantoms)


@pytest.fixture(scope="module")
def predictor(finished: Trained) -> Predictor:
    return Predictor.open(finished.folder)


@pytest.fixture
def store(finished: Trained, tmp_path: Path) -> RunStore:
    """The same home, to be changed."""
    shutil.copytree(finished.settings.home, tmp_path / "home")
    return RunStore(replace(finished.settings, home=tmp_path / "home"))


def search(store: RunStore, run: str, model: Predictor) -> alike.Alike:
    one = alike.Search(store, run, model)
    return one.keep([one.look(chunk) for chunk in one.chunks])


def test_an_image_of_the_set_is_its_own_neighbour(
    finished: Trained, store: RunStore, predictor: Predictor
) -> None:
    assert alike.known(store, finished.run) is None
    found = search(store, finished.run, predictor)
    table = store.predictions(finished.run)
    held = table[table["split"] == "val"].reset_index(drop=True)
    assert sorted(found.files) == sorted(held["file"])
    kept = alike.known(store, finished.run)
    assert kept is not None and kept.files == found.files

    class Watch:
        def saw(self, name: str, pixels: np.ndarray) -> None:
            self.pixels = pixels

        def felt(self, name: str, features: np.ndarray) -> None:
            self.features = features

    watch, row = Watch(), held.iloc[3]
    predictor.predict([("x", finished.dataset.root / row["file"])], watcher=watch)
    assert watch.pixels.ndim == 2
    near = alike.neighbours(kept, watch.features, table, 4)
    assert len(near) == 4
    assert near[0].file == row["file"] and near[0].likeness > 0.99
    assert (near[0].label, near[0].predicted) == (row["label"], row["predicted"])
    assert near[0].probability == pytest.approx(row[f"p:{row['predicted']}"])
    assert {one.file for one in near} <= set(held["file"])


def test_of_another_checkpoint_nothing_is_known(
    finished: Trained, store: RunStore, predictor: Predictor
) -> None:
    search(store, finished.run, predictor)
    contract = store.path(finished.run) / "contract.json"
    edit(contract, storage.read_json(contract)["sha256"], "0" * 64)
    assert alike.known(store, finished.run) is None


def test_images_that_are_gone_are_a_sentence(
    finished: Trained, store: RunStore, predictor: Predictor
) -> None:
    folder = store.settings.home / "datasets"
    for array in folder.glob("*/pixels-*"):
        array.unlink()
    about = next(folder.glob("*/dataset.json"))
    edit(about, str(finished.dataset.root), "/nowhere")
    one = alike.Search(store, finished.run, predictor)
    with pytest.raises(DataError, match="can not be read any more"):
        one.look(one.chunks[0])
    shutil.rmtree(about.parent)
    with pytest.raises(DataError, match="not here any more"):
        alike.Search(store, finished.run, predictor)


def test_a_full_disk_keeps_nobody_from_an_answer(
    finished: Trained, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("covidcore.inference.alike.save", full)
    store = RunStore(Settings(home=finished.settings.home))
    assert len(search(store, finished.run, predictor).files) > 0
