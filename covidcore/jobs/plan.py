"""What a run will be, known before it is made: its sets, its weights and its id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.data.split import digest, split
from covidcore.errors import DataError, RecipeError
from covidcore.model.weights import Weights, resolve
from covidcore.training.recipe import Recipe, run_key

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Plan:
    """A run to be: who is in which set, where training starts, and the id that follows."""

    run: str
    recipe: Recipe
    split: "pd.DataFrame"
    weights: Weights


def plan_runs(recipes: Sequence[Recipe], dataset: Dataset, settings: Settings) -> list[Plan]:
    """Plan a run for each recipe; what several have in common is worked out once.

    Weights that are not on this machine are fetched. Raises: RecipeError, DataError, WeightsError.
    """
    tables: dict[tuple[object, ...], pd.DataFrame] = {}
    found: dict[tuple[str, str], Weights] = {}
    plans = []
    for recipe in recipes:
        dealt = (recipe.split, recipe.seed, recipe.group_by, recipe.exclude_sources)
        if dealt not in tables:
            tables[dealt] = plan_split(recipe, dataset)
        start = (recipe.weights, recipe.arch)
        if start not in found:
            found[start] = resolve(recipe.weights, recipe.arch, settings)
        table, weights = tables[dealt], found[start]
        run = run_key(recipe, dataset.fingerprint, digest(table), weights.id)[:16]
        plans.append(Plan(run, recipe, table, weights))
    return plans


def plan_split(recipe: Recipe, dataset: Dataset) -> "pd.DataFrame":
    """Who would be in which set under ``recipe``; images of excluded sources are left out.

    Raises: RecipeError for a source that is not in the dataset; DataError where a class is too
    small.
    """
    index = dataset.index
    unknown = sorted(set(recipe.exclude_sources) - set(index["source"]))
    if unknown:
        raise RecipeError(f"The dataset has no source “{unknown[0]}” that could be excluded.")
    kept = index[~index["source"].isin(recipe.exclude_sources)]
    gone = sorted(set(dataset.classes) - set(kept["label"]))
    if gone:
        raise DataError(f"Without these sources, class “{gone[0]}” has no images left.")
    return split(kept, recipe.split, recipe.seed, recipe.group_by)
