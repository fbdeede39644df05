"""The verbs that look past one split: evaluate, on other datasets too, crossvalidate, stress."""

import argparse
from typing import Any

from covidcore import cli_figures
from covidcore.config import Settings
from covidcore.errors import DataError
from covidcore.show import Answer, Line
from covidcore.show_outside import folds_described, opened_in_words, outside_described
from covidcore.show_stress import stress_described


def evaluate(options: argparse.Namespace, settings: Settings) -> Answer:
    """Figures of a finished run, on its own images or with ``--on`` on those of another dataset.

    Each look at the test figures is counted.
    """
    from covidcore.jobs.openings import note_opened, times_opened
    from covidcore.jobs.store import RunStore

    if options.map and not options.on:
        raise DataError("--map says what classes of another dataset mean: name it with --on.")
    if options.on and options.split != "test":
        raise DataError("--split is of the run's own images: leave it out with --on.")
    if options.on and options.by:
        raise DataError("--by is of the run's own images: leave it out with --on.")
    look = _elsewhere if options.on else cli_figures.evaluate
    document, text, status = look(options, settings)
    if options.on and document["drop"] is None:  # an imported model has no test figures to show
        return document, text, status
    opens = note_opened if options.on or options.split == "test" else times_opened
    document["test_opened"] = opens(RunStore(settings).path(document["run"]))
    return document, f"{text}\n{opened_in_words(document['test_opened'])}", status


def _elsewhere(options: argparse.Namespace, settings: Settings) -> Answer:
    from covidcore.data.joining import parse_mapping
    from covidcore.data.sources import resolve
    from covidcore.jobs.outside import outside_study
    from covidcore.jobs.store import RunStore

    mapping = parse_mapping(options.map)
    store = RunStore(settings)
    run = store.find(options.run_id)
    with Line() as line:
        progress = line.progress("scanning", "images")
        dataset = resolve(options.on, settings, progress, line.moving())
        document = outside_study(store, run, dataset, mapping).follow(line.doing)
    return _public(document), outside_described(document), 0


def crossvalidate(options: argparse.Namespace, settings: Settings) -> Answer:
    """The head of a run trained and tested again and again on other parts of its dataset."""
    from covidcore.jobs.folds import folds_study
    from covidcore.jobs.store import RunStore

    store = RunStore(settings)
    run = store.find(options.run_id)
    with Line() as line:
        study = folds_study(store, run, options.folds, options.repeats)
        document = study.follow(line.doing)
    return _public(document), folds_described(document), 0


def stress(options: argparse.Namespace, settings: Settings) -> Answer:
    """What altered test images, and sources left out, tell about a run; a look at its test set."""
    from covidcore.jobs.openings import note_opened
    from covidcore.jobs.store import RunStore
    from covidcore.jobs.stress import stress_study

    store = RunStore(settings)
    run = store.find(options.run_id)
    with Line() as line:
        document = _public(stress_study(store, run).follow(line.doing))
    document["test_opened"] = times = note_opened(store.path(run))
    return document, f"{stress_described(document)}\n{opened_in_words(times)}", 0


def _public(document: "dict[str, Any]") -> "dict[str, Any]":
    return {name: value for name, value in document.items() if name != "stamp"}
