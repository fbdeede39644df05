"""The command line: ``python -m covidcore VERB``. Everything a page does, with exit codes.

Results go to standard output (with ``--json``: exactly one document), progress and messages to
standard error. Exit status: 0 done, 1 could not be done, 2 wrong usage, 3 the followed job
failed or was cancelled, 130 interrupted.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from covidcore import __version__, storage
from covidcore.config import DISCLAIMER, Settings
from covidcore.data.split import GROUPINGS
from covidcore.errors import CovidcoreError, RecipeError
from covidcore.show import Line, follow, table, train_result
from covidcore.wording import visible

Answer = tuple[Any, str, int]
"""The JSON document, the same for people, and the exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        document, text, status = options.run(options, Settings.from_environment())
    except CovidcoreError as error:
        print(visible(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except OSError as error:  # a refusal of the system that no room foresaw
        print(visible(f"The system refused: {error}."), file=sys.stderr)
        return 1
    try:
        if options.json:
            print(json.dumps(storage.plain(document), indent=1))
        elif text:
            print(text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stderr.close()
    return int(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m covidcore",
        description=f"A workbench for chest-radiograph classifiers. {DISCLAIMER}",
        epilog="A first try: python -m covidcore train phantoms --preset quick",
    )
    parser.add_argument("--version", action="version", version=f"covidcore {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, text: str, run: Callable[..., Answer]) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text)
        made.add_argument("--json", action="store_true", help="print one JSON document")
        made.set_defaults(run=run)
        return made

    dataset = "a folder of class folders, phantoms[:N], or the start of a fingerprint"
    verb("scan", "index a dataset and say what is in it", _scan).add_argument(
        "dataset", help=dataset
    )
    made = verb("import", "bring a dataset in; several are joined", _import)
    made.add_argument("source", nargs="+", help=dataset)
    made.add_argument("--map", action="append", default=[], metavar="THEIRS=OURS")
    made.add_argument("--to", type=Path, metavar="DIR")
    made = verb("audit", "what could make a model of a dataset look better than it is", _audit)
    made.add_argument("dataset", help=dataset)
    made.add_argument("--split", default="70/10/20", help="shares of training, validation, test")
    made.add_argument("--group-by", default="patient", help=f"one of {', '.join(GROUPINGS)}")
    made.add_argument("--exclude-source", action="append", default=[], metavar="SOURCE")
    made.add_argument("--seed", type=int, default=0)
    made = verb("train", "submit a training job and follow it", _train)
    made.add_argument("dataset", help=dataset)
    made.add_argument("--preset", default="standard")
    made.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    made.add_argument("--name", default="", help="a name to show; not part of the run's identity")
    made.add_argument("--detach", action="store_true", help="do not wait for the end")
    verb("runs", "list the runs", _runs)
    run = "the start of a run's id, or latest"
    for name, text, action in (
        ("cancel", "ask a run to stop", _cancel),
        ("resume", "go on with a run that was stopped", _resume),
        ("remove", "delete a run", _remove),
    ):
        verb(name, text, action).add_argument("run_id", metavar="RUN", help=run)
    made = verb("move", "let a waiting run start earlier or later", _move)
    made.add_argument("run_id", metavar="RUN", help=run)
    made.add_argument("places", type=int, help="so many places later; negative: earlier")
    made = verb("evaluate", "figures of a finished run, with intervals", _evaluate)
    made.add_argument("run_id", metavar="RUN", help=run)
    made.add_argument("--split", choices=("test", "val"), default="test")
    made = verb("predict", "answers, or refusals, about files", _predict)
    made.add_argument("run_id", metavar="RUN", help=run)
    made.add_argument("file", nargs="+", type=Path, help="an image, or a folder of images")
    made.add_argument("--csv", type=Path, metavar="OUT")
    verb("doctor", "what this machine has, and what is missing", _doctor)
    return parser


def _scan(options: argparse.Namespace, settings: Settings) -> Answer:
    from covidcore.data.sources import resolve

    with Line() as line:
        found = resolve(options.dataset, settings, line.progress("scanning", "images"))
    return _described(found)


def _import(options: argparse.Namespace, settings: Settings) -> Answer:
    from covidcore.data.joining import parse_mapping
    from covidcore.data.sources import import_datasets

    mapping = parse_mapping(options.map)
    with Line() as line:
        progress = line.progress("importing", "images")
        found = import_datasets(options.source, settings, mapping, options.to, progress)
    return _described(found)


def _described(found: Any) -> Answer:
    document = found.to_json()
    rows = [(name, str(count)) for name, count in document["classes"].items()]
    ignored = ", ".join(f"{count} {kind}" for kind, count in found.ignored.items() if count)
    lines = [
        visible(found.root),
        f"{document['images']} images, layout {found.layout}, fingerprint {found.fingerprint}",
        table(("class", "images"), rows),
        f"ignored: {ignored or 'nothing'}",
        f"duplicates: {found.duplicates['exact']} exact, {found.duplicates['near']} near",
    ]
    lines += [f"unreadable: {visible(file)}: {reason}" for file, reason in found.unreadable]
    return document, "\n".join(lines), 0


def _audit(options: argparse.Namespace, settings: Settings) -> Answer:
    from covidcore.data.audit import SplitSettings, audit
    from covidcore.data.sources import resolve
    from covidcore.show_audit import described

    chosen = SplitSettings(
        options.split, options.seed, options.group_by, tuple(options.exclude_source)
    )
    with Line() as line:
        found = resolve(options.dataset, settings, line.progress("scanning", "images"))
        document = audit(found, settings.home, chosen, line.progress("auditing", "steps"))
    return document, described(document), 0


def _train(options: argparse.Namespace, settings: Settings) -> Answer:
    from covidcore.data.sources import resolve
    from covidcore.jobs.store import RunStore
    from covidcore.training.recipe import preset

    pairs = [item.partition("=") for item in options.set]
    wrong = [item for item, (_, equals, _) in zip(options.set, pairs, strict=True) if not equals]
    if wrong:
        raise RecipeError(f"“{wrong[0]}” sets nothing: write --set field=value.")
    recipe = preset(options.preset).with_overrides({name.strip(): v for name, _, v in pairs})
    store = RunStore(settings)
    with Line() as line:
        dataset = resolve(options.dataset, settings, line.progress("scanning", "images"))
        submission = store.submit(recipe, dataset, options.name)
        if submission.note:
            line.say(submission.note)
        if not options.detach:
            follow(store, submission.run, line)
    return train_result(store, submission)


def _runs(options: argparse.Namespace, settings: Settings) -> Answer:
    from covidcore.jobs.store import RunStore, runs_as_json

    infos = RunStore(settings).list()
    rows = [
        (
            info.run,
            info.state.value,
            f"{info.epoch}/{info.epochs}",
            "" if info.accuracy is None else f"{info.accuracy:.1%}",
            info.name,
        )
        for info in infos
    ]
    text = table(("run", "state", "epoch", "accuracy", "name"), rows) if rows else "No runs yet."
    return runs_as_json(infos), text, 0


def _cancel(options: argparse.Namespace, settings: Settings) -> Answer:
    return _change(options, settings, "cancel", "was asked to stop")


def _resume(options: argparse.Namespace, settings: Settings) -> Answer:
    return _change(options, settings, "resume", "goes on")


def _remove(options: argparse.Namespace, settings: Settings) -> Answer:
    return _change(options, settings, "remove", "was removed")


def _move(options: argparse.Namespace, settings: Settings) -> Answer:
    from covidcore.jobs.store import RunStore

    store = RunStore(settings)
    run = store.find(options.run_id)
    store.move(run, options.places)
    waiting = store.waiting()
    return {"run": run, "waiting": waiting}, table(("waiting",), [(one,) for one in waiting]), 0


def _change(options: argparse.Namespace, settings: Settings, action: str, what: str) -> Answer:
    from covidcore.jobs.store import RunStore

    store = RunStore(settings)
    run = store.find(options.run_id)
    getattr(store, action)(run)
    state = None if action == "remove" else store.info(run).state.value
    return {"run": run, "state": state}, f"Run {run} {what}.", 0


def _evaluate(options: argparse.Namespace, settings: Settings) -> Answer:
    from covidcore.evaluation.predictions import evaluate
    from covidcore.jobs.store import RunStore
    from covidcore.show import figures

    store = RunStore(settings)
    run = store.find(options.run_id)
    document = store.evaluation(run)
    if options.split != document["split"]:
        document = evaluate(
            store.predictions(run),
            document["classes"],
            run=run,
            dataset=document["dataset"],
            split=options.split,
            temperature=document["temperature"],
        )
    return document, figures(storage.plain(document)), 0


def _predict(options: argparse.Namespace, settings: Settings) -> Answer:
    from covidcore.inference.predictor import Predictor
    from covidcore.inference.table import as_csv, as_table
    from covidcore.jobs.store import RunStore
    from covidcore.show import answers, walk

    store = RunStore(settings)
    predictor = Predictor.open(store.path(store.find(options.run_id)))
    files = walk(options.file)
    found = predictor.predict((str(path), path) for path in files)
    if options.csv:
        storage.write_text(options.csv, as_csv(as_table(found, predictor.classes)))
    return found, answers(found), 0


def _doctor(options: argparse.Namespace, settings: Settings) -> Answer:
    from covidcore.doctor import examine

    facts = examine(settings)
    return facts, "\n".join(f"{name}: {value}" for name, value in facts.items()), 0
