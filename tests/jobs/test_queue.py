"""Who waits, in which order, and who starts; and whether there is room for what they write."""

import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from covidcore.data.index import Dataset
from covidcore.errors import DataError, RunError
from covidcore.jobs.folder import State
from covidcore.jobs.space import _SHAPES, check_space, needed
from covidcore.jobs.store import RunStore
from covidcore.model.network import build, cut
from covidcore.model.weights import ARCHITECTURES
from covidcore.training.recipe import Recipe
from tests.runs import LONG, SHORT, wait_for_end


@pytest.mark.usefixtures("idle")
def test_waiting_runs_start_in_an_order_that_can_be_changed(
    store: RunStore, dataset: Dataset
) -> None:
    first = store.submit(replace(LONG, epochs=1000), dataset).run
    a, b, c = (store.submit(replace(SHORT, seed=seed), dataset).run for seed in range(3))
    assert store.waiting() == [a, b, c]
    store.move(c, -1)
    assert store.waiting() == [a, c, b]
    store.move(c, -1)
    store.move(c, -1)  # it is the first already
    assert store.waiting() == [c, a, b]
    store.move(c, 5)
    assert store.waiting() == [a, b, c]
    store.move(c, -2)
    assert RunStore(store.settings).waiting() == [c, a, b]
    with pytest.raises(RunError, match="does not wait in the queue"):
        store.move(first, 1)
    store.cancel(a)
    assert store.waiting() == [c, b]
    store.resume(a)  # behind those who waited
    assert store.waiting() == [c, b, a]

    store.cancel(first)
    assert wait_for_end(store, c) is State.DONE
    assert store.info(a).state is State.QUEUED


@pytest.mark.usefixtures("idle")
def test_as_many_run_as_there_are_slots(store: RunStore, dataset: Dataset) -> None:
    wide = RunStore(replace(store.settings, slots=2))
    runs = [wide.submit(replace(LONG, epochs=1000, seed=seed), dataset).run for seed in range(3)]
    assert [wide.info(run).state for run in runs] == [*(State.RUNNING, State.RUNNING, State.QUEUED)]
    wide.list()
    assert wide.waiting() == runs[2:]
    wide.cancel(runs[0])
    assert wait_for_end(wide, runs[0]) is State.CANCELLED
    wide.list()
    assert wide.info(runs[1]).state is State.RUNNING


def test_a_full_disk_is_told_before_the_run(
    store: RunStore, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2e9, 2e9, 1e6))
    with pytest.raises(DataError, match=r"needs about 0\.\d GB, and the disk of .* has 0\.0 GB"):
        store.submit(LONG, dataset)
    assert store.list() == []


def test_the_space_of_a_home_that_is_not_there_yet(tmp_path: Path) -> None:
    check_space(SHORT, 36, tmp_path / "not" / "yet")


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("trainable", ["head", "last_stage"])
def test_the_estimate_is_an_upper_one(arch: str, trainable: str) -> None:
    model = build(arch, 3)
    frozen, _ = cut(model, arch, trainable)
    with torch.inference_mode():
        values = frozen.eval()(torch.zeros(1, 3, 96, 96)).numel()
    parameters = sum(one.numel() for one in model.parameters())
    recipe = Recipe(arch=arch, trainable=trainable, image_size=96, augment="none")
    per_image = needed(recipe, 1) - needed(recipe, 0)
    assert 96**2 + 2 * values <= per_image <= 1.01 * (96**2 + 2 * values)
    assert _SHAPES[arch][0] * 1e6 > 0.98 * parameters
