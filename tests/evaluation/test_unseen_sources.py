"""Who learns and who is tested when a source is left out, and what is said of the answers."""

import numpy as np
import pytest

from covidcore.errors import DataError
from covidcore.evaluation import unseen_sources

CLASSES = ("COVID-19", "NORMAL")


def four(truth: list[int]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Twenty images of A, twenty of B, each its own group."""
    return ["A"] * 20 + ["B"] * 20, np.tile(truth, 20), np.arange(40)


def test_a_source_is_tested_by_who_has_not_seen_it_nor_its_relatives() -> None:
    sources, truth, groups = four([0, 1])
    sources[5] = sources[39] = ""
    groups = groups.copy()
    groups[38] = groups[0]  # a copy of an image of A that says it is of B
    a, b = unseen_sources.deal(sources, truth, groups)
    assert (a.source, b.source) == ("A", "B")
    assert np.flatnonzero(a.tested).tolist() == [at for at in range(20) if at != 5]
    assert np.flatnonzero(a.seen).tolist() == list(range(20, 38))
    assert 0 not in np.flatnonzero(b.seen) and 5 not in np.flatnonzero(b.seen)
    assert a.learnt == (0, 1) and a.only_answer is None


def test_where_it_can_not_be_done_it_says_why() -> None:
    truth, groups = np.tile([0, 1], 5), np.arange(10)
    with pytest.raises(DataError, match="No image has a source"):
        unseen_sources.deal([""] * 10, truth, groups)
    with pytest.raises(DataError, match="come from “A”: without it there is nothing to learn from"):
        unseen_sources.deal(["A"] * 9 + [""], truth, groups)


def test_what_there_is_to_answer_without_two_classes() -> None:
    sources = ["A"] * 20 + ["B"] * 20
    truth = np.repeat([0, 1], 20)
    a, b = unseen_sources.deal(sources, truth, np.arange(40))
    assert (a.only_answer, b.only_answer) == (1, 0)
    (same, _) = unseen_sources.deal(sources, truth, np.tile(np.arange(20), 2))
    assert same.only_answer == -1  # all others are its relatives


def found_of(answers: np.ndarray, reference: np.ndarray, sources, truth, groups) -> dict:
    left = unseen_sources.deal(sources, truth, groups)
    return unseen_sources.figures(left, truth, answers, reference, groups, CLASSES)


def test_a_head_that_goes_by_the_source_falls() -> None:
    sources, truth, groups = four([0, 1])
    found = found_of(1 - truth, truth, sources, truth, groups)
    assert (found["accuracy"], found["reference"]["accuracy"]) == (0, 1)
    assert found["lost"]["difference"] == 1
    assert found["finding"] == "falls"
    assert "goes by the source" in found["verdict"]
    assert "0.0 % of 40 images" in found["verdict"] and "-100.0 points" in found["verdict"]
    assert [one["source"] for one in found["sources"]] == ["A", "B"]
    assert found["sources"][0]["classes"] == {"COVID-19": 10, "NORMAL": 10}


def test_a_head_that_does_not_holds() -> None:
    sources, truth, groups = four([0, 1])
    answers, reference = truth.copy(), truth.copy()
    answers[[0, 25]] = reference[[3, 30]] = -1
    found = found_of(answers, reference, sources, truth, groups)
    assert found["accuracy"] == found["reference"]["accuracy"] == 0.95
    assert found["finding"] == "holds"
    assert "not distinguishable from no loss" in found["verdict"]


def test_a_loss_within_the_interval_is_none_however_it_looks() -> None:
    sources, truth, groups = four([0, 1])
    answers = truth.copy()
    answers[0] = -1
    found = found_of(answers, truth, sources, truth, groups)
    assert found["lost"]["difference"] == pytest.approx(1 / 40)
    assert found["finding"] == "holds"
    # The same loss by one patient alone says nothing about the next.
    one = found_of(np.full(40, -1), truth, sources, truth, np.repeat([0, 1], 20))
    assert one["lost"]["groups"] == 2
    assert one["finding"] == "falls"


def test_a_class_of_one_source_alone_is_named_and_counts_as_wrong() -> None:
    sources, truth, groups = four([0, 1])
    truth = np.where(np.arange(40) < 20, truth, 1)  # COVID-19 is in A only
    answers = np.where(truth == 0, -1, truth)
    found = found_of(answers, truth, sources, truth, groups)
    a, b = found["sources"]
    assert (a["unlearnable"], b["unlearnable"]) == (["COVID-19"], [])
    assert a["accuracy"] == 0.5 and a["learnable"] == {**a["learnable"], "n": 10, "accuracy": 1}
    assert found["accuracy"] == 0.75 and found["learnable"]["accuracy"] == 1
    assert found["finding"] == "holds"
    assert "10 of 40 images are of a class that no other source has" in found["verdict"]


def test_sources_with_classes_of_their_own_show_nothing() -> None:
    sources, truth = ["A"] * 20 + ["B"] * 20, np.repeat([0, 1], 20)
    found = found_of(1 - truth, truth, sources, truth, np.arange(40))
    assert found["finding"] == "unlearnable"
    assert found["learnable"]["n"] == 0
    assert "Every source has classes of its own: 40 of 40 images" in found["verdict"]


def test_unknown_sources_are_counted_and_not_scored() -> None:
    sources, truth, groups = four([0, 1])
    sources[:4] = [""] * 4
    found = found_of(truth, truth, sources, truth, groups)
    assert (found["n"], found["unknown"]) == (36, 4)
