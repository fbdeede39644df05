"""Each stored file, one at a time, removed, emptied, cut, of a flipped bit, of junk.

Whoever reads it says what was so before, nothing, or a sentence: never another number. With more
flipped bits, and all pages, ``python -m benchmarks.damage`` does the same.
"""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import damage, readers
from tests.faults.readers import Home
from tests.once import once
from tests.runs import SHORT, trained

RECIPE = replace(SHORT, arch="mobilenet_v3_large")  # of the smallest files


@pytest.fixture(scope="module")
def whole(phantoms: Path) -> Home:
    """Not to be written to."""
    one = trained(phantoms, RECIPE)
    made = once("home-to-damage", lambda to: readers.make(one.settings.home, to, phantoms))
    return Home.at(made / "home", phantoms)


def test_no_harmed_file_changes_a_number(whole: Home, tmp_path: Path) -> None:
    home = whole.copied(tmp_path / "home")
    chance = random.Random(8)
    faults = damage.harm_all(whole, home, damage.files(whole.path), chance, flips=1)
    assert not list(faults)
