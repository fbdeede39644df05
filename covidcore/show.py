"""How the command line shows things to a person: tables, a progress line, a followed job."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from covidcore.config import DISCLAIMER
from covidcore.data.index import Dataset
from covidcore.errors import DataError
from covidcore.jobs.estimate import (
    PROBE_SECONDS,
    Forecaster,
    parts_in_words,
    start_probe,
    to_probe,
)
from covidcore.jobs.folder import State
from covidcore.jobs.info import RunInfo
from covidcore.jobs.store import RunStore, Submission
from covidcore.training.recipe import Recipe
from covidcore.wording import visible

Answer = tuple[Any, str, int]
"""Of a command: the JSON document, the same for people, and the exit status."""

FIGURES = ("recall", "specificity", "precision", "f1", "auc")
"""Of each class, in the order in which they are shown."""

_POLL_SECONDS = 0.25


class Line:
    """One line on standard error that is written over while work goes on.

    Where standard error is no terminal, only what is worth keeping is printed.
    """

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self._width = 0

    def __enter__(self) -> "Line":
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Wipe the line."""
        self.update("")

    def update(self, text: str) -> None:
        """Write over the line."""
        if self.live:
            sys.stderr.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
            sys.stderr.flush()
            self._width = len(text)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.update("")
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def progress(self, verb: str, noun: str) -> Callable[[int, int], None]:
        """A callback that shows ``verb 12 of 300 noun``."""

        def report(done: int, total: int) -> None:
            if done % 25 == 0 or done == total:
                self.update(f"{verb} {done} of {total} {noun}")

        return report

    def doing(self, what: str, done: int, total: int) -> None:
        """Show how far a longer question is, as `jobs.studies.Report`."""
        self.update(f"{what}: {done:,} of {total:,}" if total else what)

    def moving(self) -> Callable[[str, int, int], None]:
        """A callback that shows ``what: 12 of 300 MB``; or ``what`` alone, once, in a file."""
        said = ""

        def report(what: str, done: int, total: int) -> None:
            nonlocal said
            what = visible(what)
            if what != said and not self.live:
                self.say(f"{what}.")
            said = what
            self.update(f"{what}: {done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else what)

        return report


def foretell(store: RunStore, recipe: Recipe, dataset: Dataset, line: Line) -> None:
    """Say what a run will take. Where that is not known, a person at a terminal waits for a probe.

    A script is not made to wait, and nothing is measured beside a run.
    """
    known = store.existing(recipe, dataset)
    if known and known.state is State.DONE:
        return
    infos = store.list()
    finished = [store.path(info.run) for info in infos if info.state is State.DONE]
    found = Forecaster(store.settings, finished).estimate(recipe, dataset)
    idle = all(info.state is not State.RUNNING for info in infos)
    if found is None and line.live and idle:
        line.update("measuring what a run takes here")
        probe = start_probe(store.settings, dataset, to_probe(store.settings, dataset, [recipe]))
        if probe:
            with contextlib.suppress(subprocess.TimeoutExpired):
                probe.wait(PROBE_SECONDS)
        found = Forecaster(store.settings, finished).estimate(recipe, dataset)
    if found:
        what = parts_in_words(found.parts)
        line.say(f"This will take {found} on this machine: {what}.")


def follow(store: RunStore, run: str, line: Line) -> None:
    """Show a run until it ends. An interrupt asks it to stop, and goes on to the caller."""
    pause, shown = threading.Event(), 0
    try:
        while True:
            store.advance()
            info = store.info(run)
            line.update(f"{standing(info)} {store.queue.problem}".strip())
            history = store.history(run)
            for row in history.iloc[shown:].itertuples():
                line.say(
                    f"epoch {row.epoch}: loss {row.train_loss:.4f}, validation loss "
                    f"{row.val_loss:.4f}, validation accuracy {row.val_accuracy:.1%}"
                )
            shown = len(history)
            if info.state.ended:
                return
            pause.wait(_POLL_SECONDS)
    except KeyboardInterrupt:
        with contextlib.suppress(Exception):
            store.cancel(run)
            line.say(f"Run {run} was asked to stop; resume {run} goes on with it.")
        raise


def standing(info: RunInfo) -> str:
    """What a run is doing, on one line."""
    if info.state is not State.RUNNING:
        return info.state.value
    where = f"epoch {info.epoch}/{info.epochs} " if info.phase == "training" else ""
    rate = f", {info.images_per_second:.0f} images/s" if info.images_per_second else ""
    left = f", {info.eta_seconds:.0f} s left" if info.eta_seconds is not None else ""
    return f"{info.phase} {where}{info.step}/{info.steps}{rate}{left}"


def train_result(store: RunStore, submission: Submission) -> Answer:
    """The contract's ``train`` document, its text, and the exit status."""
    document = train_document(store, submission)
    if document["test"] is not None:
        again = " (finished before)" if submission.cached else ""
        return document, f"run {submission.run}{again}\n{figures(document['test'])}", 0
    state = State(document["state"])  # as it was then: it may have gone on
    text = f"Run {submission.run} is {state}. {store.info(submission.run).message}".strip()
    if state.ended:
        Line().say(text)
        return document, "", 3
    return document, text, 0


def train_document(store: RunStore, submission: Submission) -> dict[str, Any]:
    """A run as the contract's ``train`` has it; ``test`` is None until it is done."""
    run = submission.run
    info, status = store.info(run), store.status(run)
    return {
        "run": run,
        "state": info.state.value,
        "cached": submission.cached,
        "seconds": info.seconds,
        "epochs": info.epoch,
        "best_epoch": status.get("best_epoch"),
        "val_loss": status.get("val_loss"),
        "test": store.evaluation(run) if info.state is State.DONE else None,
    }


def figures(document: dict[str, Any]) -> str:
    """An evaluation for people: matrix, figures a class, accuracy with its interval."""
    classes = document["classes"]
    matrix = [
        (name, *map(str, row)) for name, row in zip(classes, document["confusion"], strict=True)
    ]
    per_class = [
        (
            name,
            str(values["n"]),
            *(share(values[name], values.get(f"{name}_ci")) for name in FIGURES),
        )
        for name, values in document["per_class"].items()
    ]
    return "\n".join(
        [
            table(("truth \\ answer", *classes), matrix),
            "",
            table(("class", "n", *FIGURES), per_class),
            "",
            f"accuracy {share(document['accuracy'], document['accuracy_ci'])} of {document['n']} "
            f"{document['split']} images; a rule that sees only the source: "
            f"{share(document['source_only_accuracy'])}",
            DISCLAIMER,
        ]
    )


def share(value: float | None, interval: Sequence[float | None] | None = None) -> str:
    """A proportion in per cent with its 95 % interval; a dash where it is not defined."""
    if value is None or value != value:
        return "-"
    if not interval or None in interval:
        return f"{100 * value:.1f} %"
    low, high = (100 * float(bound or 0) for bound in interval)
    return f"{100 * value:.1f} % ({low:.1f}-{high:.1f})"


def answers(found: Sequence[dict[str, Any]]) -> str:
    """Answers and refusals, a line a file."""
    lines = []
    for one in found:
        file = visible(one["file"])
        refused = f"refused ({one['refused']}): {one['reason']}" if one["refused"] else ""
        if one["answer"] is None:
            lines.append(f"{file}: {refused}")
        else:
            chance = one["probabilities"][one["answer"]]
            lines.append(f"{file}: {visible(one['answer'])} ({100 * chance:.1f} %)")
            lines.extend([f"  Answered anyway, though {refused}"] if refused else [])
            lines.extend(f"  {visible(warning)}" for warning in one["warnings"])
        if one["near_training_image"]:
            lines.append(f"  {memory(visible(one['near_training_image']))}")
    return "\n".join([*lines, DISCLAIMER])


def memory(file: str) -> str:
    """The sentence about an image that is a training image, or like one."""
    return (
        f"This image, or a near copy, is in the training set ({file}): this is memory, not "
        "prediction."
    )


def walk(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and every file below a folder that is not hidden, sorted.

    Raises: DataError where a folder holds no file.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        below = [
            one
            for one in sorted(path.rglob("*"))
            if one.is_file() and not any(p.startswith(".") for p in one.relative_to(path).parts)
        ]
        if not below:
            raise DataError(f"There is no file in {path}.")
        found.extend(below)
    return found


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text; the first to the left, the rest to the right."""
    header, *rows = [[visible(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)
