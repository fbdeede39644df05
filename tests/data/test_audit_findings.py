"""Figures in, findings out: what is said, how grave it is, and when nothing is."""

import math
from typing import Any

import pytest

from covidcore.data.audit_findings import LEVELS, findings

NONE = {"accuracy": 0.4, "accuracy_ci": [0.36, 0.44], "majority_accuracy": 0.5, "per_class": {}}
NO_LEAK = {"test": 100, "exact": 0, "near": 0, "patient": 0, "any": 0}
CLEAN: dict[str, Any] = {
    "images": 500,
    "classes": {"a": 250, "b": 250},
    "exact_duplicates": [],
    "near_duplicates": [],
    "near_pairs": [],
    "label_conflicts": [],
    "leaks_by_kind": {"random_split": NO_LEAK, "this_split": NO_LEAK},
    "split": {"group_by": "patient", "problem": ""},
    "source_by_class": {"x": {"a": 125, "b": 120}, "y": {"a": 125, "b": 130}},
    "cramers_v": 0.0,
    "source_only_accuracy": 0.51,
    "source_only_ci": [0.47, 0.55],
    "majority_accuracy": 0.5,
    "own_sources": {},
    "children": {"by_class": {name: {"children": 0, "unknown": 250} for name in "ab"}},
    "header_only": NONE,
    "border_only": NONE,
    "patients_known": 500,
    "outliers": [],
}


def found(**changes: Any) -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in findings(CLEAN | changes)}


def rule(accuracy: float, low: float) -> dict[str, Any]:
    per_class = {
        "a": {"n": 250, "recall": 0.9, "precision": 0.8},
        "b": {"n": 250, "recall": 0.2, "precision": 0.3},
    }
    return NONE | {"accuracy": accuracy, "accuracy_ci": [low, 0.99], "per_class": per_class}


def test_clean_figures_have_no_findings() -> None:
    assert findings(CLEAN) == []


def test_every_finding_has_its_parts_and_the_gravest_come_first() -> None:
    listed = findings(
        CLEAN
        | {
            "patients_known": 0,
            "outliers": [{"file": "x", "rule": "colour"}],
            "header_only": rule(0.9, 0.88),
            "label_conflicts": [["x", "y"]],
        }
    )
    levels = [LEVELS.index(one["level"]) for one in listed]
    assert levels == sorted(levels) and len(set(levels)) == 3
    for one in listed:
        assert one["detail"] == f"{one['consequence']} {one['action']}"
        assert one["consequence"].endswith(".") and one["action"].endswith(".")
        assert not one["title"].endswith(".")


@pytest.mark.parametrize(
    ("low", "level"), [(0.515, None), (0.53, "warning"), (0.74, "warning"), (0.76, "error")]
)
@pytest.mark.parametrize("kind", ["header_only", "border_only"])
def test_a_rule_without_lungs_is_as_grave_as_its_interval(
    kind: str, low: float, level: str | None
) -> None:
    one = found(**{kind: rule(0.8, low)}).get(kind)
    assert (one and one["level"]) == level
    if one:
        assert "80.0 %" in one["title"] and "90.0 % of a" in one["detail"]


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_what_could_not_be_computed_is_no_finding(nothing: float | None) -> None:
    empty = NONE | {"accuracy": nothing, "accuracy_ci": [nothing, nothing]}
    assert found(header_only=empty, border_only=empty) == {}
    assert "source_class" not in found(
        source_only_accuracy=nothing, source_only_ci=[nothing, nothing], cramers_v=nothing
    )


def test_leaks_of_this_split_are_errors_and_of_a_random_one_to_know() -> None:
    leak = {"test": 100, "exact": 1, "near": 2, "patient": 30, "any": 31}
    both = found(leaks_by_kind={"random_split": leak, "this_split": leak})
    assert both["leak"]["level"] == "error" and both["random_leak"]["level"] == "info"
    assert both["leak"]["size"] == 31
    assert "1 exact copy, 2 near duplicates, 30 of known patients" in both["leak"]["title"]
    at_random = found(
        leaks_by_kind={"random_split": leak, "this_split": leak},
        split={"group_by": "none", "problem": ""},
    )
    assert set(at_random) == {"leak"}  # not the same thing twice


def test_a_split_that_can_not_be_made_is_said() -> None:
    one = found(
        split={"group_by": "patient", "problem": "Class “a” has 2 patients."},
        leaks_by_kind={"random_split": NO_LEAK, "this_split": None},
    )["split"]
    assert one["level"] == "error" and one["detail"].startswith("Class “a” has 2 patients.")


def test_copies_matter_less_where_the_split_keeps_them_together() -> None:
    groups = [["1", "2"], ["3", "4", "5"]]
    leak = NO_LEAK | {"near": 1, "any": 1}
    assert found(exact_duplicates=groups)["exact_duplicates"]["level"] == "info"
    leaky = found(
        near_duplicates=groups,
        near_pairs=[{"mirrored": True}, {"mirrored": False}],
        leaks_by_kind={"random_split": leak, "this_split": leak},
    )["near_duplicates"]
    assert (leaky["level"], leaky["size"]) == ("warning", 3)
    assert "images: 3" in leaky["title"] and "(1 mirrored)" in leaky["title"]


def test_sources_that_tell_the_class() -> None:
    one = found(source_only_accuracy=0.912, source_only_ci=[0.907, 0.916], cramers_v=0.93)
    assert one["source_class"]["level"] == "error"
    assert "91.2 %" in one["source_class"]["title"] and "0.93" in one["source_class"]["title"]
    assert found(own_sources={"a": 250})["own_sources"]["size"] == 250
    part = found(source_by_class={"": {"a": 3, "b": 4}, "x": {"a": 247, "b": 246}})
    assert part["unknown_sources"]["size"] == 7


@pytest.mark.parametrize(
    ("of_a", "of_b", "level"),
    [(0, 0, None), (250, 250, None), (40, 0, None), (60, 0, "warning"), (250, 0, "error")],
)
def test_children_and_adults(of_a: int, of_b: int, level: str | None) -> None:
    by_class = {
        name: {"children": count, "unknown": 250 - count}
        for name, count in (("a", of_a), ("b", of_b))
    }
    one = found(children={"by_class": by_class}).get("children")
    assert (one and one["level"]) == level


@pytest.mark.parametrize(
    ("sizes", "level"),
    [((250, 100), None), ((300, 100), "info"), ((999, 100), "info"), ((1000, 100), "warning")],
)
def test_imbalance(sizes: tuple[int, int], level: str | None) -> None:
    one = found(classes=dict(zip("ab", sizes, strict=True))).get("imbalance")
    assert (one and one["level"]) == level


def test_one_and_many_are_worded() -> None:
    listed = [{"file": str(at), "rule": rule} for at, rule in enumerate(("blank", "dim"))]
    assert found(outliers=listed[:1])["blank"]["title"] == "1 image shows nothing"
    assert found(outliers=listed[:1] * 2)["blank"]["title"] == "2 images show nothing"
