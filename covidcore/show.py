"""How the command line shows things to a person: tables, a progress line, a followed job."""

import contextlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from covidcore.config import DISCLAIMER
from covidcore.data.index import Dataset
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
from covidcore.terminal import bar, paint
from covidcore.training.recipe import Recipe
from covidcore.wording import visible

Answer = tuple[Any, str, int]
"""Of a command: the JSON document, the same for people, and the exit status."""

FIGURES = ("recall", "specificity", "precision", "f1", "auc")
"""Of each class, in the order in which they are shown."""

_POLL_SECONDS = 0.25

COLOURS = {
    State.DONE.value: "green",
    State.RUNNING.value: "blue",
    State.FAILED.value: "red",
    State.CANCELLED.value: "yellow",
    State.INTERRUPTED.value: "yellow",
}
_STATES = re.compile(rf"(?<=  )({'|'.join(COLOURS)})(?=  )")


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
        """A callback that shows ``verb 12 of 300 noun`` with a bar."""

        def report(done: int, total: int) -> None:
            if done % 25 == 0 or done == total:
                self.update(f"{bar(done, total)} {verb} {done:,} of {total:,} {noun}")

        return report

    def doing(self, what: str, done: int, total: int) -> None:
        """Show how far a longer question is, as `jobs.studies.Report`."""
        self.update(f"{bar(done, total)} {what}: {done:,} of {total:,}" if total else what)

    def moving(self) -> Callable[[str, int, int], None]:
        """A callback that shows ``what: 12 of 300 MB``; or ``what`` alone, once, in a file."""
        said = ""

        def report(what: str, done: int, total: int) -> None:
            nonlocal said
            what = visible(what)
            if what != said and not self.live:
                self.say(f"{what}.")
            said = what
            size = f"{what}: {done / 1e6:.1f} of {total / 1e6:.1f} MB"
            self.update(f"{bar(done, total)} {size}" if total else what)

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
    done = info.step / max(info.steps, 1)
    if info.phase == "training":
        done = (info.epoch - 1 + done) / max(info.epochs, 1)
    far = bar(round(1000 * done), 1000)
    return f"{far} {info.phase} {where}{info.step}/{info.steps}{rate}{left}"


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


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text; the first to the left, the rest to the right."""
    header, *rows = [[visible(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]
    return "\n".join([paint(lines[0], "bold", sys.stdout), *map(_with_states, lines[1:])])


def _with_states(line: str) -> str:
    """A row of a table; at a terminal the states of runs in it have their colours."""
    return _STATES.sub(lambda found: paint(found[0], COLOURS[found[0]], sys.stdout), line)
