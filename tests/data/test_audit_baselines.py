"""Rules without lungs: they find what was planted, and nothing in noise."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from covidcore.data.audit_baselines import (
    FOLDS,
    _forest,
    baseline,
    border_features,
    folds,
    header_features,
)


def labels(*counts: int) -> pd.Series:
    return pd.Series(np.repeat([f"class {at}" for at in range(len(counts))], counts))


def test_folds_keep_groups_whole_and_classes_spread() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [300, 60, 140])
    groups = np.concatenate(
        [1000 * c + rng.integers(0, n // 2, n) for c, n in enumerate((300, 60, 140))]
    )
    fold = folds(truth, groups, 5, seed=1)
    assert pd.Series(fold).groupby(groups).nunique().max() == 1
    counts = pd.crosstab(fold, truth)
    assert counts.shape == (5, 3)
    assert (counts.max() - counts.min()).max() <= 4
    assert not np.array_equal(fold, folds(truth, groups, 5, seed=2))
    np.testing.assert_array_equal(fold, folds(truth, groups, 5, seed=1))


def test_what_a_file_says_before_a_pixel_is_seen() -> None:
    index = pd.DataFrame(
        {"width": [100, 50], "height": [50, 50], "bytes": [5000, 250], "mode": ["L", "RGB"]}
    )
    np.testing.assert_allclose(
        header_features(index),
        [[100, 50, 2, 5000, 1, 1, 0], [50, 50, 1, 250, 0.1, 0, 1]],
        rtol=1e-6,
    )


def test_the_border_is_the_outer_twentieth_and_nothing_else() -> None:
    grey = np.full((2, 200, 200), 100, np.uint8)
    grey[1, 10:-10, 10:-10] = np.random.default_rng(0).integers(0, 256, (180, 180))
    drawn = border_features(grey)
    assert drawn.shape == (2, 2 * 4 * 14)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], [100] * 56 + [0] * 56)
    for side in range(4):  # top, bottom, left, right, as they stand in the features
        one = np.rot90(grey[0], (0, 2, 3, 1)[side]).copy()
        one[:10] = 200
        one = np.rot90(one, -(0, 2, 3, 1)[side])
        changed = border_features(one[None])[0, :56].reshape(4, 14) > 195
        assert changed.all(axis=1).tolist() == [at == side for at in range(4)]


def test_a_planted_cue_is_found_and_by_class() -> None:
    truth = labels(100, 100, 50)
    rng = np.random.default_rng(0)
    features = rng.standard_normal((250, 6))
    features[:100, 2] += 6
    found = baseline(features, truth, np.arange(250))
    assert found["per_class"]["class 0"]["recall"] > 0.97
    assert found["per_class"]["class 0"]["precision"] > 0.97
    assert found["per_class"]["class 1"]["n"] == 100
    assert found["accuracy"] > 0.6
    low, high = found["accuracy_ci"]
    assert 0.4 < low < found["accuracy"] < high < 1
    assert found["majority_accuracy"] == 0.4
    assert (found["n"], found["groups"], found["folds"]) == (250, 250, FOLDS)


@pytest.mark.parametrize("seed", range(3))
def test_noise_tells_nothing(seed: int) -> None:
    features = np.random.default_rng(seed).standard_normal((240, 10))
    found = baseline(features, labels(80, 80, 80), np.arange(240), seed)
    assert found["accuracy_ci"][0] < 1 / 3 < found["accuracy_ci"][1] + 0.05


def test_what_a_patient_looks_like_does_not_count() -> None:
    """Each patient's images are alike and tell nothing of another's: only memory would help."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(60), 4)
    features = rng.standard_normal((60, 8))[patients] + 0.01 * rng.standard_normal((240, 8))
    truth = pd.Series(np.array(["a", "b"])[patients % 2])
    honest = baseline(features, truth, patients)
    fooled = baseline(features, truth, np.arange(240))
    assert fooled["accuracy"] > 0.95
    assert honest["accuracy"] < 0.7
    width = honest["accuracy_ci"][1] - honest["accuracy_ci"][0]
    assert width > 1.5 * (1 / math.sqrt(240))  # 60 patients are 60 witnesses


def test_a_class_of_one_group_can_not_be_judged() -> None:
    truth = labels(30, 3)
    found = baseline(np.zeros((33, 2)), truth, np.array([*range(30), 99, 99, 99]))
    assert math.isnan(found["accuracy"]) and math.isnan(found["accuracy_ci"][0])
    assert (found["folds"], found["per_class"]) == (0, {})


@pytest.mark.parametrize("seed", range(3))
def test_answers_are_those_of_extra_trees(seed: int) -> None:
    """Ties among them: half of the features are whole numbers."""
    from sklearn.ensemble import ExtraTreesClassifier

    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat([0, 1, 2], [30, 50, 20]))
    features = (rng.normal(size=(100, 6)) + 0.7 * truth[:, None]).astype(np.float32)
    features[:, :3] = features[:, :3].round()
    asked = rng.permutation(features)[:60] + rng.integers(0, 2, (60, 6), dtype=np.int64)
    forest = ExtraTreesClassifier(40, min_samples_leaf=3, random_state=seed).fit(features, truth)
    with ThreadPoolExecutor(3) as pool:
        answers = _forest(features, truth, asked, seed, pool)
    np.testing.assert_array_equal(answers, forest.predict(asked))
    assert len(np.unique(answers)) == 3


def test_progress_counts_folds() -> None:
    seen: list[tuple[int, int]] = []
    baseline(
        np.zeros((20, 1)),
        labels(10, 10),
        np.arange(20),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, FOLDS) for done in range(1, FOLDS + 1)]
