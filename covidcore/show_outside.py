"""How the command line shows a run on other datasets, and on other parts of its own."""

from typing import Any

from covidcore.config import DISCLAIMER
from covidcore.evaluation.outside import ALL, NONE, TRAINING
from covidcore.show import figures, share, table
from covidcore.wording import points, visible

LEAKS = {
    "exact": "a copy in training",
    "near": "a near copy in training",
    "patient": "their patient in training",
    "any": "any of these",
}
NO_DROP = "An imported model has no test images of its own to compare with."
_GROUPINGS = {
    "none": "at random",
    "patient": "by patient",
    "near_duplicates": "by picture",
    "both": "by patient and picture",
}


def opened_in_words(times: int) -> str:
    """How often the test figures were shown, in a sentence."""
    return f"The test figures of this run were shown {times} time{'s' * (times != 1)}."


def outside_described(document: dict[str, Any]) -> str:
    """The document of ``evaluate --on`` as text."""
    return "\n".join(
        [
            f"On {visible(document['on']['name'])}, without what is known to be the run's own:",
            figures(document).removesuffix(DISCLAIMER).rstrip(),
            "",
            _drop(document["drop"]) if document["drop"] else NO_DROP,
            "",
            *_not_scored(document),
            DISCLAIMER,
        ]
    )


def _drop(drop: dict[str, Any]) -> str:
    """How much lower figures are here than on the run's own test images."""
    rows = [("all images", drop["accuracy"]), ("mean recall", drop["mean_recall"])]
    rows += [(f"recall of {name}", one) for name, one in drop["per_class"].items()]
    return table(
        ("", "own test images", "n", "here", "n", "lower by"),
        [
            (
                name,
                share(one["inside"], one["inside_ci"]),
                str(one["inside_n"]),
                share(one["outside"], one["outside_ci"]),
                str(one["outside_n"]),
                _lower(one),
            )
            for name, one in rows
        ],
    )


def aside_in_words(aside: dict[str, Any]) -> str:
    """How many images were not scored because the model knows them, in a sentence."""
    number = f"{aside['images']:,}"
    known = aside.get("known", ALL)
    if known == NONE:
        return "Set aside: none, as the model does not tell which images it was trained on."
    if known == TRAINING:
        return (
            f"Set aside, as the model recognises them from its training: {number}. Of its "
            "validation and test images nothing is known."
        )
    met = aside.get("weights")  # results of an earlier version do not say
    return (
        f"Set aside, as they are among the run's own images: {number} ({aside['exact']:,} to the "
        f"pixel, {aside['near']:,} nearly; {aside['training']:,} of training, "
        f"{aside['validation']:,} of validation, {aside['test']:,} of test"
        f"{f', {met:,} known to the weights that it began with' if met else ''})."
    )


def _lower(one: dict[str, Any]) -> str:
    """A difference in percentage points with its interval."""
    value, bounds = points(one["difference"]), points(*one["ci"])
    return f"{value} ({bounds})" if one["difference"] is not None else value


def _not_scored(document: dict[str, Any]) -> list[str]:
    lines = [aside_in_words(document["set_aside"])]
    left = ", ".join(f"{count} {visible(name)}" for name, count in document["left_out"].items())
    if left:
        lines.append(f"left out, as their classes are not mapped: {left}")
    if document["unreadable"]:
        lines.append(f"unreadable: {document['unreadable']}")
    return lines


def folds_described(document: dict[str, Any]) -> str:
    """The document of ``crossvalidate`` as text."""
    return "\n\n".join(
        [
            f"{document['folds']} folds, {document['repeats']} times, of {document['n']} images; "
            "a linear head on the features of the frozen backbone.",
            _spreads(document),
            _bought(document),
            _ledger(document),
            DISCLAIMER,
        ]
    )


def _spreads(document: dict[str, Any]) -> str:
    rows = []
    for way, one in document["groupings"].items():
        folds = one["per_fold"]
        rows.append(
            (
                f"folds {_GROUPINGS[way]}",
                str(one["groups"]),
                share(one["accuracy"], one["ci"]),
                f"{100 * min(folds):.1f} to {100 * max(folds):.1f} %",
            )
        )
    for name, key in (
        ("this head, the run's split", "head_on_the_split"),
        ("the run", "single_split"),
    ):
        one = document[key]
        rows.append((name, "", share(one["accuracy"], one["accuracy_ci"]), ""))
    return table(("accuracy", "groups", "mean", "single folds"), rows)


def _bought(document: dict[str, Any]) -> str:
    """What dividing groups gains, in points."""
    rows = []
    for way, one in document["leakage"].items():
        related = one["related"]
        rows.append(
            (
                f"random folds over folds {_GROUPINGS[way]}",
                _lower(one),
                _lower(related),
                str(related["n"]),
            )
        )
    return table(("what leakage buys, in points", "all images", "those with relatives", "n"), rows)


def _ledger(document: dict[str, Any]) -> str:
    rows = [
        (
            LEAKS[one["kind"]],
            share(one["with"]["accuracy"], one["with"]["ci"]),
            str(one["with"]["n"]),
            share(one["without"]["accuracy"], one["without"]["ci"]),
            str(one["without"]["n"]),
            _lower(one),
        )
        for one in document["ledger"]
    ]
    return table(("the run's test images with", "with", "n", "without", "n", "difference"), rows)
