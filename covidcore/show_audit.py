"""How the command line shows an audit to a person."""

import textwrap
from typing import Any

from covidcore.config import DISCLAIMER
from covidcore.data.audit_tables import without_lungs
from covidcore.show import share, table
from covidcore.wording import visible

_WIDTH = 100


def described(document: dict[str, Any]) -> str:
    """An audit's document as text: sources, split, rules without lungs, findings."""
    parts = [
        f"{visible(document['dataset'])}: {document['images']} images, fingerprint "
        f"{document['fingerprint']}",
        _counts("source", document["source_by_class"]),
        _split(document),
        _rules(document),
        *(_finding(one) for one in document["findings"]),
    ]
    if not document["findings"]:
        parts.append("Nothing was found.")
    return "\n\n".join([*parts, DISCLAIMER])


def _counts(what: str, counts: dict[str, dict[str, int]]) -> str:
    columns = list(next(iter(counts.values()), {}))
    rows = [
        (name or "not stated", *(f"{row[column]}" for column in columns))
        for name, row in counts.items()
    ]
    return table((what, *columns), rows)


def _split(document: dict[str, Any]) -> str:
    split, leaks = document["split"], document["leaks"]
    if split["problem"]:
        return f"split {split['split']}: {visible(split['problem'])}"
    title = f"split {split['split']} by {split['group_by']}, seed {split['seed']}"
    leaked = (
        f"test images known from training: {leaks['this_split']}; under a random split: "
        f"{leaks['random_split']}"
    )
    return f"{_counts(title, split['by_class'])}\n{leaked}"


def _rules(document: dict[str, Any]) -> str:
    """What is right without a look at the lungs."""
    rows = [
        (rule.name, share(rule.accuracy, (rule.low, rule.high))) for rule in without_lungs(document)
    ]
    v = document["cramers_v"]
    association = "-" if v is None else f"{v:.3f}"
    return (
        f"{table(('without lungs', 'right'), rows)}\nCramér's V of source and class: {association}"
    )


def _finding(one: dict[str, Any]) -> str:
    text = textwrap.fill(
        visible(one["detail"]), _WIDTH, initial_indent="  ", subsequent_indent="  "
    )
    return f"{one['level'].upper()}: {visible(one['title'])}\n{text}"
