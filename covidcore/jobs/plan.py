"""What a run will be, known before it is made: its sets, its weights and its id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from covidcore.config import Settings
from covidcore.data.audit_leaks import SplitSettings, deal
from covidcore.data.index import Dataset
from covidcore.data.known import like
from covidcore.data.split import SPLITS, digest
from covidcore.errors import RunError
from covidcore.jobs.folder import RunFolder, now
from covidcore.model.weights import Weights, known_images, resolve
from covidcore.training.recipe import Recipe, run_key

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


DEALERS = ("split", "seed", "group_by", "exclude_sources", "known_images")
"""Fields of a recipe that say who is in which set; so do the weights, by what they have seen."""


@dataclass(frozen=True)
class Plan:
    """A run to be: who is in which set, where training starts, and the id that follows."""

    run: str
    recipe: Recipe
    split: "pd.DataFrame"
    weights: Weights
    known: dict[str, int] | None = None
    """How many images of each set the weights were trained on, where they say on what that was."""

    def job(self, dataset: Dataset, name: str) -> dict[str, Any]:
        """What is written down of the run in its job file."""
        return {
            "recipe": self.recipe.to_json(),
            "dataset": dataset.fingerprint,
            "dataset_name": dataset.name,
            "classes": list(dataset.classes),
            "split": digest(self.split),
            "weights": self.weights.to_json(),
            "known": self.known,
            "name": name or f"{self.recipe.in_words()} on {dataset.name}",
            "created": now(),
        }


def plan_runs(recipes: Sequence[Recipe], dataset: Dataset, settings: Settings) -> list[Plan]:
    """Plan a run for each recipe; what several have in common is worked out once.

    Weights that are not on this machine are fetched. Raises: RecipeError, DataError, WeightsError.
    """
    tables: dict[tuple[object, ...], tuple[pd.DataFrame, dict[str, int] | None]] = {}
    found: dict[tuple[str, str], Weights] = {}
    plans = []
    for recipe in recipes:
        start = (recipe.weights, recipe.arch)
        if start not in found:
            found[start] = resolve(recipe.weights, recipe.arch, settings)
        weights = found[start]
        dealt = (*(getattr(recipe, name) for name in DEALERS), weights.id)
        if dealt not in tables:
            table = plan_split(recipe, dataset, weights)
            tables[dealt] = table, _known(table, dataset, weights)
        table, known = tables[dealt]
        run = run_key(recipe, dataset.fingerprint, digest(table), weights.id)[:16]
        plans.append(Plan(run, recipe, table, weights, known))
    return plans


def plan_split(recipe: Recipe, dataset: Dataset, weights: Weights | None = None) -> "pd.DataFrame":
    """Who would be in which set under ``recipe``; images of excluded sources are left out.

    Images that the ``weights`` were trained on go where the recipe says. Raises: RecipeError for a
    source that is not in the dataset; DataError where a class is too small; WeightsError where it
    can not be read which images those are.
    """
    chosen = SplitSettings(recipe.split, recipe.seed, recipe.group_by, recipe.exclude_sources)
    seen = None
    if weights is not None and weights.known and recipe.known_images == "train":
        seen = _seen(dataset, weights)
    return deal(dataset, chosen, seen).drop(columns="source")


def read_split(folder: RunFolder) -> "pd.DataFrame":
    """Who is in which set of a run, from its ``split.csv``.

    Raises: RunError where that is missing, or not what the run's id stands for.
    """
    import pandas as pd

    dealt = folder.read_job()["split"]
    try:
        table = pd.read_csv(folder.split, dtype=str, keep_default_na=False)
        whole = digest(table) == dealt and folder.is_as_left(folder.split)
    except (OSError, ValueError, KeyError):
        whole = False
    if not whole:
        raise RunError(
            f"The run {folder.run} has lost who is in which set: its split.csv is missing or "
            "damaged. Resume the run, which writes it anew."
        )
    return table


def _known(table: "pd.DataFrame", dataset: Dataset, weights: Weights) -> dict[str, int] | None:
    if not weights.known:
        return None
    files = dataset.index["file"][_seen(dataset, weights)]
    sets = table.loc[table["file"].isin(files), "split"]
    return {name: int((sets == name).sum()) for name in SPLITS}


_compared: "dict[tuple[str, str, str], NDArray[np.bool_]]" = {}


def _seen(dataset: Dataset, weights: Weights) -> "NDArray[np.bool_]":
    """Which rows of the dataset show pictures that the weights were trained on, ``(N,)``.

    The last answer is remembered: a page and a plan ask the same thing several times.
    """
    assert weights.known is not None
    key = dataset.fingerprint, weights.id, str(weights.known["sha256"])
    found = _compared.get(key)
    if found is None:
        found = like(dataset.index, known_images(weights)) >= 0
        _compared.clear()
        _compared[key] = found
    return found
