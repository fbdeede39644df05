"""What finished runs of this machine say about the cost of the next one: read from their logs."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from covidcore import sealed, storage
from covidcore.errors import CovidcoreError, DataError
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.rates import Rates, cost_key, machine
from covidcore.training.recipe import Recipe
from covidcore.training.sizes import image_sizes

VALIDATING = 1 / 3
"""A validation image costs about a third of a training image: the backward pass is two thirds."""

_RUNS = 40  # the newest ones; each is read once
_OF_A_KEY = 3


def learned(folders: Iterable[Path]) -> dict[str, Rates]:
    """Rates by cost key from run folders, the newest first.

    Of the last few runs of a key the fastest counts, for an estimate is of a machine that does
    nothing else.
    """
    found: dict[str, list[Rates]] = {}
    for folder, _ in zip(folders, range(_RUNS), strict=False):
        try:
            told = _told(folder, (folder / "status.json").stat().st_mtime_ns)
        except OSError:
            continue  # removed meanwhile
        if told:
            found.setdefault(told[0], []).append(told[1])
    return {key: _fastest(rates[:_OF_A_KEY]) for key, rates in found.items()}


def _fastest(rates: list[Rates]) -> Rates:
    best = min(rates, key=lambda one: one.train)
    plain = [one.plain for one in rates if one.plain is not None]
    varied = [one.varied for one in rates if one.varied is not None]
    return replace(
        best,
        start=min(one.start for one in rates),
        plain=min(plain, default=None),
        varied=min(varied, default=None),
    )


@functools.lru_cache(maxsize=4 * _RUNS)
def _told(path: Path, _: int) -> tuple[str, Rates] | None:
    """What one run tells; read again where the second argument, its time of writing, is another."""
    try:
        return _of_run(path)
    except (CovidcoreError, OSError, ValueError, KeyError, TypeError):
        return None  # not finished, of another machine, or damaged


def _of_run(path: Path) -> tuple[str, Rates]:
    """Cost key and rates of one run.

    Raises: ValueError where it can not tell them.
    """
    folder = RunFolder(path)
    status, recipe = folder.status(), Recipe.from_json(folder.read_job()["recipe"])
    events = _last_attempt(folder.log)
    if status.get("state") != "done" or events[0].get("machine") != machine():
        raise ValueError("not a finished run of this machine")
    epochs = [event for event in events if event["event"] == "epoch"]
    if not epochs or epochs[0]["epoch"] != 1:
        raise ValueError("resumed: the log tells the last part only")
    phases = {event["phase"]: event for event in events if event["event"] == "progress"}
    work = sum(float(epoch["seconds"]) for epoch in epochs)
    images = _weighted_images(recipe, _split_sizes(folder), len(epochs))
    before = [phase for name, phase in phases.items() if name.startswith(("reading", "computing"))]
    other = sum(float(phase["steps"]) / float(phase["images_per_second"]) for phase in before)
    fixed = max(0.0, float(status["seconds"]) - work - other)
    features = {int(n.split()[2]): p for n, p in phases.items() if n.startswith("computing")}
    varied = [phase for number, phase in features.items() if number > 1]
    rates = Rates(
        start=fixed,  # what lies before and after the epochs is not told apart in the log
        finish=0.0,
        plain=_seconds(features[1]) if 1 in features else None,
        varied=_seconds(varied[-1]) if varied else None,
        train=work / images,
        validate=VALIDATING * work / images,
        save=0.0,
        precision=_precision(folder),
        origin="run",
    )
    return cost_key(recipe), rates


def _seconds(phase: Mapping[str, Any]) -> float:
    return 1 / float(phase["images_per_second"])


def _weighted_images(recipe: Recipe, sizes: Mapping[str, int], epochs: int) -> float:
    """How many training images of full size the epochs were worth."""
    shares = [
        (size / recipe.image_size) ** 2
        for size in image_sizes(recipe.image_size, recipe.epochs, recipe.progressive)[:epochs]
    ]
    return sum(shares) * sizes["train"] + epochs * VALIDATING * sizes["val"]


def _split_sizes(folder: RunFolder) -> dict[str, int]:
    import pandas as pd

    return {
        str(name): int(count)
        for name, count in pd.read_csv(folder.split, usecols=["split"])["split"]
        .value_counts()
        .items()
    }


def _precision(folder: RunFolder) -> str:
    try:
        return str(storage.read_json(folder.contract)["trained_with"]["precision"])
    except (DataError, KeyError, TypeError) as error:
        raise ValueError("a damaged contract") from error


def _last_attempt(log: Path) -> list[dict[str, Any]]:
    """The start of the last attempt and every epoch and finished phase after it."""
    found: list[dict[str, Any]] = []
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.startswith("{"):
                continue
            event = sealed.parse(line.rstrip("\n").encode())
            if event.get("event") == "start":
                found = [event]
            elif event.get("event") == "epoch" or (
                event.get("event") == "progress" and event["step"] == event["steps"]
            ):
                found.append(event)
    if not found or found[0].get("event") != "start":
        raise ValueError("no attempt in the log")
    return found
