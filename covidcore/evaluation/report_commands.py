"""The commands that make the numbers of a report again: a key, and what to type."""

import shlex
from collections.abc import Mapping
from typing import Any

PROGRAM = "python -m covidcore"
_ID = 12  # of a fingerprint's or a run's digits: enough to be the only one


def commands(document: Mapping[str, Any]) -> dict[str, str]:
    """Key -> command line of everything that ``document`` (`jobs.report.gather`) holds.

    Of what was not measured too: that is how it would be.
    """
    job, run = document["job"], document["run"][:_ID]
    outside = {"outside": _line("evaluate", run, "--on", "DATASET")}
    if document.get("imported"):
        return outside | _outside(document, run)
    data = job["dataset"][:_ID]
    recipe = job["recipe"]
    found = {
        "train": _line("train", data, "--preset", recipe["preset"], *_settings(document)),
        "scan": _line("scan", data),
        "evaluate": _line("evaluate", run),
        "audit": _line("audit", data, *_split(recipe)),
        "stress": _line("stress", run),
        "operate": _line("operate", run),
        "crossvalidate": _line("crossvalidate", run),
        **outside,
    }
    for way in document["subgroups"] or {}:
        found[f"by {way}"] = _line("evaluate", run, "--by", way)
    for one in document["folds"]:
        found[folds_key(one)] = _line(
            *("crossvalidate", run, "--folds", one["folds"], "--repeats", one["repeats"])
        )
    return found | _outside(document, run)


def _outside(document: Mapping[str, Any], run: str) -> dict[str, str]:
    found = {}
    for one in document["outside"]:
        mapped = [f"--map={theirs}={ours}" for theirs, ours in one["mapping"].items()]
        found[outside_key(one)] = _line("evaluate", run, "--on", one["dataset"][:_ID], *mapped)
    return found


def folds_key(folds: Mapping[str, Any]) -> str:
    """The key of a cross-validation's command."""
    return f"folds {folds['folds']}x{folds['repeats']}"


def outside_key(outside: Mapping[str, Any]) -> str:
    """The key of the command of a run on another dataset."""
    return f"outside {outside['key']}"


def _line(*words: object) -> str:
    return f"{PROGRAM} {shlex.join(map(str, words))}"


def _settings(document: Mapping[str, Any]) -> list[str]:
    """``--set`` for each field of the recipe that its preset has otherwise."""
    return [
        f"--set={name}={','.join(value) if isinstance(value, list | tuple) else value}"
        for name, value in document["changed"].items()
    ]


def _split(recipe: Mapping[str, Any]) -> list[str]:
    words = ["--split", recipe["split"], "--group-by", recipe["group_by"]]
    words += ["--seed", str(recipe["seed"])]
    return words + [f"--exclude-source={name}" for name in recipe["exclude_sources"]]
