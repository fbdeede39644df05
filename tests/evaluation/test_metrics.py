"""Our figures against scikit-learn's, on any matrix, also where classes are absent."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covidcore.errors import DataError
from covidcore.evaluation import metrics

CLASSES = ("COVID-19", "NORMAL", "Viral Pneumonia", "Lung Opacity")

answers = st.lists(
    st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1, max_size=40
)


@settings(deadline=None, max_examples=150)
@given(answers)
def test_counts_and_figures_are_those_of_scikit_learn(pairs):
    from sklearn import metrics as reference

    truth, predicted = [t for t, _ in pairs], [p for _, p in pairs]
    labels, present = list(CLASSES), [name for name in CLASSES if name in truth]
    options = {"labels": labels, "average": None, "zero_division": np.nan}

    matrix = metrics.confusion(truth, predicted, CLASSES)

    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(
        matrix, reference.confusion_matrix(truth, predicted, labels=labels)
    )
    np.testing.assert_allclose(
        metrics.recall(matrix), reference.recall_score(truth, predicted, **options)
    )
    np.testing.assert_allclose(
        metrics.precision(matrix), reference.precision_score(truth, predicted, **options)
    )
    expected = reference.f1_score(truth, predicted, **options)
    expected[~np.isin(labels, present)] = np.nan  # no images: no recall, so no F1
    np.testing.assert_allclose(metrics.f1(matrix), expected)
    assert metrics.accuracy(matrix) == pytest.approx(reference.accuracy_score(truth, predicted))
    assert metrics.macro_f1(matrix) == pytest.approx(
        reference.f1_score(truth, predicted, labels=present, average="macro")
    )
    assert metrics.balanced_accuracy(matrix) == pytest.approx(
        reference.recall_score(truth, predicted, labels=present, average="macro")
    )


@settings(deadline=None, max_examples=50)
@given(answers, st.sampled_from(CLASSES))
def test_specificity_is_the_recall_of_the_rest(pairs, name):
    truth = ["it" if t == name else "rest" for t, _ in pairs]
    predicted = ["it" if p == name else "rest" for _, p in pairs]
    matrix = metrics.confusion([t for t, _ in pairs], [p for _, p in pairs], CLASSES)
    of_rest = metrics.recall(metrics.confusion(truth, predicted, ("it", "rest")))[1]
    np.testing.assert_allclose(metrics.specificity(matrix)[CLASSES.index(name)], of_rest)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40))
def test_auc_is_that_of_scikit_learn_with_ties(pairs):
    from sklearn.metrics import roc_auc_score

    positive = np.array([p for p, _ in pairs])
    scores = np.array([s / 5 for _, s in pairs])
    ours = metrics.auc(positive, scores)
    if positive.all() or not positive.any():
        assert math.isnan(ours)
    else:
        assert ours == pytest.approx(roc_auc_score(positive, scores))


def test_class_aucs_and_their_mean_are_scikit_learns_macro():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 200)
    scores = rng.dirichlet([1, 1, 1], 200) + 0.3 * np.eye(3)[truth]
    scores /= scores.sum(axis=1, keepdims=True)
    aucs = metrics.class_aucs(scores, truth)
    expected = roc_auc_score(truth, scores, multi_class="ovr", average="macro")
    assert float(metrics.mean_defined(aucs)) == pytest.approx(expected)


def test_what_has_no_images_is_nan_and_left_out_of_means():
    matrix = metrics.confusion(["a", "a", "b"], ["a", "c", "b"], ["a", "b", "c", "d"])
    np.testing.assert_array_equal(metrics.recall(matrix), [0.5, 1, np.nan, np.nan])
    np.testing.assert_array_equal(metrics.f1(matrix), [2 / 3, 1, np.nan, np.nan])
    np.testing.assert_array_equal(metrics.precision(matrix), [1, 1, 0, np.nan])
    assert metrics.balanced_accuracy(matrix) == 0.75
    only = metrics.confusion(["a"], ["a"], ["a", "b"])
    assert math.isnan(metrics.specificity(only)[0])


def test_a_class_with_images_that_is_never_answered_has_f1_of_zero():
    matrix = metrics.confusion(["a", "b"], ["a", "a"], ["a", "b"])
    assert metrics.f1(matrix)[1] == 0
    assert math.isnan(metrics.precision(matrix)[1])


def test_of_nothing_all_is_nan():
    figures = metrics.figures(metrics.confusion([], [], CLASSES))
    assert list(figures) == ["accuracy", "balanced_accuracy", "macro_f1"]
    assert all(math.isnan(value) for value in figures.values())
    assert math.isnan(metrics.mean_cross_entropy(np.zeros((0, 3)), np.zeros(0, dtype=np.int64)))


def test_stacked_matrices_reduce_as_single_ones():
    stack = np.random.default_rng(0).integers(0, 9, (5, 3, 3))
    for measure in (metrics.recall, metrics.precision, metrics.f1, metrics.specificity):
        single = [measure(matrix) for matrix in stack]
        np.testing.assert_array_equal(measure(stack), single)


def test_unknown_names_and_unequal_lengths_are_refused():
    with pytest.raises(DataError, match="'cat' is not one of the classes a, b"):
        metrics.confusion(["cat"], ["a"], ["a", "b"])
    with pytest.raises(DataError, match="2 truths do not go with 1 answers"):
        metrics.confusion(["a", "a"], ["a"], ["a", "b"])


def test_cross_entropy_is_the_logarithm_of_the_true_share_even_for_huge_logits():
    logits = np.log([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    losses = metrics.cross_entropy(logits, np.array([0, 1]))
    np.testing.assert_allclose(losses, -np.log([0.7, 0.1]))
    assert metrics.mean_cross_entropy(logits, np.array([0, 1])) == pytest.approx(losses.mean())
    np.testing.assert_allclose(metrics.cross_entropy([[1e4, -1e4]], np.array([1])), [2e4])
