"""Distances to what a model knows, and from where on they are too far."""

import numpy as np
import pytest

from covidcore.inference.novelty import LEAST, Novelty

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(6, 6))
CENTRES = np.array([[0.0] * 6, [30.0] * 6])


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes of one covariance, far from a multiple of the unit matrix."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return rng.normal(size=(count, 6)) @ MIX + CENTRES[labels], labels


@pytest.fixture(scope="module")
def novelty() -> Novelty:
    return Novelty.fit(*drawn(2000, 1), drawn(1000, 2)[0])


def test_distances_are_mahalanobis_to_the_closest_class(novelty: Novelty) -> None:
    vectors, labels = drawn(200, 3)
    precision = np.linalg.inv(MIX.T @ MIX)
    apart = vectors - CENTRES[labels]
    expected = np.sqrt(np.einsum("nf,fg,ng->n", apart, precision, apart))
    np.testing.assert_allclose(novelty.distance(vectors), expected, rtol=0.15, atol=0.15)


def test_one_in_a_hundred_is_beyond_the_threshold(novelty: Novelty) -> None:
    beyond = (novelty.excess(drawn(4000, 4)[0]) > 1).mean()
    assert 0.003 < beyond < 0.02


def test_what_is_between_two_classes_is_of_neither(novelty: Novelty) -> None:
    assert novelty.excess(CENTRES.mean(axis=0)[None])[0] > 1
    assert novelty.excess(CENTRES).max() < 0.2


def test_a_small_step_against_the_grain_is_far(novelty: Novelty) -> None:
    """The direction in which images do not vary counts, not the length of the step."""
    narrow = np.linalg.svd(MIX)[2][-1]
    wide = np.linalg.svd(MIX)[2][0]
    assert novelty.distance(5 * narrow[None])[0] > 2 * novelty.distance(5 * wide[None])[0]


def test_fewer_images_than_numbers_in_a_vector() -> None:
    rng = np.random.default_rng(5)
    few = rng.normal(size=(30, 200))
    made = Novelty.fit(few, np.arange(30) % 3, rng.normal(size=(40, 200)))
    assert np.isfinite(made.whitening).all() and np.isfinite(made.threshold)
    assert (made.excess(rng.normal(size=(50, 200))) <= 1).mean() > 0.8
    assert (made.excess(rng.normal(size=(50, 200)) + 5) > 1).all()


def test_features_that_never_vary_are_no_obstacle() -> None:
    vectors, labels = drawn(100, 6)
    vectors[:, 0] = 7
    made = Novelty.fit(vectors, labels, vectors[:50])
    assert np.isfinite(made.distance(vectors)).all()
    same = np.ones((30, 4))
    assert np.isfinite(Novelty.fit(same, np.zeros(30, int), same).distance(same)).all()


def test_too_few_validation_images_set_no_threshold() -> None:
    vectors, labels = drawn(100, 7)
    none = Novelty.fit(vectors, labels, vectors[: LEAST - 1])
    assert none.threshold == np.inf and none.excess(vectors + 1e6).max() == 0
    some = Novelty.fit(vectors, labels, drawn(LEAST, 8)[0])
    assert some.threshold >= some.distance(drawn(LEAST, 8)[0]).max() * 0.9
    assert (some.excess(drawn(1000, 9)[0]) > 1).mean() < 0.1
