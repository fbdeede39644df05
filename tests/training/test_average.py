"""The average of the weights: what it is after so many steps, and that it is what is validated."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from covidcore.training.average import Average, average_of
from covidcore.training.loop import EpochResult, Step, fit, make_optimiser
from tests.training.test_loop import RECIPE, batches, network


class Counted(nn.Module):
    weight: torch.Tensor
    met: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(-1.0))
        self.register_buffer("mean", torch.tensor(-1.0))
        self.register_buffer("met", torch.tensor(0))


def after(values: list[float], decay: float) -> Counted:
    trained = Counted()
    average = Average(trained, decay)
    for step, value in enumerate(values, start=1):
        trained.weight.data.fill_(value)
        trained.mean.fill_(10 * value)
        trained.met += 1
        average.follow(trained, step)
    assert isinstance(average.network, Counted)
    return average.network


def test_it_begins_as_the_plain_mean_and_forgets_what_it_began_with() -> None:
    kept = after([2.0, 4.0, 9.0], decay=0.9)
    assert kept.weight.item() == pytest.approx(5.0)
    assert kept.mean.item() == pytest.approx(50.0)
    assert kept.met.item() == 3
    assert not kept.weight.requires_grad


def test_it_goes_on_as_an_exponential_one() -> None:
    kept = after([1.0, 3.0, 10.0, 20.0], decay=0.5)
    assert kept.weight.item() == pytest.approx(0.5 * (0.5 * 2.0 + 0.5 * 10.0) + 0.5 * 20.0)


def test_none_where_the_recipe_asks_for_none() -> None:
    assert average_of(network(), RECIPE) is None


def test_the_average_is_what_is_validated_and_training_goes_on_as_without_it() -> None:
    """At a rate at which the weights jump about."""
    recipe = replace(RECIPE, epochs=3, ema_decay=0.9)
    alone, followed = network(), network()
    average = average_of(followed, recipe)
    assert average is not None
    plain = list(fit(alone, batches(), recipe, make_optimiser(alone, recipe), "fp32"))
    events = fit(
        followed, batches(), recipe, make_optimiser(followed, recipe), "fp32", average=average
    )
    for event, other in zip(events, plain, strict=True):
        if isinstance(event, Step):
            assert event == other
        if isinstance(event, EpochResult):
            assert isinstance(other, EpochResult)
            assert event.train_loss == other.train_loss
            assert event.val_loss != other.val_loss
            images, labels = batches().validation(0)
            with torch.no_grad():
                loss = nn.functional.cross_entropy(average.network(images), labels)
            assert loss.item() == pytest.approx(event.val_loss, rel=1e-5)
    for one, other_one in zip(alone.parameters(), followed.parameters(), strict=True):
        assert torch.equal(one, other_one)
