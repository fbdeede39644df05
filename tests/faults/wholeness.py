"""What has to hold of a run whenever its worker is gone, wherever it was at that moment."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load as load_tensors

from covidcore.data.index import dataset_folder
from covidcore.data.layout import LEFT_OUT
from covidcore.errors import RunError
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from covidcore.training.recipe import Recipe

# Everything a run can do, in little: pixels, activations, epochs of several steps, checkpoints.
TINY = Recipe(
    arch="densenet121",
    weights="none",
    image_size=32,
    epochs=2,
    batch_size=2,
    augment="none",
    precision="fp32",
    threads=1,
)


def _array(data: bytes) -> object:
    return np.load(io.BytesIO(data), allow_pickle=False)


def _table(data: bytes) -> object:
    return pd.read_parquet(io.BytesIO(data))


def _text_table(data: bytes) -> object:
    return pd.read_csv(io.BytesIO(data))


READERS: dict[str, Callable[[bytes], object]] = {
    ".json": json.loads,
    ".csv": _text_table,
    ".parquet": _table,
    ".safetensors": load_tensors,
    ".npy": _array,
}


def assert_readable(folder: Path) -> None:
    """Every file that has its name parses to its end."""
    for path in sorted(folder.rglob("[!.]*")):
        read = READERS.get(path.suffix)
        if read and path.is_file() and not path.name.startswith("."):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue  # taken away since
            try:
                read(data)
            except Exception as error:
                raise AssertionError(f"{path} is half-written: {error}") from error


def remains(folder: Path) -> list[Path]:
    """What killed workers were writing; an aside of the status is kept for a minute."""
    stay = (".status", LEFT_OUT)
    return [path for path in folder.rglob(".*-*") if not path.name.startswith(stay)]


def assert_whole(store: RunStore, run: str, ended: tuple[State, ...]) -> State:
    """A run without a worker has ended, can be read, and shows figures only where it is done."""
    listed = {info.run: info.state for info in store.list()}
    info, state = store.info(run), store.info(run).state
    assert listed[run] is state
    assert state in ended, info.message
    assert state is State.DONE or info.message.endswith((".", "]"))
    assert_readable(store.path(run))
    assert_readable(dataset_folder(store.settings.home, info.dataset))
    history = store.history(run)
    assert list(history["epoch"]) == list(range(1, len(history) + 1))
    assert info.epoch == len(history) <= info.epochs
    assert store.recipe(run) == Recipe.from_json(store.job(run)["recipe"])
    assert len(store.split(run)) > 0
    for read in (store.evaluation, store.predictions):
        try:
            read(run)
        except RunError as error:
            assert state is not State.DONE, error
            assert "it has no results yet" in str(error)
        else:
            assert state is State.DONE, "figures of a run that is not done"
    return state
