"""A few numbers about greys: the same for the same picture at any size, other for what is none."""

import numpy as np
import pytest
from PIL import Image

from covidcore.data.pixels import resize
from covidcore.inference.looks import grey_statistics, is_negative
from covidcore.inference.novelty import Novelty
from tests.inference.test_memory import SIDE, phantom


def squares(first: int, count: int) -> np.ndarray:
    return np.stack([resize(phantom(number), SIDE) for number in range(first, first + count)])


@pytest.fixture(scope="module")
def looks() -> Novelty:
    images = grey_statistics(squares(0, 60))
    return Novelty.fit(images, np.zeros(60, int), grey_statistics(squares(60, 30)))


def checks(side: int) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] // side
    return ((y + x) % 2 * 255).astype(np.uint8)


OTHERS = {
    "noise": np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8),
    "gradient": np.linspace(0, 255, SIDE).astype(np.uint8)[None].repeat(SIDE, 0),
    "checks": checks(14),
    "white with a black square": np.pad(np.zeros((40, 40), np.uint8), 92, constant_values=255),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_radiograph_is_far(looks: Novelty, name: str) -> None:
    assert looks.excess(grey_statistics(OTHERS[name][None]))[0] > 1.5


def test_others_of_their_kind_are_near(looks: Novelty) -> None:
    assert (looks.excess(grey_statistics(squares(200, 40))) < 1.5).all()


def test_one_shade_of_grey_has_statistics_too() -> None:
    assert np.isfinite(grey_statistics(np.full((1, SIDE, SIDE), 7, np.uint8))).all()


def test_negatives() -> None:
    small = [
        np.asarray(Image.fromarray(one).resize((32, 32), Image.Resampling.BOX))
        for one in squares(0, 30)
    ]
    typical = np.mean(small[:20], axis=0)
    assert not any(is_negative(one, typical) for one in small[20:])
    assert all(is_negative(255 - one, typical) for one in small[20:])
    assert not any(is_negative(one, np.zeros((32, 32))) for one in small)
