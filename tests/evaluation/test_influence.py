"""How many images are one witness."""

import numpy as np
import pytest

from covidcore.evaluation.influence import correlations, design_effects, group_sums, variances


def of_share(right, codes):
    """Influences of a share of right answers, which images it is of, and their groups."""
    hits = np.asarray(right, dtype=float)
    return ((hits - hits.mean()) / len(hits))[:, None], np.ones((len(hits), 1), bool), codes


def test_sums_of_groups():
    codes = np.array([1, 0, 1])
    assert group_sums(np.arange(6).reshape(3, 2), codes).tolist() == [[2, 3], [4, 6]]
    assert group_sums(np.zeros((0, 2)), codes[:0]).shape == (0, 2)


def test_the_variance_of_a_share_is_the_textbook_one():
    influence, counted, codes = of_share([1, 1, 1, 0], np.arange(4))
    effects = design_effects(influence, counted, codes)
    assert effects.tolist() == [1]
    # p (1 - p) / (n - 1)
    assert variances(influence, counted, effects) == pytest.approx([0.75 * 0.25 / 3])


def test_films_that_agree_are_one_witness_and_films_that_differ_are_no_more_than_they_are():
    pairs = np.repeat(np.arange(300), 2)
    right = np.random.default_rng(0).random(300) < 0.7
    assert design_effects(*of_share(np.repeat(right, 2), pairs)) == pytest.approx([2], rel=0.01)
    opposite = np.stack([right, ~right], axis=1).ravel()
    assert design_effects(*of_share(opposite, pairs)).tolist() == [1]


@pytest.mark.parametrize("right", [np.ones(6), np.zeros(6)])
def test_where_all_answers_are_alike_a_group_is_one_witness(right):
    # Groups of 3, 2 and 1 images: an image is in one of (9 + 4 + 1) / 6 on average.
    codes = np.array([0, 0, 0, 1, 1, 2])
    assert design_effects(*of_share(right, codes)) == pytest.approx([14 / 6])


def test_one_group_is_one_witness_whatever_its_answers():
    assert design_effects(*of_share([1, 0, 1, 1], np.zeros(4, int))).tolist() == [4]


def test_correlations_are_those_of_the_sums_of_groups():
    influence = np.array([[1, 1, 0], [-1, -1, 0], [1, -1, 0], [-1, 1, 0]], dtype=float)
    apart = correlations(influence, np.arange(4), unknown=0.5)
    assert apart.tolist() == [[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 1]]
    joined = correlations(influence, np.array([0, 1, 2, 2]), unknown=0)
    assert joined[0, 1] == pytest.approx(1)


def test_it_is_what_leaving_out_one_patient_at_a_time_gives():
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(30), rng.integers(1, 9, 30))
    right = rng.random(30)[codes] < 0.6
    spreads = []
    for members in (codes, np.arange(len(codes))):  # patients, then images
        without = [right[members != one].mean() for one in np.unique(members)]
        count = len(without)
        spreads.append((count - 1) / count * sum((x - right.mean()) ** 2 for x in without))
    assert design_effects(*of_share(right, codes)) == pytest.approx([spreads[0] / spreads[1]])
