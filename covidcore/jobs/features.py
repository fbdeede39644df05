"""Features of a dataset before the head: those of the frozen backbone a run started from."""

from typing import TYPE_CHECKING

import numpy as np

from covidcore.config import Settings
from covidcore.data.facts import Progress
from covidcore.data.index import Dataset
from covidcore.data.pixels import pixel_array
from covidcore.jobs.studies import Report
from covidcore.model.preprocess import Preprocessing
from covidcore.model.weights import Weights
from covidcore.training.recipe import Recipe
from covidcore.training.stored import FrozenName, is_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray


def head_features(
    recipe: Recipe, start: Weights, dataset: Dataset, settings: Settings, report: Report
) -> "NDArray[np.float16]":
    """Features ``(N, F)`` of every image, as ``trainable=head`` trains on: computed once a dataset.

    They know nothing of any training on the dataset, so that it can be divided in any way. Where
    they are on disk no network is built. Raises: DataError where images are gone since the scan,
    WeightsError where the weights are.
    """
    from covidcore.model import network, weights
    from covidcore.training.activations import FrozenPart, activations
    from covidcore.training.precision import choose

    mean, std = tuple(start.mean), tuple(start.std)
    spec = Preprocessing(recipe.image_size, mean, std)  # type: ignore[arg-type]
    precision = choose(recipe.precision, settings.home)
    name = FrozenName(recipe.arch, "head", start.id, spec, precision)
    path = name.path(0, dataset.fingerprint, settings.home)
    if is_whole(path):
        stored: NDArray[np.float16] = np.load(path, mmap_mode="r", allow_pickle=False)
        return stored
    model = network.build(recipe.arch, len(dataset.classes), recipe.seed)
    weights.load_into(model, network.head_name(recipe.arch), start)
    frozen, _ = network.cut(model, recipe.arch, "head")
    part = FrozenPart(frozen, recipe.arch, "head", start.id, spec, precision)

    def phase(doing: str) -> "Progress":
        return lambda done, total: report(doing, done, total)

    pixels = pixel_array(dataset, recipe.image_size, settings.home, phase("Reading images"))
    return activations(
        part, pixels, 0, dataset.fingerprint, settings.home, phase("Computing features")
    )
