"""From the easy split to the honest one: ``python -m benchmarks.ladder FOLDER [--on OUTSIDE ...]``.

Trains each preset under three splits (finished runs of the home are not trained again), then asks
the run whose split keeps patients together for its stress tests and, where a labelled folder is
given, how it fares there. Prints a Markdown table with intervals, and the commands before it. Every
step is the command that a user types.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

from covidcore.show import share

PRESETS = ("writeup", "quick", "standard", "full")
SPLITS = {"none": "random split", "patient": "by patient", "both": "and without near copies"}
STRESS = ("lungs_only", "lungs_out")
COLUMNS = (*SPLITS.values(), "lungs only", "lungs out", "sources left out", "elsewhere")


def main() -> None:
    """Print one row a preset."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--on", help="a labelled folder that no run has seen")
    parser.add_argument("--map", action="append", default=[], help="THEIRS=OURS, of that folder")
    parser.add_argument("--set", action="append", default=[], help="FIELD=VALUE, for every run")
    parser.add_argument("--preset", action="append", choices=PRESETS)
    asked = parser.parse_args()
    rows = [[preset, *_row(preset, asked)] for preset in asked.preset or PRESETS]
    print(f"| preset | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def _row(preset: str, asked: argparse.Namespace) -> list[str]:
    runs = {}
    for group_by in SPLITS:
        values = [*asked.set, f"group_by={group_by}"]
        options = [word for value in values for word in ("--set", value)]
        runs[group_by] = _answer("train", asked.folder, "--preset", preset, *options)
    cells = [_accuracy(run["test"]) for run in runs.values()]
    run = runs["patient"]["run"]
    stress = _answer("stress", run)
    cells += [_accuracy(stress[name]) for name in STRESS]
    left_out = stress["leave_one_source_out"]["sources"]
    each = ", ".join(f"{one['source']}: {_accuracy(one)}" for one in left_out)
    cells.append(each or "not stated")
    if asked.on:
        mapping = [word for value in asked.map for word in ("--map", value)]
        cells.append(_accuracy(_answer("evaluate", run, "--on", asked.on, *mapping)))
    else:
        cells.append("not asked")
    return cells


def _accuracy(figures: dict[str, Any]) -> str:
    return f"{share(figures['accuracy'], figures['accuracy_ci'])} of {figures['n']:,}"


def _answer(*words: str) -> dict[str, Any]:
    """What a command answers as JSON; the command itself goes to standard error."""
    print("python -m covidcore", *words, file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "covidcore", *words, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
