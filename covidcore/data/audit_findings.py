"""What an audit's figures mean: each finding with its size, its consequence and what can be done.

A pure function of the measured figures; `audit` stores those and words them anew at each reading.
"""

from collections.abc import Callable, Iterator
from typing import Any

from covidcore.data.audit_pictures import RULES

Finding = dict[str, Any]
Figures = dict[str, Any]

LEVELS = ("error", "warning", "info")
"""error: figures of a model trained on this will mislead; warning: they may; info: to know."""

_MARGIN = 0.02
"""By so much the interval of a rule must lie above the largest class's share to be a finding."""
_STRONG = 0.5
"""Share of the way from there to certainty that makes it an error."""
_ADULTS_APART = 0.2
_IMBALANCED, _VERY_IMBALANCED = 3, 10
_GRAVE = ("blank", "inverted", "rotated", "unlike")

_CURE = "Keep near duplicates together (group_by near_duplicates or both), or remove the copies."
_OTHER_SOURCE = (
    "Judge a model on images of a source that it was not trained on, and add images so that each "
    "class comes from several sources and each source has several classes."
)


def findings(figures: Figures) -> list[Finding]:
    """All findings, the gravest first: kind, level, title, detail, size, consequence, action.

    ``figures`` is an audit's document. ``size`` is a number of images where it counts images, else
    a share; ``detail`` is consequence and action as one text.
    """
    rules: tuple[Callable[[Figures], Iterator[Finding]], ...] = (
        *(_split, _conflicts, _sources, _ages, _baselines),
        *(_copies, _patients, _balance, _outliers),
    )
    found = [one for rule in rules for one in rule(figures)]
    return sorted(found, key=lambda one: LEVELS.index(one["level"]))


def _finding(
    kind: str, level: str, size: float, title: str, consequence: str, action: str
) -> Finding:
    return {
        "kind": kind,
        "level": level,
        "title": title,
        "detail": f"{consequence} {action}",
        "size": size,
        "consequence": consequence,
        "action": action,
    }


def _split(figures: Figures) -> Iterator[Finding]:
    chosen, kinds = figures["split"], figures["leaks_by_kind"]
    if chosen["problem"]:
        yield _finding(
            *("split", "error", 0, "This split can not be made", chosen["problem"]),
            "Choose other shares, another group_by, or add images.",
        )
    this, at_random = kinds["this_split"], kinds["random_split"]
    if this and this["any"]:
        yield _finding(
            *("leak", "error", this["any"]),
            f"This split leaks: {this['any']} of {this['test']} test images are known from "
            f"training ({by_kind(this)})",
            "Their answers show memory, so the test figures are too good.",
            "Split with group_by both.",
        )
    if at_random and at_random["any"] and chosen["group_by"] != "none":
        yield _finding(
            *("random_leak", "info", at_random["any"]),
            f"A random split would leak {at_random['any']} of {at_random['test']} test images "
            f"({by_kind(at_random)})",
            "Figures that others report for random splits of these images are too good.",
            "Compare with figures of a split by patient and near duplicates only.",
        )


def by_kind(leaks: dict[str, int]) -> str:
    """What test images are known by, in words: ``1 exact copy, 3 near duplicates``."""
    names = {
        "exact": ("exact copy", "exact copies"),
        "near": ("near duplicate", "near duplicates"),
        "patient": ("of a known patient", "of known patients"),
    }
    counted = ((leaks[kind], name[leaks[kind] != 1]) for kind, name in names.items())
    return ", ".join(f"{count} {name}" for count, name in counted if count)


def _conflicts(figures: Figures) -> Iterator[Finding]:
    torn = figures["label_conflicts"]
    if torn:
        yield _finding(
            *("label_conflicts", "error", sum(map(len, torn))),
            f"{_many(len(torn), 'picture')} in more than one class",
            "At least one of the labels is wrong, and no answer can be right about all.",
            "Look at them, and correct or remove them.",
        )


def _copies(figures: Figures) -> Iterator[Finding]:
    this = figures["leaks_by_kind"]["this_split"]
    for kind, leak, what in (
        ("exact_duplicates", "exact", "Exact copies of other images"),
        ("near_duplicates", "near", "Near copies of other images"),
    ):
        count = sum(len(group) - 1 for group in figures[kind])
        if count:
            level = "info" if this and not this[leak] else "warning"
            mirrored = sum(pair["mirrored"] for pair in figures["near_pairs"])
            turned = f" ({mirrored} mirrored)" if leak == "near" and mirrored else ""
            yield _finding(
                *(kind, level, count, f"{what}: {count:,}{turned}"),
                "A copy that is in training and test is answered from memory.",
                _CURE,
            )


def _sources(figures: Figures) -> Iterator[Finding]:
    own = figures["own_sources"]
    if own:
        yield _finding(
            *("own_sources", "error", sum(own.values())),
            f"{_names(own)}: from sources that hold no other class",
            "A model that recognises the source is right about all of them here, not elsewhere.",
            _OTHER_SOURCE,
        )
    share, usual = figures["source_only_accuracy"], figures["majority_accuracy"]
    level = _level(share, figures["source_only_ci"][0], usual)
    if level:
        yield _finding(
            *("source_class", level, share),
            f"The source tells the class: a rule that sees only the source is right on "
            f"{_percent(share)} (Cramér's V {figures['cramers_v']:.2f})",
            f"A model can come to that without a look at the lungs; always answering the largest "
            f"class gets {_percent(usual)}.",
            _OTHER_SOURCE,
        )
    unknown = sum(figures["source_by_class"].get("", {}).values())
    if unknown:
        yield _finding(
            *("unknown_sources", "info", unknown),
            f"{_many(unknown, 'image')} without a stated source",
            "Whether a model answers by source can not be seen for these.",
            "Give metadata.csv a column source.",
        )


def _level(share: float | None, low: float | None, usual: float) -> str | None:
    """How grave it is that a rule without lungs is right so often; None where it may be chance."""
    if share is None or low is None or not low > usual + _MARGIN:  # not: NaN is no finding
        return None
    return "error" if (low - usual) / (1 - usual) >= _STRONG else "warning"


def _baselines(figures: Figures) -> Iterator[Finding]:
    for kind, seen, action in (
        (
            *("header_only", "the file's mode, size and bytes"),
            "Store all images alike: one mode, one size, one compression; covidcore itself decodes "
            "to grey squares before a model sees them.",
        ),
        (
            *("border_only", "the outer 5 % of the picture"),
            "Look at the borders (markers, text, black frames), crop or mask them, and judge a "
            "model on images of another source.",
        ),
    ):
        one = figures[kind]
        level = _level(one["accuracy"], one["accuracy_ci"][0], one["majority_accuracy"])
        if level:
            low, high = one["accuracy_ci"]
            best = max(one["per_class"].items(), key=lambda item: item[1]["recall"])
            yield _finding(
                *(kind, level, one["accuracy"]),
                f"{_percent(one['accuracy'])} ({_percent(low)} to {_percent(high)}) are told right "
                f"from {seen} alone",
                f"That is had without lungs ({_percent(best[1]['recall'])} of {best[0]} are found);"
                f" always answering the largest class gets {_percent(one['majority_accuracy'])}.",
                action,
            )


def _ages(figures: Figures) -> Iterator[Finding]:
    shares = {
        name: part["children"] / max(1, part["children"] + part["unknown"])
        for name, part in figures["children"]["by_class"].items()
    }
    if not shares or max(shares.values()) - min(shares.values()) < _ADULTS_APART:
        return
    count = sum(part["children"] for part in figures["children"]["by_class"].values())
    listed = ", ".join(f"{name} {_percent(share)}" for name, share in shares.items())
    apart = max(shares.values()) == 1 and min(shares.values()) == 0
    yield _finding(
        *("children", "error" if apart else "warning", count),
        f"Children are not spread evenly over the classes: at least {listed}",
        "A model that tells children from adults looks as if it knew the disease.",
        "Add adults to the classes of children (or leave these out), and report figures by source.",
    )


def _patients(figures: Figures) -> Iterator[Finding]:
    unknown = figures["images"] - figures["patients_known"]
    if unknown:
        yield _finding(
            *("unknown_patients", "warning", unknown),
            f"{_many(unknown, 'image')} of unknown patients",
            "Images of one patient may be in training and test, and no split can prevent it.",
            "Give metadata.csv a column patient_id; group_by both keeps at least copies together.",
        )


def _balance(figures: Figures) -> Iterator[Finding]:
    sizes = figures["classes"]
    most, least = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    ratio = sizes[most] / sizes[least]
    if ratio >= _IMBALANCED:
        yield _finding(
            *("imbalance", "warning" if ratio >= _VERY_IMBALANCED else "info", ratio),
            f"{most} has {ratio:.1f} times the images of {least}",
            "Accuracy is mostly that of the large classes.",
            "Read balanced accuracy and each class's recall; class_weights can make up for it.",
        )


def _outliers(figures: Figures) -> Iterator[Finding]:
    rules = [one["rule"] for one in figures["outliers"]]
    for rule, what in RULES.items():
        count = rules.count(rule)
        if count:
            yield _finding(
                *(rule, "warning" if rule in _GRAVE else "info", count),
                f"{_many(count, 'image')} {what[count > 1]}",
                "A model learns what they have in common, or is tested on what it can not know.",
                "Look at them, and correct or remove those that are wrong.",
            )


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _names(names: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count:,} images)" for name, count in names.items())


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
