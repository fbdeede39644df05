"""A sweep: one recipe with several values for some of its fields, every combination a run."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from covidcore import storage
from covidcore.errors import RecipeError
from covidcore.training.recipe import Recipe

LARGEST = 64
"""Combinations of one sweep: more is days of work on a laptop, and asked for by mistake."""

_NOT_IDENTITY = ("threads",)  # as in a run's key


@dataclass(frozen=True)
class Sweep:
    """A group of runs that were submitted together; ``runs[i]`` trains ``recipes[i]``."""

    id: str
    name: str
    dataset: str
    """The dataset's fingerprint."""
    dataset_name: str
    base: dict[str, Any]
    """The recipe that the grid varies, as ``Recipe.to_json`` has it."""
    grid: dict[str, tuple[str, ...]]
    """The values of each field, spelled as ``spelled`` does, none twice."""
    runs: tuple[str, ...]
    """Run ids, in the order of ``recipes``; two may be one run, where weights turn out the same."""
    created: str

    @property
    def recipes(self) -> list[Recipe]:
        """Every combination, in the order in which they were submitted."""
        return expand(Recipe.from_json(self.base), self.grid)

    def to_json(self) -> dict[str, Any]:
        """Every field by name, for storage."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Sweep":
        """The inverse of ``to_json``.

        Raises: RecipeError, TypeError, KeyError, ValueError or AttributeError where it is no sweep.
        """
        grid = {field: tuple(map(str, given)) for field, given in values["grid"].items()}
        sweep = cls(**{**values, "grid": grid, "runs": tuple(map(str, values["runs"]))})
        if len(sweep.recipes) != len(sweep.runs) or not all(map(str.isalnum, sweep.runs)):
            raise ValueError("one run a combination")
        return sweep


def expand(recipe: Recipe, grid: Mapping[str, Sequence[str]]) -> list[Recipe]:
    """Every combination of the grid's values, the last field changing fastest.

    ``grid`` maps any field of a recipe but preset to values as a user types them. Combinations
    that are the same result are one. Raises: RecipeError where any combination can not be
    trained, naming fields and values, and where there are none or more than ``LARGEST``.
    """
    values = {field: list(dict.fromkeys(map(str.strip, given))) for field, given in grid.items()}
    lacking = [field for field, given in values.items() if not given]
    if lacking or not values:
        raise RecipeError(
            f"The sweep gives no value of {lacking[0]}."
            if lacking
            else "A sweep needs a field and its values, such as learning_rate=1e-3,3e-4."
        )
    count = math.prod(map(len, values.values()))
    if count > LARGEST:
        raise RecipeError(f"This sweep has {count:,} combinations; {LARGEST} are the most.")
    found: dict[Recipe, Recipe] = {}
    for combination in itertools.product(*values.values()):
        given = dict(zip(values, combination, strict=True))
        try:
            made = recipe.with_overrides(given)
        except RecipeError as error:
            raise RecipeError(f"With {in_words(given)}: {error}") from error
        found.setdefault(dataclasses.replace(made, threads=0), made)
    return list(found.values())


def canonical(recipes: Sequence[Recipe], fields: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The grid of these combinations in one spelling: 1e-3 and 0.001 are the same value."""
    return {
        field: tuple(dict.fromkeys(spelled(getattr(recipe, field)) for recipe in recipes))
        for field in fields
    }


def sweep_key(recipe: Recipe, grid: Mapping[str, Sequence[str]], fingerprint: str) -> str:
    """What identifies a sweep: 64 hex digits over the combinations asked for and the data.

    ``grid`` is in the spelling of ``canonical``; the order of fields and values does not count.
    """
    fixed = {
        field: value
        for field, value in recipe.to_json().items()
        if field not in grid and field not in _NOT_IDENTITY
    }
    key = {
        "schema": 1,
        "base": fixed,
        "grid": {field: sorted(values) for field, values in grid.items()},
        "dataset": fingerprint,
    }
    return storage.sha256_bytes(storage.canonical_json(key))


def spelled(value: Any) -> str:
    """A recipe's value as text that ``Recipe.with_overrides`` reads as the same value."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def in_words(values: Mapping[str, Any]) -> str:
    """Fields with their values on one line: ``learning_rate=0.001, seed=1``."""
    return ", ".join(f"{field}={spelled(value) or 'none'}" for field, value in values.items())
