"""Features of a dataset before the head: those of the frozen backbone a run started from.

And what heads of a run are trained on in place of the whole run: `folds`, `stress`.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from covidcore.config import Settings
from covidcore.data.facts import Progress
from covidcore.data.index import Dataset
from covidcore.data.pixels import pixel_array
from covidcore.evaluation.metrics import IntArray, class_positions
from covidcore.jobs.store import RunStore
from covidcore.jobs.studies import Report
from covidcore.model.preprocess import Preprocessing
from covidcore.model.weights import Weights
from covidcore.training.recipe import PRESETS, Recipe
from covidcore.training.stored import FrozenName, is_as_written

if TYPE_CHECKING:
    from numpy.typing import NDArray


def head_recipe(recipe: Recipe) -> Recipe:
    """How the head is trained: as the run did, or as ``quick`` does where the run trains more."""
    if recipe.trainable == "head":
        return recipe
    names = ("arch", "weights", "image_size", "class_weights", "seed", "precision", "group_by")
    quick = PRESETS["quick"].recipe
    return replace(quick, **{name: getattr(recipe, name) for name in names})


@dataclass(frozen=True)
class Subject:
    """The images of a run, and what their heads are trained on."""

    rows: pd.DataFrame
    """Of the index, with split; without the sources that the run leaves out."""
    truth: IntArray
    features: "NDArray[np.float16]"
    classes: tuple[str, ...]
    recipe: Recipe
    """Of the head."""


def subject_of(store: RunStore, run: str, dataset: Dataset, report: Report) -> Subject:
    """The images that ``run`` trained, validated and tested on, with features of each.

    Raises: as ``head_features``.
    """
    job, recipe = store.job(run), store.recipe(run)
    head, start = head_recipe(recipe), Weights(**job["weights"])
    features = head_features(head, start, dataset, store.settings, report)
    index = dataset.index.reset_index(drop=True)
    sets = index["file"].map(store.split(run).set_index("file")["split"])
    rows = index.assign(split=sets)[sets.notna()]
    classes = tuple(job["classes"])
    truth = class_positions(rows["label"], classes)
    return Subject(rows, truth, np.asarray(features[rows.index.to_numpy()]), classes, head)


def head_features(
    recipe: Recipe, start: Weights, dataset: Dataset, settings: Settings, report: Report
) -> "NDArray[np.float16]":
    """Features ``(N, F)`` of every image, as ``trainable=head`` trains on: computed once a dataset.

    They know nothing of any training on the dataset, so that it can be divided in any way. Where
    they are on disk no network is built. Raises: DataError where images are gone since the scan,
    WeightsError where the weights are.
    """
    from covidcore.model import network
    from covidcore.model.transfer import begin
    from covidcore.training.activations import FrozenPart, activations
    from covidcore.training.precision import choose

    mean, std = tuple(start.mean), tuple(start.std)
    spec = Preprocessing(recipe.image_size, mean, std)  # type: ignore[arg-type]
    precision = choose(recipe.precision, settings.home)
    name = FrozenName(recipe.arch, "head", start.id, spec, precision)
    path = name.path(0, dataset.fingerprint, settings.home)
    if is_as_written(path):
        stored: NDArray[np.float16] = np.load(path, mmap_mode="r", allow_pickle=False)
        return stored
    model = begin(recipe.arch, len(dataset.classes), recipe.seed, start)
    frozen, _ = network.cut(model, recipe.arch, "head")
    part = FrozenPart(frozen, recipe.arch, "head", start.id, spec, precision)

    def phase(doing: str) -> "Progress":
        return lambda done, total: report(doing, done, total)

    pixels = pixel_array(dataset, recipe.image_size, settings.home, phase("Reading images"))
    return activations(
        part, pixels, 0, dataset.fingerprint, settings.home, phase("Computing features")
    )
