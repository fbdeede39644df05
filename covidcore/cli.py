"""The command line: ``python -m covidcore VERB``. Everything a page does, with exit codes.

Results go to standard output (with ``--json``: exactly one document), progress and messages to
standard error. Exit status: 0 done, 1 could not be done, 2 wrong usage, 3 the followed job
failed or was cancelled, 130 interrupted.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from covidcore import (
    __version__,
    cli_data,
    cli_figures,
    cli_help,
    cli_jobs,
    cli_lab,
    cli_models,
    cli_outside,
    cli_report,
    cli_sweeps,
    storage,
)
from covidcore.config import DISCLAIMER, Settings
from covidcore.data.split import GROUPINGS
from covidcore.errors import CovidcoreError, RunError
from covidcore.show import Answer
from covidcore.terminal import paint
from covidcore.wording import visible


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        document, text, status = options.run(options, Settings.from_environment())
    except CovidcoreError as error:
        _refuse(visible(error), options.verb)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except OSError as error:  # a refusal of the system that no room foresaw
        _refuse(visible(f"The system refused: {error}."), options.verb)
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


def _refuse(sentence: str, verb: str) -> None:
    """Say why, and at a terminal what a right command looks like."""
    print(paint(sentence, "red", sys.stderr), file=sys.stderr)
    if sys.stderr.isatty():
        print(paint(cli_help.hint(verb), "faint", sys.stderr), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m covidcore",
        description=f"A workbench for chest-radiograph classifiers. {DISCLAIMER}",
        epilog="A first try, offline and without data: python -m covidcore train phantoms "
        "--preset quick. Then: evaluate latest, stress latest, report latest --out report.html. "
        "Each verb has examples: python -m covidcore VERB --help",
    )
    parser.add_argument("--version", action="version", version=f"covidcore {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, text: str, run: Callable[..., Answer]) -> argparse.ArgumentParser:
        made = verbs.add_parser(
            name,
            help=text,
            description=text,
            epilog=cli_help.epilog(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.add_argument("--json", action="store_true", help="print one JSON document")
        made.set_defaults(run=run, verb=name)
        return made

    dataset = (
        "a folder of class folders, or with a labels.csv (or another .csv in it), a .zip of one, "
        "kaggle[:owner/name[/versions/N]], phantoms[:N], or the start of a fingerprint"
    )
    verb("scan", "index a dataset and say what is in it", cli_data.scan).add_argument(
        "dataset", help=dataset
    )
    made = verb("import", "bring a dataset in; several are joined", cli_data.bring_in)
    made.add_argument("source", nargs="+", help=dataset)
    made.add_argument("--map", action="append", default=[], metavar="THEIRS=OURS")
    made.add_argument("--to", type=Path, metavar="DIR")
    text = "what could make a model of a dataset look better than it is"
    made = verb("audit", text, cli_data.audit)
    made.add_argument("dataset", help=dataset)
    made.add_argument("--split", default="70/10/20", help="shares of training, validation, test")
    made.add_argument("--group-by", default="patient", help=f"one of {', '.join(GROUPINGS)}")
    made.add_argument("--exclude-source", action="append", default=[], metavar="SOURCE")
    made.add_argument("--seed", type=int, default=0)
    made = verb("train", "submit a training job and follow it", cli_jobs.train)
    made.add_argument("dataset", help=dataset)
    made.add_argument("--preset", default="standard")
    made.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    made.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="FIELD=VALUE,VALUE",
        help="train every combination as one sweep; values that hold commas are parted by ;",
    )
    made.add_argument("--name", default="", help="a name to show; not part of the run's identity")
    made.add_argument("--detach", action="store_true", help="do not wait for the end")
    verb("runs", "list the runs", cli_jobs.runs)
    made = verb("sweeps", "list the sweeps, or show one", cli_sweeps.sweeps)
    made.add_argument("sweep_id", metavar="SWEEP", nargs="?", help="the start of a sweep's id")
    run = "the start of a run's id, or latest"
    for name, text, action in (
        ("cancel", "ask a run or a sweep to stop", cli_jobs.cancel),
        ("resume", "go on with what was stopped", cli_jobs.resume),
        ("remove", "delete a run, or forget a sweep", cli_jobs.remove),
    ):
        made = verb(name, text, action)
        made.add_argument("run_id", metavar="RUN", help=f"{run}; or the start of a sweep's")
    made.add_argument("--runs", action="store_true", help="with a sweep: delete its runs too")
    made = verb("move", "let a waiting run start earlier or later", cli_jobs.move)
    made.add_argument("run_id", metavar="RUN", help=run)
    made.add_argument("places", type=int, help="so many places later; negative: earlier")
    made = verb("evaluate", "figures of a finished run, with intervals", cli_outside.evaluate)
    made.add_argument("run_id", metavar="RUN", help=run)
    made.add_argument("--split", choices=("test", "val"), default="test")
    made.add_argument("--by", metavar="COLUMN", help="also by a column of the index: source, ...")
    made.add_argument("--on", metavar="DATASET", help="on another dataset than the run's own")
    made.add_argument("--map", action="append", default=[], metavar="THEIRS=OURS")
    made = verb("compare", "runs against one another, on the same test images", cli_figures.compare)
    made.add_argument("run_id", metavar="RUN", nargs="+", help=run)
    made = verb("operate", "thresholds: what they do, and keep them", cli_figures.operate)
    made.add_argument("run_id", metavar="RUN", help=run)
    made.add_argument("--threshold", action="append", default=[], metavar="CLASS=P")
    made.add_argument("--positive", default="", metavar="CLASS", help="the class looked for")
    made.add_argument("--prevalence", type=float, metavar="P", help="its share of the people")
    text = "what a missed case costs, in false alarms (1)"
    made.add_argument("--miss-cost", type=float, default=1.0, metavar="N", help=text)
    text = "the threshold of least cost on the validation images, for the class looked for"
    made.add_argument("--cheapest", action="store_true", help=text)
    keep = made.add_mutually_exclusive_group()
    keep.add_argument("--save", action="store_true", help="predictions of the run then use them")
    keep.add_argument("--clear", action="store_true", help="answer as it was trained")
    text = "train the head of a run on other parts of its dataset, again and again"
    made = verb("crossvalidate", text, cli_outside.crossvalidate)
    made.add_argument("run_id", metavar="RUN", help=run)
    made.add_argument("--folds", type=int, default=5)
    made.add_argument("--repeats", type=int, default=5)
    text = "what is stored of a run, item by item of CLAIM 2024 and TRIPOD+AI"
    made = verb("report", text, cli_report.report)
    made.add_argument("run_id", metavar="RUN", help=run)
    text = "a file to write, .html or .md; without one, Markdown is printed"
    made.add_argument("--out", type=Path, metavar="FILE", help=text)
    text = "a model to take away, checked: as ONNX, or as a checkpoint for import-model"
    made = verb("export", text, cli_models.export)
    made.add_argument("run_id", metavar="RUN", help=run)
    to = made.add_mutually_exclusive_group(required=True)
    to.add_argument("--onnx", type=Path, metavar="FILE", help="FILE.json is written beside it")
    to.add_argument("--checkpoint", type=Path, metavar="FILE.zip", help="or a folder to make")
    text = "a checkpoint without pictures of its training images, and half the size"
    made.add_argument("--share", action="store_true", help=text)
    text = "bring in a checkpoint that export has written; nothing is unpickled"
    made = verb("import-model", text, cli_models.import_model)
    made.add_argument("source", type=Path, metavar="FOLDER_OR_ZIP")
    text = "lungs out, a source left out, corruptions: what a run does on altered images"
    verb("stress", text, cli_outside.stress).add_argument("run_id", metavar="RUN", help=run)
    made = verb("predict", "answers, or refusals, about files", _predict)
    made.add_argument("run_id", metavar="RUN", help=run)
    made.add_argument("file", nargs="+", type=Path, help="an image, or a folder of images")
    made.add_argument("--csv", type=Path, metavar="OUT")
    text = "answer also where the gate refuses, and say so"
    made.add_argument("--anyway", action="store_true", help=text)
    text = "the images are negatives: turn black and white round"
    made.add_argument("--invert", action="store_true", help=text)
    text = "plant a shortcut in phantoms: what notices, and what does not"
    made = verb("lab", text, cli_lab.lab)
    text = "of one class's images, how many carry a mark in the corner; above 0, at most 1"
    made.add_argument("--share", type=float, default=0.9, metavar="P", help=text)
    verb("doctor", "what this machine has, and what is missing", _doctor)
    return parser


def _predict(options: argparse.Namespace, settings: Settings) -> Answer:
    from covidcore.inference.meaning import matrix_of_test, meanings
    from covidcore.inference.predictor import BATCH, Predictor
    from covidcore.inference.table import as_csv, as_table
    from covidcore.jobs.models import model_folder
    from covidcore.jobs.store import RunStore
    from covidcore.show_predict import answers, walk

    store = RunStore(settings)
    run = store.find(options.run_id)
    files = list(walk(options.file))
    # Few are answered before threads of their own would have begun.
    threads = 1 if len(files) <= BATCH else os.cpu_count() or 1
    predictor = Predictor.open(model_folder(store, run), settings.home, threads, settings.backend)
    point = store.operating(run)
    if point and point.thresholds:
        print(visible(f"This run answers by thresholds: {point}."), file=sys.stderr)
    items = ((str(path), path) for path in files)
    found = predictor.predict(items, point, anyway=options.anyway, invert=options.invert)
    if options.csv:
        meant = {}
        with contextlib.suppress(RunError):  # its results are damaged; the model is not
            matrix = matrix_of_test(store.predictions(run), predictor.classes, point)
            meant = meanings(matrix, predictor.classes)
        table = as_table(found, predictor.classes, meant, run, point)
        storage.write_text(options.csv, as_csv(table))
    if predictor.missing:
        print(predictor.missing, file=sys.stderr)
    return found, answers(found), 0


def _doctor(options: argparse.Namespace, settings: Settings) -> Answer:
    from covidcore.doctor import examine

    facts = examine(settings)
    return facts, "\n".join(f"{name}: {value}" for name, value in facts.items()), 0
