"""Facts about what stands behind a figure, in words: the audit, leaks, other splits, other data.

And what is left of it under stress. Nothing is measured here, and what was not measured is not
said.
"""

from typing import Any

from covidcore.evaluation.report_commands import folds_key, outside_key
from covidcore.evaluation.report_words import Document, Rule, Said, Words, share
from covidcore.wording import percent, points


def _opened(d: Document) -> str:
    times = d["test_opened"]
    return f"The test figures were opened {times:,} time{'s' * (times != 1)}."


def _leaks(d: Document) -> str:
    if not d["ledger"]:
        return ""
    whole = d["ledger"][-1]
    known, test = whole["with"]["n"], whole["with"]["n"] + whole["without"]["n"]
    said = (
        f"{known:,} of {test:,} test images have a copy, a near copy or a known patient in "
        "training."
    )
    if known:
        said += (
            f" Accuracy on them {share(whole['with']['accuracy'], whole['with']['ci'])}, on the "
            f"others {share(whole['without']['accuracy'], whole['without']['ci'])}."
        )
    return said


def _warnings(d: Document) -> Words:
    if not d["audit"] or d["audit"]["findings"] is None:
        return ""
    found = [one for one in d["audit"]["findings"] if one["level"] != "info"]
    if not found:
        return "The audit of the dataset found nothing to warn of."
    return [Said(f"{one['title'].rstrip('.')}. {one['consequence']}", "audit") for one in found]


def _baselines(d: Document) -> list[Said]:
    return [
        Said(
            f"{name.capitalize()}: accuracy {share(value, ends)}.", "audit" if ends else "evaluate"
        )
        for name, value, ends in baselines(d)
    ]


def baselines(d: Document) -> list[tuple[str, float, Any]]:
    """Name, accuracy and interval (or None) of every rule without lungs that was measured."""
    one, audit = d["evaluation"], d["audit"] or {}
    found = [("source alone", one["source_only_accuracy"], None)]
    for key, name in (("header_only", "file facts alone"), ("border_only", "border alone")):
        rule = audit.get(key) or {}
        found.append((name, rule.get("accuracy"), rule.get("accuracy_ci")))
    largest = max(map(sum, one["confusion"])) / one["n"]
    found.append(("the largest class, always", largest, None))
    return [(name, value, ends) for name, value, ends in found if value is not None]


def _folds(d: Document) -> list[Said]:
    said = []
    for one in d["folds"]:
        own = one["groupings"][one["group_by"]]
        folds = own["per_fold"]
        text = (
            f"A linear head on the frozen features, {one['folds']} folds, {one['repeats']} times, "
            f"{one['n']:,} images: accuracy {share(own['accuracy'], own['ci'])}; single folds "
            f"{percent(min(folds))} to {percent(max(folds))}."
        )
        said.append(Said(text, folds_key(one)))
    return said


def _outside(d: Document) -> list[Said]:
    said = []
    for one in d["outside"]:
        lower, which = "", "that it does not recognise from its training"
        if one["drop"]:  # none of an imported model, which does not know its own images
            drop = one["drop"]["accuracy"]
            lower = f", lower by {points(drop['difference'])} points ({points(*drop['ci'])})"
            which = "that are not the run's own"
        text = (
            f"On {one['on']['name']} (fingerprint {one['dataset'][:12]}), {one['n']:,} images "
            f"{which}: accuracy {share(one['accuracy'], one['accuracy_ci'])}{lower}; set aside as "
            f"the run's own: {one['set_aside']['images']:,}."
        )
        said.append(Said(text, outside_key(one)))
    return said


def _stress(d: Document) -> str:
    found = d["stress"] or {}
    verdicts = [(found.get(key) or {}).get("verdict") for key in ("lungs_out", "lungs_only")]
    return " ".join(one for one in (*verdicts, found.get("corruptions_verdict")) if one)


def _attention(d: Document) -> str:
    return ((d["stress"] or {}).get("attention") or {}).get("verdict") or ""


def _leave_one_source_out(d: Document) -> str:
    one = (d["stress"] or {}).get("leave_one_source_out") or {}
    if not one.get("sources"):
        return ""
    each = (
        f"{part['source']} {share(part['accuracy'], part['accuracy_ci'])} of {part['n']:,}"
        for part in one["sources"]
    )
    return f"Without each source in training, on it: {'; '.join(each)}. {one.get('verdict', '')}"


RULES: dict[str, Rule] = {
    "opened": ("evaluate", _opened),
    "baselines": ("", _baselines),
    "warnings": ("audit", _warnings),
    "leaks": ("crossvalidate", _leaks),
    "folds": ("", _folds),
    "outside": ("", _outside),
    "stress": ("stress", _stress),
    "attention": ("stress", _attention),
    "leave_one_source_out": ("stress", _leave_one_source_out),
}
"""By name."""

TO_MEASURE = {
    "baselines": "audit",
    "warnings": "audit",
    "folds": "crossvalidate",
    "outside": "outside",
    "stress": "stress",
    "attention": "stress",
    "leave_one_source_out": "stress",
}
"""Facts that a command would bring about where they are absent, with its key."""
