"""What a run will be, known before it is made: its sets, its weights and its id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from covidcore.config import Settings
from covidcore.data.audit_leaks import SplitSettings, deal
from covidcore.data.index import Dataset
from covidcore.data.split import digest
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
        start = (recipe.weights, recipe.arch)
        if start not in found:
            found[start] = resolve(recipe.weights, recipe.arch, settings)
        dealt = (recipe.split, recipe.seed, recipe.group_by, recipe.exclude_sources)
        if dealt not in tables:
            tables[dealt] = plan_split(recipe, dataset)
        table, weights = tables[dealt], found[start]
        run = run_key(recipe, dataset.fingerprint, digest(table), weights.id)[:16]
        plans.append(Plan(run, recipe, table, weights))
    return plans


def plan_split(recipe: Recipe, dataset: Dataset) -> "pd.DataFrame":
    """Who would be in which set under ``recipe``; images of excluded sources are left out.

    Raises: RecipeError for a source that is not in the dataset; DataError where a class is too
    small.
    """
    chosen = SplitSettings(recipe.split, recipe.seed, recipe.group_by, recipe.exclude_sources)
    return deal(dataset, chosen).drop(columns="source")
