"""Many heads at once are what each would be by itself, as the training loop has it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from covidcore.model.network import Standardise, Tail
from covidcore.training.batches import ActivationBatches
from covidcore.training.heads import first_weights, train_heads
from covidcore.training.loop import fit, make_optimiser
from covidcore.training.recipe import Recipe, preset

IMAGES, FEATURES, CLASSES = 70, 12, 3
QUICK = replace(preset("quick"), epochs=4, batch_size=8, learning_rate=0.02, weight_decay=0.1)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, IMAGES)
    features = rng.normal(5, 3, (IMAGES, FEATURES)) * rng.uniform(0.1, 4, FEATURES)
    features[:, :CLASSES] += 15 * np.eye(CLASSES)[labels]
    features[:, -1] = 7  # does not vary
    return features.astype(np.float16), labels


def by_the_loop(
    features: np.ndarray, labels: np.ndarray, seen: np.ndarray, recipe: Recipe
) -> np.ndarray:
    """Logits of one head that the program's own loop has trained."""
    rows = np.flatnonzero(seen)
    batches = ActivationBatches(
        [features], recipe.seed, labels=labels, train_rows=rows, val_rows=rows[:1], classes=CLASSES
    )
    head = nn.Linear(FEATURES, CLASSES)
    weight, bias = first_weights(FEATURES, CLASSES, recipe.seed)
    with torch.no_grad():
        head.weight.copy_(weight.T)
        head.bias.copy_(bias)
    tail = Tail(*([Standardise(batches.plain(rows))] if recipe.standardise else []), head)
    for _ in fit(tail, batches, recipe, make_optimiser(tail, recipe), "fp32"):
        pass
    with torch.inference_mode():
        return tail.eval()(batches.plain(np.arange(IMAGES))).numpy()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"standardise": False, "learning_rate": 1e-3, "schedule": "constant", "weight_decay": 0.0},
        {"class_weights": "balanced", "label_smoothing": 0.1, "schedule": "one_cycle"},
        {"batch_size": 64, "seed": 3},
    ],
    ids=["quick", "as in the write-up", "weighted and smoothed", "two steps"],
)
def test_each_is_what_the_loop_makes_of_it(
    data: tuple[np.ndarray, np.ndarray], changes: dict[str, object]
) -> None:
    recipe = replace(QUICK, **changes)
    rng = np.random.default_rng(1)
    seen = rng.random((4, IMAGES)) < np.array([0.8, 0.5, 0.5, 0.9])[:, None]
    found = train_heads(*data, seen, CLASSES, recipe)
    assert found.shape == (4, IMAGES, CLASSES)
    for one, rows in zip(found, seen, strict=True):
        assert one == pytest.approx(by_the_loop(*data, rows, recipe), abs=2e-3)


def test_they_learn_and_do_not_look_at_what_they_shall_not_see(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    features, labels = data
    seen = np.arange(IMAGES)[None] < 50
    found = train_heads(features, labels, seen, CLASSES, replace(QUICK, epochs=30))
    assert (found[0, :50].argmax(1) == labels[:50]).mean() > 0.9
    others = labels.copy()
    others[50:] = 0
    changed = features.copy()
    changed[50:] = 0
    again = train_heads(changed, others, seen, CLASSES, replace(QUICK, epochs=30))
    assert (again[0, :50] == found[0, :50]).all()


def test_progress_counts_every_step(data: tuple[np.ndarray, np.ndarray]) -> None:
    told: list[tuple[int, int]] = []
    seen = np.stack([np.arange(IMAGES) < 50, np.arange(IMAGES) < 20])
    train_heads(*data, seen, CLASSES, QUICK, lambda done, total: told.append((done, total)))
    total = 4 * (7 + 3)
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_a_class_that_is_never_seen_leaves_the_others_alone(
    data: tuple[np.ndarray, np.ndarray], weights: str
) -> None:
    features, labels = data
    seen = (labels != 1)[None]
    recipe = replace(QUICK, epochs=12, class_weights=weights, label_smoothing=0.1)
    logits = train_heads(features, labels, seen, CLASSES, recipe)[0]
    assert np.isfinite(logits).all()
    answers = logits[:, [0, 2]].argmax(axis=1) * 2
    assert (answers == labels)[seen[0]].mean() > 0.9
