"""Recipes: every field can be typed, nonsense is refused with the value in it, and the key."""

import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest

from covidcore.errors import RecipeError
from covidcore.training.recipe import PRESETS, Recipe, preset, run_key

# What a person types, and what it becomes. The contract's fields, and the program's own.
TYPED: dict[str, tuple[str, Any]] = {
    "arch": ("densenet121", "densenet121"),
    "weights": ("~/mine.pth", "~/mine.pth"),
    "trainable": ("head", "head"),
    "image_size": ("96", 96),
    "epochs": (" 3 ", 3),
    "batch_size": ("8", 8),
    "learning_rate": ("7e-4", 7e-4),
    "weight_decay": ("0", 0.0),
    "schedule": ("one_cycle", "one_cycle"),
    "augment": ("none", "none"),
    "class_weights": ("balanced", "balanced"),
    "label_smoothing": ("0.1", 0.1),
    "ema_decay": ("0.99", 0.99),
    "seed": ("7", 7),
    "split": ("60/20/20", "60/20/20"),
    "group_by": ("near_duplicates", "near_duplicates"),
    "exclude_sources": ("Hospital A, B", ("Hospital A", "B")),
    "known_images": ("any", "any"),
    "patience": ("4", 4),
    "precision": ("bf16", "bf16"),
    "threads": ("1", 1),
    "workers": ("2", 2),
    "backbone_rate": ("0.5", 0.5),
    "progressive": ("yes", True),
    "standardise": ("true", True),
}
# Fields that need another one to be set first.
BASE = {"progressive": Recipe(trainable="all"), "standardise": Recipe(trainable="head")}


def test_every_field_is_in_this_test() -> None:
    assert {field.name for field in dataclasses.fields(Recipe)} == {*TYPED, "preset"}


@pytest.mark.parametrize("field", TYPED)
def test_every_field_can_be_typed(field: str) -> None:
    text, expected = TYPED[field]
    before = BASE.get(field, Recipe())
    made = before.with_overrides({field: text})
    assert getattr(made, field) == expected
    assert type(getattr(made, field)) is type(expected)
    assert replace(made, **{field: getattr(before, field)}) == before


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("arch", "vgg16"),
        ("weights", " "),
        ("trainable", "body"),
        ("image_size", "31"),
        ("image_size", "513"),
        ("image_size", "224.5"),
        ("epochs", "0"),
        ("epochs", "-3"),
        ("epochs", "three"),
        ("epochs", ""),
        ("epochs", "1" * 400),
        ("epochs", "1" * 5000),
        ("batch_size", "1"),
        ("learning_rate", "nan"),
        ("learning_rate", "inf"),
        ("learning_rate", "0"),
        ("learning_rate", "1e-3x"),
        ("backbone_rate", "1.5"),
        ("backbone_rate", "nan"),
        ("weight_decay", "-0.1"),
        ("schedule", "linear"),
        ("augment", "flip"),
        ("class_weights", "yes"),
        ("label_smoothing", "0.6"),
        ("ema_decay", "1"),
        ("seed", "-1"),
        ("split", "70/30"),
        ("split", "70/20/20"),
        ("split", "100/0/0"),
        ("split", "a/b/c"),
        ("group_by", "hospital"),
        ("patience", "-1"),
        ("precision", "fp16"),
        ("threads", "many"),
        ("workers", "0"),
        ("workers", "65"),
        ("progressive", "maybe"),
        ("colour", "red"),
        ("preset", "quick"),
        ("", "3"),
    ],
)
def test_nonsense_is_refused_with_the_value_in_the_sentence(field: str, text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe().with_overrides({field: text})
    sentence = str(caught.value)
    assert field in sentence
    assert text.strip()[:50] in sentence or field in ("colour", "preset", "")
    assert "\n" not in sentence


def test_combinations_that_can_not_be_trained_are_refused() -> None:
    with pytest.raises(RecipeError, match="trainable=all"):
        Recipe(trainable="head", progressive=True)
    with pytest.raises(RecipeError, match="augment=strong needs trainable=all"):
        Recipe(augment="strong")
    assert Recipe(augment="strong", trainable="all").augment == "strong"
    with pytest.raises(RecipeError, match="trainable=head"):
        Recipe(trainable="all", standardise=True)
    with pytest.raises(
        RecipeError, match=r"workers is 4, .* batch_size is 7 and must be 8 or more"
    ):
        Recipe(workers=4, batch_size=7)
    assert Recipe(workers=4, batch_size=8).workers == 4


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name: str) -> None:
    recipe = preset(name)
    assert recipe.preset == name
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_sources_survive_json() -> None:
    recipe = Recipe(exclude_sources=("Hospital A", "Ünïcode"))
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(
    "change", [{"epochs": 0}, {"epochs": "3"}, {"epochs": None}, {"more": 1}, {"split": "x"}]
)
def test_json_that_is_no_recipe_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        Recipe.from_json({**Recipe().to_json(), **change})
    with pytest.raises(RecipeError):
        Recipe.from_json({})


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="quick, standard, full, writeup"):
        preset("best")


def key(recipe: Recipe, *, dataset: str = "d", split: str = "s", weights: str = "w") -> str:
    return run_key(recipe, dataset, split, weights)


@pytest.mark.parametrize("field", TYPED)
def test_the_key_changes_with_what_the_result_depends_on(field: str) -> None:
    before = BASE.get(field, Recipe())
    after = before.with_overrides({field: TYPED[field][0]})
    # The name of the weights does not count, for their content does; nor do known images, for the
    # split that comes of them does.
    elsewhere = ("threads", "workers", "weights", "known_images")
    assert (key(after) == key(before)) == (field in elsewhere)


def test_the_key_changes_with_data_split_and_weights() -> None:
    recipe = Recipe()
    keys = {
        key(recipe),
        key(recipe, dataset="e"),
        key(recipe, split="t"),
        key(recipe, weights="v"),
        key(replace(recipe, preset="full")),
    }
    assert len(keys) == 5
    assert all(len(one) == 64 and int(one, 16) >= 0 for one in keys)
    assert key(Recipe()) == key(recipe)
