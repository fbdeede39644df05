"""An audit's document as rows to show: what a page draws and the shell prints."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from covidcore.data.audit_leaks import LEAKS
from covidcore.wording import percent

Figures = dict[str, Any]

NOT_STATED = "not stated"
"""What is shown of a source that is not known."""

_SHARES = ("source_class", "header_only", "border_only")
"""Findings whose size is a share."""


class Rule(NamedTuple):
    """How often a rule is right that sees no lungs; None where that is not known."""

    name: str
    accuracy: float | None
    low: float | None
    """Ends of the 95 % interval; None for the largest class, which is counted, not learnt."""
    high: float | None


class Pair(NamedTuple):
    """Two images that show the same picture."""

    first: str
    second: str
    how: str
    """In words: whether it is the same to the pixel, mirrored, and how alike."""


def without_lungs(document: Figures) -> list[Rule]:
    """The largest class, the source, the file and the border, each by itself."""
    rules = [Rule("always the largest class", document["majority_accuracy"], None, None)]
    source = document["source_only_accuracy"]
    rules.append(Rule("the source alone", source, *document["source_only_ci"]))
    for kind, name in (("header_only", "file facts alone"), ("border_only", "outer 5 % alone")):
        rules.append(Rule(name, document[kind]["accuracy"], *document[kind]["accuracy_ci"]))
    return rules


def leak_rows(document: Figures) -> list[dict[str, Any]]:
    """Test images known from training, by kind, under a random split and under the chosen one.

    A split that can not be made has no row.
    """
    split = document["split"]
    titles = {"random_split": "at random", "this_split": f"by {in_words(split['group_by'])}"}
    return [
        {"split": titles[name], **{kind: found[kind] for kind in ("test", *LEAKS, "any")}}
        for name, found in document["leaks_by_kind"].items()
        if found
    ]


def in_words(group_by: str) -> str:
    """What images are kept together by."""
    words = {
        "none": "nothing (at random)",
        "patient": "patient",
        "near_duplicates": "near duplicates",
        "both": "patient and near duplicates",
    }
    return words.get(group_by, group_by)


def pairs(document: Figures, labels: Mapping[str, str]) -> dict[str, list[Pair]]:
    """Kind -> pairs: exact copies, near copies, and copies under two labels.

    ``labels``: file -> class. Of a group of exact copies each is set beside the first; of one
    with two labels each of another label than the first.
    """
    exact = [
        Pair(group[0], other, "equal to the pixel")
        for group in document["exact_duplicates"]
        for other in group[1:]
    ]
    near = [
        Pair(
            one["first"],
            one["second"],
            f"{'mirrored, ' if one['mirrored'] else ''}correlation {one['correlation']:.3f}",
        )
        for one in document["near_pairs"]
    ]
    torn = [
        Pair(group[0], other, "one picture, two labels")
        for group in document["label_conflicts"]
        for other in group[1:]
        if labels[other] != labels[group[0]]
    ]
    return {"exact": exact, "near": near, "conflicts": torn}


def size_in_words(finding: Figures) -> str:
    """How large a finding is: images, a share of them, or a ratio."""
    kind, size = finding["kind"], finding["size"]
    if kind in _SHARES:
        return percent(size)
    if kind == "imbalance":
        return f"{size:.1f} to 1"
    return f"{size:,} image{'' if size == 1 else 's'}" if size else ""


def by_rule(outliers: Sequence[Figures]) -> dict[str, list[Figures]]:
    """The images that are out of the ordinary, by the rule that lists them."""
    found: dict[str, list[Figures]] = {}
    for one in outliers:
        found.setdefault(one["rule"], []).append(one)
    return found
