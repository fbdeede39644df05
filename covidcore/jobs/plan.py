"""Which image goes to which set under a recipe; known before a run, and made again after one."""

from typing import TYPE_CHECKING

from covidcore.data.index import Dataset
from covidcore.data.split import split
from covidcore.errors import DataError, RecipeError
from covidcore.training.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd


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
