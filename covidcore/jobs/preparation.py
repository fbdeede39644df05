"""What a run trains with, from its job file: dataset, split, network, batches.

All of it depends on the run alone, so that every process of a run prepares the same; what takes
long is kept on disk.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.index import Dataset, load
from covidcore.data.pixels import pixel_array
from covidcore.data.split import digest
from covidcore.errors import DataError, RunError, WeightsError
from covidcore.jobs import resumable
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.plan import plan_split
from covidcore.jobs.progress import Reporter
from covidcore.model import network, weights
from covidcore.model.preprocess import Preprocessing
from covidcore.model.transfer import begin
from covidcore.training.activations import FrozenPart, activations
from covidcore.training.batches import ActivationBatches, PixelBatches, image_sizes
from covidcore.training.precision import choose, device
from covidcore.training.recipe import VARIANTS, Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Batches = PixelBatches | ActivationBatches
    Phase = Callable[[str], Callable[[int, int], None] | None]


@dataclass
class Prepared:
    """Everything that training and evaluation need."""

    recipe: Recipe
    dataset: Dataset
    table: pd.DataFrame
    """The split: file, label, split; and of each image its row in the dataset and its source."""
    weights: weights.Weights
    classes: tuple[str, ...]
    model: nn.Module
    tail: nn.Sequential
    """The part of ``model`` that is trained, behind ``Standardise`` where the recipe says so."""
    spec: Preprocessing
    precision: str
    batches: "Batches"
    pixels: "NDArray[np.uint8]"
    """Of the whole dataset, ``(N, S, S)``; a row of ``table`` names its place here."""
    compiler: str
    """The backend of ``torch.compile`` that ``tail`` is trained with; empty: none."""

    @property
    def tail_precision(self) -> str:
        """A linear head costs nothing, and needs the digits: it is trained in fp32."""
        return "fp32" if self.recipe.trainable == "head" else self.precision


def prepare(folder: RunFolder, settings: Settings, reporter: Reporter | None = None) -> Prepared:
    """Read what the run in ``folder`` trains with, and make what is not there yet.

    Without a ``reporter`` this is one of the processes that train together, which find everything
    made and write nothing. Raises: CovidcoreError with a sentence.
    """
    job = folder.read_job()
    recipe = Recipe.from_json(job["recipe"])
    torch.set_num_threads(threads_each(recipe, 1 if reporter else recipe.workers))
    dataset = _dataset(job, settings)
    start = weights.Weights(**job["weights"])
    table = _read_split(folder, job, dataset, start, writes=reporter is not None)
    phase: Phase = reporter.phase if reporter else lambda name: None
    pixels = pixel_array(dataset, recipe.image_size, settings.home, phase("reading images"))
    classes = tuple(job["classes"])
    model = begin(recipe.arch, len(classes), recipe.seed, start)
    pretrained = start.id != weights.NONE.id
    frozen, tail = network.cut(model.to(device()), recipe.arch, recipe.trainable, pretrained)
    spec = Preprocessing(recipe.image_size, tuple(start.mean), tuple(start.std))  # type: ignore[arg-type]
    precision = resumable.stored_precision(folder) or choose(recipe.precision, settings.home)
    part = FrozenPart(frozen, recipe.arch, recipe.trainable, start.id, spec, precision)
    rows = _rows(table, classes, len(pixels))
    batches: Batches
    if recipe.trainable == "all":
        sizes = image_sizes(recipe.image_size, recipe.epochs, recipe.progressive)
        batches = PixelBatches(pixels, spec, recipe.augment, sizes, **rows)
    else:
        stored = _activations(part, pixels, recipe, dataset, settings, phase)
        batches = ActivationBatches(stored, recipe.seed, **rows)
    if recipe.standardise:
        features = batches.plain(batches.train_rows)
        tail = network.Tail(network.Standardise(features).to(device()), *tail)
    compiler = settings.compiler
    if compiler:
        _compile(tail, compiler)
    return Prepared(
        *(recipe, dataset, table, start, classes, model, tail, spec, precision, batches, pixels),
        compiler=compiler,
    )


def threads_each(recipe: Recipe, processes: int) -> int:
    """Threads of each of so many processes: as the recipe says, or their share of this machine."""
    return recipe.threads or max(1, (os.cpu_count() or 1) // processes)


def _compile(tail: nn.Module, backend: str) -> None:
    """Let its forward pass be compiled when it is first asked; parameters and names stay.

    Raises: RunError for a backend that this torch does not know.
    """
    known = torch.compiler.list_backends()
    if backend not in (*known, "eager"):
        raise RunError(f"COVIDCORE_COMPILE is “{backend}”; torch knows here: {', '.join(known)}.")
    tail.compile(backend=backend)


def _dataset(job: dict[str, Any], settings: Settings) -> Dataset:
    try:
        return load(job["dataset"], settings.home)
    except DataError as error:
        raise RunError(
            f"What the scan of this run's dataset found is gone or damaged: scan the folder of "
            f"“{job.get('dataset_name')}” again, then resume the run. ({error})"
        ) from error


def _read_split(
    folder: RunFolder,
    job: dict[str, Any],
    dataset: Dataset,
    start: weights.Weights,
    writes: bool,
) -> pd.DataFrame:
    """The run's split, with each image's row in the dataset and its source.

    Recipe and weights say who is in which set, so a damaged file is written anew. Raises: RunError
    where this version of covidcore would deal the sets in another way.
    """
    with contextlib.suppress(WeightsError):  # the file of the split may do without
        planned = plan_split(Recipe.from_json(job["recipe"]), dataset, start)
        if writes and digest(planned) == job["split"]:
            storage.write_csv(folder.split, planned)
    try:
        table = pd.read_csv(folder.split, dtype=str, keep_default_na=False)
        whole = digest(table) == job["split"]
    except (OSError, ValueError, KeyError):
        whole = False
    if not whole:
        raise RunError("The run's split.csv is damaged: remove the run and submit it again.")
    rows = pd.Series(np.arange(len(dataset.index)), index=dataset.index["file"])
    table["row"] = table["file"].map(rows).to_numpy()
    table["source"] = dataset.index["source"].to_numpy()[table["row"]]
    return table


def _rows(table: pd.DataFrame, classes: tuple[str, ...], images: int) -> dict[str, Any]:
    """Class numbers of all images, and which of them train and validate."""
    numbers = {name: position for position, name in enumerate(classes)}
    labels = np.zeros(images, dtype=np.int64)
    labels[table["row"]] = table["label"].map(numbers)
    return {
        "labels": labels,
        "train_rows": table.loc[table["split"] == "train", "row"].to_numpy(),
        "val_rows": table.loc[table["split"] == "val", "row"].to_numpy(),
        "classes": len(classes),
    }


def _activations(
    part: FrozenPart,
    pixels: "NDArray[np.uint8]",
    recipe: Recipe,
    dataset: Dataset,
    settings: Settings,
    phase: "Phase",
) -> "list[NDArray[np.float16]]":
    """Activations of the frozen part in each variant, made if need be."""
    count = VARIANTS if recipe.augment != "none" else 1
    return [
        activations(
            part,
            pixels,
            variant,
            dataset.fingerprint,
            settings.home,
            phase(f"computing features {variant + 1} of {count}"),
        )
        for variant in range(count)
    ]
