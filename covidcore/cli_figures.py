"""The verbs that read stored predictions: evaluate, compare, operate."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from covidcore.config import Settings
from covidcore.errors import DataError, RunError
from covidcore.evaluation import compare as comparing
from covidcore.evaluation import operating, subgroups
from covidcore.evaluation.operating import OperatingPoint
from covidcore.evaluation.predictions import evaluate as evaluated
from covidcore.jobs.openings import note_opened
from covidcore.jobs.store import RunStore
from covidcore.show import Answer, figures, share, table
from covidcore.storage import plain

if TYPE_CHECKING:
    import pandas as pd


def evaluate(options: argparse.Namespace, settings: Settings) -> Answer:
    """Figures of one split, from the stored predictions; by a column of the index if asked."""
    store = RunStore(settings)
    run = store.find(options.run_id)
    stored, predictions = store.evaluation(run), store.predictions(run)
    document = evaluated(
        predictions,
        stored["classes"],
        run=run,
        dataset=stored["dataset"],
        split=options.split,
        temperature=stored["temperature"],
    )
    text = figures(plain(document))
    if options.by:
        rows = predictions[predictions["split"] == options.split]
        document["subgroups"] = parts = _parts(options.by, document, rows, settings)
        lines = [
            (
                part["value"] + (" (few)" if part["small"] else ""),
                str(part["n"]),
                share(part["accuracy"], part["accuracy_ci"]),
                share(part["balanced_accuracy"], part["balanced_accuracy_ci"]),
            )
            for part in parts
        ]
        text += "\n\n" + table((options.by, "n", "accuracy", "balanced accuracy"), lines)
    return document, text, 0


def _parts(
    name: str, document: dict[str, Any], rows: "pd.DataFrame", settings: Settings
) -> list[dict[str, Any]]:
    from covidcore.data.index import load

    index = load(document["dataset"], settings.home).index
    ways = subgroups.groupings(index)
    if name not in ways:
        known = ", ".join(ways) or "none"
        raise DataError(f"The images can not be parted by “{name}”; what there is: {known}.")
    return subgroups.by(rows, ways[name], document["classes"])


def compare(options: argparse.Namespace, settings: Settings) -> Answer:
    """Runs against one another, on the test images that all of them have."""
    store = RunStore(settings)
    runs = list(dict.fromkeys(store.find(run) for run in options.run_id))
    if len(runs) < 2:
        raise RunError("There is nothing to compare: name two runs or more.")
    classes = same_classes(store, runs)
    tables = {run: store.predictions(run) for run in runs}
    document = comparing.compare(tables, classes)
    names = {run: store.info(run).name for run in runs}
    for run in runs:
        note_opened(store.path(run))
    return document, _comparison(document, names), 0


def same_classes(store: RunStore, runs: list[str]) -> list[str]:
    """The classes of all these runs.

    Raises: RunError where they are not the same.
    """
    found = {run: list(store.job(run)["classes"]) for run in runs}
    first = found[runs[0]]
    for run, classes in found.items():
        if classes != first:
            raise RunError(
                f"Run {run} answers {', '.join(classes)}, and run {runs[0]} answers "
                f"{', '.join(first)}: runs of other classes can not be compared."
            )
    return first


def _comparison(document: dict[str, Any], names: dict[str, str]) -> str:
    shared = document["n"]
    runs = [
        (
            one["run"][:8],
            names[one["run"]],
            str(one["rank"]),
            f"{one['right']} of {shared}",
            share(one["accuracy"], one["accuracy_ci"]),
            str(one["test_images"]),
        )
        for one in sorted(document["runs"], key=lambda one: one["rank"])
    ]
    pairs = [
        (
            f"{two['second'][:8]} against {two['first'][:8]}",
            _points(two["accuracy"]["difference"]),
            f"{_points(two['accuracy']['ci'][0])} to {_points(two['accuracy']['ci'][1])}",
            f"{two['only_second']} : {two['only_first']}",
            f"{two['mcnemar_p']:.3f}",
            f"{two['better'][:8]} is better" if two["better"] else two["verdict"],
        )
        for two in document["pairs"]
    ]
    return "\n".join(
        [
            f"On the {shared} test images that all of them have:",
            "",
            table(("run", "name", "rank", "right", "accuracy", "test images"), runs),
            "",
            table(
                ("pair", "points", "95 %", "alone right", "McNemar p", "verdict"),
                pairs,
            ),
        ]
    )


def _points(value: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return "-" if value != value else f"{100 * value:+.1f}"


def operate(options: argparse.Namespace, settings: Settings) -> Answer:
    """Thresholds of a run: what they would do on the test images; save or clear them."""
    store = RunStore(settings)
    run = store.find(options.run_id)
    if options.clear:
        store.save_operating(run, None)
        point, saved = OperatingPoint(), True
    else:
        asked = _point(options)
        changes = asked != OperatingPoint() or options.cheapest
        point, saved = (asked, options.save) if changes else (store.operating(run) or asked, True)
    stored, predictions = store.evaluation(run), store.predictions(run)
    classes = stored["classes"]
    if options.cheapest:
        if not point.positive:
            raise DataError("Say which class is looked for: --positive CLASS.")
        best = operating.cheapest(predictions, classes, point)
        point = replace(point, thresholds={**point.thresholds, point.positive: best})
    if options.save and not options.clear:
        store.save_operating(run, point)
    test = operating.applied(predictions, classes, point)
    note_opened(store.path(run))
    document = {
        "run": run,
        "saved": saved,
        **{name: value for name, value in point.to_json().items() if name != "version"},
        **_effect(test, classes, point),
    }
    return document, _operation(document), 0


def _point(options: argparse.Namespace) -> OperatingPoint:
    limits = {}
    for item in options.threshold:
        name, equals, value = item.rpartition("=")
        try:
            limits[name] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise DataError(f"“{item}” is no threshold: write --threshold CLASS=0.3.")
    return OperatingPoint(limits, options.positive, options.prevalence, options.miss_cost)


def _effect(
    test: "pd.DataFrame", classes: list[str], point: OperatingPoint
) -> dict[str, dict[str, Any]]:
    """The matrix, and each class against the rest."""
    from covidcore.evaluation.metrics import confusion

    point.limits(classes)
    rows = test[test["split"] == "test"]
    matrix = confusion(rows["label"].tolist(), rows["predicted"].tolist(), classes)
    chosen = [point.positive] if point.positive else classes
    return {
        "confusion": matrix.tolist(),
        "classes": {
            name: operating.screening(
                matrix, classes.index(name), point.prevalence, point.miss_cost
            )
            for name in chosen
        },
    }


def _operation(document: dict[str, Any]) -> str:
    rule = str(OperatingPoint(document["thresholds"])) or "none, the most probable class counts"
    lines = [
        (
            name,
            share(one["sensitivity"], one["sensitivity_ci"]),
            share(one["specificity"], one["specificity_ci"]),
            share(one["prevalence"]),
            share(one["ppv"], one["ppv_ci"]),
            share(one["npv"], one["npv_ci"]),
        )
        for name, one in plain(document["classes"]).items()
    ]
    header = ("class", "sensitivity", "specificity", "prevalence", "PPV", "NPV")
    state = "saved with the run" if document["saved"] else "not saved; --save does"
    return f"Thresholds: {rule} ({state}).\n\n{table(header, lines)}"
