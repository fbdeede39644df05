"""What is refused before a model sees it."""

import numpy as np
import pytest

from covidcore.inference.gate import check
from tests.pictures import picture


@pytest.mark.parametrize("grey", [0, 7, 128, 255])
def test_one_shade_of_grey_is_blank(grey: int) -> None:
    refusal = check(np.full((64, 48), grey, dtype=np.uint8))
    assert refusal is not None
    assert refusal.code == "blank"
    assert refusal.reason.endswith(".")


def test_a_speck_of_dust_and_faint_noise_are_still_blank() -> None:
    image = np.full((64, 64), 200, dtype=np.uint8)
    image[:2, :10] = 0
    assert check(image) is not None
    noise = np.random.default_rng(0).integers(100, 103, (64, 64), dtype=np.uint8)
    assert check(noise) is not None


@pytest.mark.parametrize("seed", range(5))
def test_a_picture_is_not_blank(seed: int) -> None:
    assert check(picture(seed)) is None
    assert check(picture(seed) // 16 + 100) is None  # faint, but something
