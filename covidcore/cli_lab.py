"""The verb lab: plant a shortcut in phantoms, and see which figures notice."""

import argparse
from typing import Any

from covidcore.config import DISCLAIMER, Settings
from covidcore.show import Answer, Line, share, table


def lab(options: argparse.Namespace, settings: Settings) -> Answer:
    """Both arms of the shortcut lab, side by side."""
    from covidcore.jobs.lab import lab_study
    from covidcore.jobs.store import RunStore

    study = lab_study(RunStore(settings), options.share)
    with Line() as line:
        found = study.follow(line.doing)
    document = {name: value for name, value in found.items() if name != "stamp"}
    return document, _described(document), 0


def _described(document: dict[str, Any]) -> str:
    arms = list(document["arms"].values())

    def row(title: str, *keys: str) -> tuple[str, ...]:
        cells = []
        for arm in arms:
            for key in keys:
                arm = arm[key]
            red = " (!)" if arm.get("red") else ""
            cells.append(share(arm["accuracy"], arm["accuracy_ci"]) + red)
        return (title, *cells)

    rows = [
        row("test images"),
        row("a rule that sees the border only", "border"),
        row("the run with the lungs blacked", "lungs_out"),
        row("the run on new, unmarked images", "elsewhere"),
        ("always the largest class", *(share(arm["chance"]) for arm in arms)),
    ]
    text = table(("right on", *(arm["name"] for arm in arms)), rows)
    runs = ", ".join(arm["run"][:12] for arm in arms)
    note = f"(!): more often than chance without any lung. The runs: {runs}."
    return "\n\n".join([text, "\n".join(document["conclusions"]), f"{note}\n{DISCLAIMER}"])
