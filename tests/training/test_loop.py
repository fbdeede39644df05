"""The loop: seeded to the bit, resumable at any step, and it learns what can be learned."""

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from covidcore.model.network import Tail
from covidcore.model.preprocess import Preprocessing
from covidcore.training.batches import PixelBatches
from covidcore.training.loop import (
    EpochResult,
    Step,
    Validating,
    fit,
    learning_rate_factor,
    make_optimiser,
    seeded,
)
from covidcore.training.recipe import Recipe

SPEC = Preprocessing(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
RECIPE = Recipe(
    trainable="all", image_size=32, epochs=4, batch_size=12, learning_rate=1e-2, precision="fp32"
)
IMAGES = 48


def batches(size: int = IMAGES, varied: bool = True, unequal: bool = False) -> PixelBatches:
    """Class k is bright in the k-th third of the image; a third of the images validates."""
    rng = np.random.default_rng(0)
    labels = np.arange(size) % 3
    if unequal:
        labels[labels == 2] = np.where(np.arange((labels == 2).sum()) % 4, 0, 2)
    pixels = rng.integers(40, 80, (size, 32, 32), dtype=np.uint8)
    for row, label in enumerate(labels):
        pixels[row, 11 * label : 11 * label + 10] += 120
    rows = rng.permutation(size)
    return PixelBatches(
        pixels,
        SPEC,
        "standard" if varied else "none",
        (32,) * 50,
        labels=labels,
        train_rows=rows[size // 3 :],
        val_rows=rows[: size // 3],
        classes=3,
    )


def network(seed: int = 0) -> Tail:
    """A small network with everything that could break a repetition: dropout, normalisation."""
    torch.manual_seed(seed)
    tail = Tail(
        nn.Conv2d(3, 8, 5, stride=4, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(1),
        nn.Dropout(0.3),
        nn.Linear(8 * 7 * 7, 3),
    )
    return tail.to(memory_format=torch.channels_last)


def train(
    tail: nn.Sequential, data: PixelBatches, recipe: Recipe = RECIPE, precision: str = "fp32"
) -> list[EpochResult]:
    events = fit(tail, data, recipe, make_optimiser(tail, recipe), precision)
    return [event for event in events if isinstance(event, EpochResult)]


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_twice_is_the_same_to_the_bit() -> None:
    first, second = network(), network()
    history = train(first, batches())
    torch.manual_seed(99)  # whatever happened to the global generator before
    again = train(second, batches())
    assert again == history
    assert same(first, second)


def test_another_seed_is_another_training() -> None:
    first, second = network(), network()
    train(first, batches())
    train(second, batches(), replace(RECIPE, seed=1))
    assert not same(first, second)


@pytest.mark.parametrize("stop", [(1, 0), (2, 2), (3, 3), (4, 1)])
@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_resuming_is_the_same_to_the_bit(stop: tuple[int, int], schedule: str) -> None:
    recipe = replace(RECIPE, schedule=schedule, label_smoothing=0.1)
    whole = network()
    history = train(whole, batches(), recipe)

    tail = network()
    optimiser = make_optimiser(tail, recipe)
    first, at = [], Step()
    for event in fit(tail, batches(), recipe, optimiser, "fp32"):
        if isinstance(event, EpochResult):
            first.append(event)
            at = Step(event.epoch + 1)
        elif isinstance(event, Step):
            at = event
        if (at.epoch - 1, at.step) == (stop[0], 0) or (at.epoch, at.step) == stop:
            break
    kept = copy.deepcopy((tail.state_dict(), optimiser.state_dict()))
    tail = network(seed=5)
    optimiser = make_optimiser(tail, recipe)
    tail.load_state_dict(kept[0])
    optimiser.load_state_dict(kept[1])
    rest = fit(tail, batches(), recipe, optimiser, "fp32", at)
    second = [event for event in rest if isinstance(event, EpochResult)]
    assert first + second == history
    assert same(tail, whole)


def test_validation_is_told_as_it_goes() -> None:
    tail, data = network(), batches(300)
    events = fit(tail, data, replace(RECIPE, epochs=1), make_optimiser(tail, RECIPE), "fp32")
    told = [event for event in events if isinstance(event, Validating)]
    assert [event.images for event in told] == [64, 100]
    assert {event.of for event in told} == {100}


def test_it_learns_what_is_plain_to_see() -> None:
    tail = network()
    history = train(tail, batches(), replace(RECIPE, epochs=12, learning_rate=1e-3))
    assert history[-1].val_accuracy == 1.0
    assert history[-1].val_loss < 0.5 * history[0].val_loss


def test_bf16_ends_where_fp32_does() -> None:
    recipe = replace(RECIPE, epochs=6, learning_rate=1e-3)
    full, half = network(), network()
    exact, rough = train(full, batches(), recipe)[-1], train(half, batches(), recipe, "bf16")[-1]
    assert half[0].weight.dtype == torch.float32  # the weights themselves keep their digits
    assert not same(full, half)
    assert abs(exact.val_loss - rough.val_loss) < 0.1
    assert abs(exact.val_accuracy - rough.val_accuracy) <= 1 / 16


@pytest.mark.parametrize(
    "recipe",
    [
        replace(RECIPE, class_weights="balanced"),
        replace(RECIPE, label_smoothing=0.3),
        replace(RECIPE, class_weights="balanced", label_smoothing=0.3),
    ],
    ids=lambda recipe: f"{recipe.class_weights} {recipe.label_smoothing}",
)
def test_weights_and_smoothing_shape_the_training_loss_alone(recipe: Recipe) -> None:
    still = {"learning_rate": 1e-7, "epochs": 1}
    data = batches(unequal=True)
    plain = train(network(), data, replace(RECIPE, **still))[0]
    tail = network()
    shaped = train(tail, data, replace(recipe, **still))[0]
    assert abs(shaped.train_loss - plain.train_loss) > 0.01
    assert shaped.val_loss == pytest.approx(plain.val_loss, rel=1e-4)
    with torch.no_grad():
        images, labels = data.validation(0)
        by_hand = functional.cross_entropy(tail.eval()(images), labels).item()
    assert shaped.val_loss == pytest.approx(by_hand, rel=1e-5)


def test_balanced_weights_make_classes_count_alike() -> None:
    """With a constant answer, the weighted loss of an epoch is the mean over classes."""
    data = batches(unequal=True)
    assert len(set(data.class_counts.tolist())) > 1
    tail = nn.Sequential(nn.Flatten(1), nn.Linear(3 * 32 * 32, 3))
    with torch.no_grad():
        tail[1].weight.zero_()
        tail[1].bias.copy_(torch.tensor([0.0, 1.0, 2.0]))
    recipe = replace(
        RECIPE, class_weights="balanced", learning_rate=1e-7, epochs=1, batch_size=1024
    )
    result = train(tail, data, recipe)[0]
    expected = -functional.log_softmax(torch.tensor([0.0, 1.0, 2.0]), 0).mean().item()
    assert result.train_loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("images", "batch_size", "steps"), [(48, 12, 3), (48, 1024, 1), (15, 4, 3), (15, 2, 5)]
)
def test_every_image_is_met_once_an_epoch(images: int, batch_size: int, steps: int) -> None:
    data, seen = batches(images), []
    draw = data.train

    class Watched(PixelBatches):
        def train(
            self, rows: torch.Tensor, epoch: int, generator: torch.Generator, share: slice
        ) -> torch.Tensor:
            seen.append((epoch, rows[share].tolist()))
            return draw(rows, epoch, generator, share)

    data.__class__ = Watched
    recipe = replace(RECIPE, epochs=2, batch_size=batch_size)
    tail = network()
    events = list(fit(tail, data, recipe, make_optimiser(tail, recipe), "fp32"))
    for epoch in (1, 2):
        of_epoch = [event for event in events if event.epoch == epoch]
        walked = [event for event in of_epoch if isinstance(event, Step)]
        assert [event.step for event in walked] == list(range(1, steps + 1))
        assert {event.steps for event in walked} == {steps}
        assert sum(event.images for event in walked) == data.train_size
        assert min(event.images for event in walked) >= 2
        assert isinstance(of_epoch[-1], EpochResult)
        met = [row for of, rows in seen if of == epoch for row in rows]
        assert sorted(met) == list(range(data.train_size))
    assert seen[0][1] != seen[steps][1]


def test_a_step_of_one_image_is_never_taken() -> None:
    """Normalisation over a single value would end the training."""
    tail = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3), nn.Flatten(1), nn.Linear(3, 3))
    history = train(tail, batches(15), replace(RECIPE, batch_size=3, epochs=1))
    odd = train(tail, batches(7), replace(RECIPE, batch_size=2, epochs=1))
    assert all(math.isfinite(result.train_loss) for result in history + odd)


def steps_of(recipe: Recipe) -> Iterator[tuple[Step | Validating | EpochResult, list[float]]]:
    tail = network()
    tail.early = 1
    optimiser = make_optimiser(tail, recipe)
    for event in fit(tail, batches(), recipe, optimiser, "fp32"):
        yield event, [group["lr"] for group in optimiser.param_groups]


def test_rates_follow_the_schedule_and_early_parts_their_share() -> None:
    recipe = replace(RECIPE, schedule="one_cycle", backbone_rate=0.25, epochs=4)
    number = 0
    for event, rates in steps_of(recipe):
        if isinstance(event, Step):
            rate = recipe.learning_rate * learning_rate_factor("one_cycle", number / 12)
            number += 1
            assert max(rates) == pytest.approx(rate)
            assert min(rates) == pytest.approx(rate * 0.25)
        elif isinstance(event, EpochResult):
            assert event.learning_rate == pytest.approx(max(rates))
    assert number == 12


@pytest.mark.parametrize("early", [0, 1, 2])
def test_decay_is_for_matrices_and_early_parts_learn_at_their_share(early: int) -> None:
    tail = network()
    tail.early = early
    optimiser = make_optimiser(tail, replace(RECIPE, weight_decay=0.05, backbone_rate=0.25))
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(
        list(tail.parameters())
    )
    slow = {id(parameter) for part in tail[:early] for parameter in part.parameters()}
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0)
            assert group["scale"] == (0.25 if id(parameter) in slow else 1)


def test_the_caller_may_stop_at_any_yield() -> None:
    tail = network()
    for event in fit(tail, batches(), RECIPE, make_optimiser(tail, RECIPE), "fp32"):
        assert isinstance(event, Step)
        break
    assert all(torch.isfinite(parameter).all() for parameter in tail.parameters())


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_rates_stay_between_nothing_and_the_highest(schedule: str) -> None:
    shares = [learning_rate_factor(schedule, n / 200) for n in range(201)]
    assert max(shares) == pytest.approx(1)
    assert min(shares) >= 0
    jumps = [abs(a - b) for a, b in itertools.pairwise(shares)]
    assert max(jumps) < 0.05


def test_shapes_of_the_schedules() -> None:
    assert learning_rate_factor("constant", 0.9) == 1
    assert learning_rate_factor("cosine", 0) == 1
    assert learning_rate_factor("cosine", 0.5) == pytest.approx(0.5)
    assert learning_rate_factor("cosine", 1) == pytest.approx(0)
    assert learning_rate_factor("one_cycle", 0) == pytest.approx(1 / 25)
    assert learning_rate_factor("one_cycle", 0.25) == pytest.approx(1)
    assert learning_rate_factor("one_cycle", 1) == pytest.approx(0)


def test_seeds_do_not_run_into_one_another() -> None:
    parts = [(0,), (1,), (0, 1), (1, 0), (0, 0, 1), (11,), (1, 1), (0, 11), (0, 1, 1)]
    draws = {tuple(torch.randint(2**31, (4,), generator=seeded(*one)).tolist()) for one in parts}
    assert len(draws) == len(parts)
