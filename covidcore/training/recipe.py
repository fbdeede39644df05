"""What is trained and how: one frozen value that says everything a result depends on.

Knows no data and no torch, so that pages and the job store can use it at no cost.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from covidcore import storage
from covidcore.data.split import GROUPINGS, parse_fractions
from covidcore.errors import RecipeError
from covidcore.model.weights import ARCHITECTURES
from covidcore.training.fields import is_a, parsed
from covidcore.wording import brief

TRAINING_VERSION = 3
"""Raised by hand when the same recipe would give another result than before."""

CHOICES = {
    "arch": ARCHITECTURES,
    "trainable": ("head", "last_stage", "all"),
    "schedule": ("constant", "cosine", "one_cycle"),
    "augment": ("none", "standard", "strong"),
    "class_weights": ("none", "balanced"),
    "group_by": GROUPINGS,
    "known_images": ("train", "any"),
    "precision": ("auto", "fp32", "bf16"),
}
"""What may be said in fields that are no numbers."""

LARGEST_IMAGE = 512
"""Pixels a side of what a network looks at."""

_BOUNDS: dict[str, tuple[float, float]] = {
    "image_size": (32, LARGEST_IMAGE),
    "epochs": (1, 1000),
    "batch_size": (2, 1024),
    "learning_rate": (1e-7, 1.0),
    "weight_decay": (0.0, 1.0),
    "label_smoothing": (0.0, 0.5),
    "ema_decay": (0.0, 0.9999),
    "seed": (0, 2**31 - 1),
    "patience": (0, 1000),
    "threads": (0, 256),
    "workers": (1, 64),
}

# Weights are in the key by their hash, known images by the split that comes of them.
_NOT_IN_THE_KEY = ("threads", "workers", "weights", "known_images")

VARIANTS = 4
"""Stored versions of each image where activations are cached: as it is, and three varied."""


@dataclass(frozen=True)
class Recipe:
    """A training recipe. Fields are checked when one is made; see ``docs/recipes.md``."""

    preset: str = "standard"
    """The preset it was made from; a label."""
    arch: str = "resnet18"
    """A torchvision architecture."""
    weights: str = "auto"
    """Where training starts: auto, imagenet, radiographs, none, or a file."""
    trainable: str = "last_stage"
    """What is trained: head, last_stage (of convolutions, and the head), or all."""
    image_size: int = 224
    """Pixels a side of what the network sees."""
    epochs: int = 8
    batch_size: int = 32
    """Images a step."""
    learning_rate: float = 3e-4
    """The highest rate of the schedule."""
    backbone_rate: float = 1.0
    """Rate of pre-trained parts before the last stage, as a share of ``learning_rate``."""
    weight_decay: float = 0.01
    """AdamW's; not applied to biases and normalisation."""
    schedule: str = "cosine"
    """constant, cosine (to zero), or one_cycle (up for a quarter, then cosine to zero)."""
    augment: str = "standard"
    """none, standard (rotation, scale, shift, brightness, contrast; never a flip), or strong: more
    of each, gamma and blur, borders cut or painted over, corners covered (all trainable only)."""
    progressive: bool = False
    """Train the first epochs on smaller images (all trainable only)."""
    standardise: bool = False
    """Train the head on features of mean 0 and deviation 1 (trainable=head only)."""
    class_weights: str = "none"
    """none, or balanced: weight each class by the inverse of its share."""
    label_smoothing: float = 0.0
    ema_decay: float = 0.0
    """Above 0, a running average of the weights is validated and kept: its share at each step."""
    seed: int = 0
    """Of the split, the head's first weights, the order of images and the augmentation."""
    split: str = "70/10/20"
    """Per cent of images for training, validation and test."""
    group_by: str = "patient"
    """What is never divided between sets: none, patient, near_duplicates or both."""
    exclude_sources: tuple[str, ...] = ()
    """Sources whose images are left out altogether."""
    known_images: str = "train"
    """Images that the starting weights were trained on: train (they are in the training set, never
    in validation or test) or any (dealt as all others are; figures then flatter)."""
    patience: int = 0
    """Stop after so many epochs without a better validation loss; 0: never."""
    precision: str = "auto"
    """fp32, bf16, or auto: bf16 where a short trial shows that it is faster."""
    threads: int = 0
    """CPU threads of a process; 0: all, divided by ``workers``. Not part of a run's identity."""
    workers: int = 1
    """Processes that train together, each with its share of every batch. As ``threads``."""

    def __post_init__(self) -> None:
        """Check every field, and the combinations that can not be trained."""
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise RecipeError(
                    f"{name} can not be “{brief(getattr(self, name))}”: use {', '.join(choices)}."
                )
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if not low <= value <= high:  # NaN too
                raise RecipeError(
                    f"{name} is {brief(value)}; it must lie between {low:g} and {high:g}."
                )
        if not 0 <= self.backbone_rate <= 1:
            raise RecipeError(
                f"backbone_rate is {brief(self.backbone_rate)}; it must lie between 0 and 1."
            )
        if not self.weights.strip():
            raise RecipeError("weights is empty: use auto, imagenet, radiographs, none or a file.")
        if self.progressive and self.trainable != "all":
            raise RecipeError("progressive image sizes need trainable=all.")
        if self.augment == "strong" and self.trainable != "all":
            raise RecipeError(
                "augment=strong needs trainable=all: of stored activations there are only four "
                "versions of an image."
            )
        if self.standardise and self.trainable != "head":
            raise RecipeError("standardise needs trainable=head.")
        if self.workers > 1 and self.batch_size < 2 * self.workers:
            raise RecipeError(
                f"workers is {self.workers}, each with two images of a batch at the least: "
                f"batch_size is {self.batch_size} and must be {2 * self.workers} or more."
            )
        parse_fractions(self.split)

    def with_overrides(self, values: dict[str, str]) -> "Recipe":
        """A recipe with fields replaced by what a user typed, such as ``{"epochs": "3"}``.

        Raises: RecipeError for an unknown field or a value of the wrong kind.
        """
        fields = {field.name: field for field in dataclasses.fields(self)}
        changes = {}
        for name, text in values.items():
            if name not in fields or name == "preset":
                known = ", ".join(sorted(set(fields) - {"preset"}))
                raise RecipeError(f"A recipe has no field “{brief(name)}”; it has {known}.")
            changes[name] = parsed(name, fields[name].type, text)
        return dataclasses.replace(self, **changes)

    def in_words(self) -> str:
        """The preset and what was changed of it: ``quick, seed 1``."""
        start = PRESETS[self.preset].recipe if self.preset in PRESETS else self
        hidden = ("threads", "standardise", "progressive", "backbone_rate")
        changed = [
            f"{name.replace('_', ' ')} {','.join(now) if isinstance(now, tuple) else now}"
            for name, now in self.to_json().items()
            if now != getattr(start, name) and name not in hidden
        ]
        return ", ".join([self.preset, *changed])

    def to_json(self) -> dict[str, Any]:
        """Every field by name, for storage."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Recipe":
        """The inverse of ``to_json``.

        Raises: RecipeError where it is no recipe.
        """
        try:
            made = cls(**{**values, "exclude_sources": tuple(values["exclude_sources"])})
        except (AttributeError, TypeError, KeyError) as error:
            raise RecipeError("This is not a recipe of this version of covidcore.") from error
        for field in dataclasses.fields(cls):
            if not is_a(getattr(made, field.name), field.type):
                raise RecipeError(f"{field.name} is of the wrong kind in this recipe.")
        return made


@dataclass(frozen=True)
class Preset:
    """A named recipe with what it does, in words for a person who has to choose."""

    name: str
    title: str
    trains: str
    gives: str
    """What to expect of it, and what not."""
    recipe: Recipe


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "quick",
            "Quick",
            "Only the last layer, on features that are computed once.",
            "A first look, and what the others have to beat. No augmentation.",
            Recipe(
                preset="quick",
                trainable="head",
                standardise=True,
                epochs=30,
                learning_rate=1e-3,
                augment="none",
                schedule="cosine",
            ),
        ),
        Preset(
            "standard",
            "Standard",
            "The last stage of the network and the last layer, on stored activations.",
            "The usual choice: a little augmentation, four versions of each image.",
            Recipe(preset="standard"),
        ),
        Preset(
            "full",
            "Full",
            "Everything, on smaller images at first; what was learnt early changes slowly.",
            "The most freedom, for the most time: every image is varied anew in each epoch.",
            Recipe(
                preset="full",
                trainable="all",
                epochs=9,
                backbone_rate=0.1,
                schedule="one_cycle",
                progressive=True,
                ema_decay=0.99,
            ),
        ),
        Preset(
            "writeup",
            "Write-up",
            "The last layer of a frozen ImageNet network, as the original notebook did.",
            "For comparison only: split at random, so a patient may be in two sets at once.",
            Recipe(
                preset="writeup",
                weights="imagenet",
                trainable="head",
                epochs=20,
                learning_rate=3e-5,
                weight_decay=0.0,
                schedule="constant",
                augment="none",
                group_by="none",
            ),
        ),
    )
}


def preset(name: str) -> Recipe:
    """The recipe of a preset.

    Raises: RecipeError where there is none of that name.
    """
    if name not in PRESETS:
        raise RecipeError(f"There is no preset “{brief(name)}”: use {', '.join(PRESETS)}.")
    return PRESETS[name].recipe


def run_key(recipe: Recipe, fingerprint: str, split_digest: str, weights_id: str) -> str:
    """What identifies a result: 64 hex digits over everything that it depends on."""
    fields = {k: v for k, v in recipe.to_json().items() if k not in _NOT_IN_THE_KEY}
    key = {
        "schema": 1,
        "training": TRAINING_VERSION,
        "recipe": fields,
        "dataset": fingerprint,
        "split": split_digest,
        "weights": weights_id,
    }
    return storage.sha256_bytes(storage.canonical_json(key))
