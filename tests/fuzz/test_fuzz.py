"""A short run of the fuzzer at each door; what longer runs have found stays tried."""

import random

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, kept

TRIES = {"image": 400, "dicom": 400, "archive": 120, "contract": 400, "recipe": 600}


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_worth_keeping_is_still_answered(name: str) -> None:
    for data in kept(name):
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run(name: str) -> None:
    target, chance = TARGETS[name], random.Random(8)
    seeds = [*target.seeds(), *kept(name)]
    taken = sum(target.run(seed) for seed in seeds)
    assert taken  # or nothing behind the first check would be tried
    refused = sum(not target.run(mutated(seeds, chance, target.kind)) for _ in range(TRIES[name]))
    assert refused
