"""Sweeps on the command line: ``train --grid``, followed to the end, and the verb ``sweeps``."""

import argparse
import contextlib
import threading
from collections.abc import Collection, Sequence
from typing import Any

from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.errors import RecipeError, RunError
from covidcore.jobs.folder import State
from covidcore.jobs.grid import Sweep, in_words
from covidcore.jobs.info import RunInfo
from covidcore.jobs.store import RunStore, Submission
from covidcore.jobs.sweep_info import Setting, SweepInfo, summarise
from covidcore.jobs.sweeps import Sweeps
from covidcore.show import Answer, Line, standing, table, train_document
from covidcore.training.recipe import Recipe
from covidcore.wording import visible

_POLL_SECONDS = 0.5


def parse_grid(items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read ``field=value,value``; values that hold commas are parted by semicolons.

    Raises: RecipeError where it is not of this form, or a field is given twice.
    """
    grid: dict[str, tuple[str, ...]] = {}
    for item in items:
        field, equals, text = item.partition("=")
        field = field.strip()
        if not equals:
            raise RecipeError(f"“{item}” is no grid: write --grid field=value,value.")
        if field in grid:
            raise RecipeError(f"The grid has {field} twice: write all its values after one --grid.")
        grid[field] = tuple(text.split(";" if ";" in text else ","))
    return grid


def train(
    store: RunStore,
    recipe: Recipe,
    grid: dict[str, tuple[str, ...]],
    dataset: Dataset,
    options: argparse.Namespace,
    line: Line,
) -> Answer:
    """Submit a grid over a recipe; follow all its runs unless ``options.detach``."""
    submissions: dict[str, Submission] = {}

    def told(submission: Submission) -> None:
        if submission.note and not any(one.note for one in submissions.values()):
            line.say(submission.note)
        submissions[submission.run] = submission
        line.update(f"submitted {len(submissions)} runs")

    sweep = Sweeps(store).submit(recipe, grid, dataset, options.name, told)
    if not options.detach:
        follow(store, sweep, line)
    cached = {run for run, submission in submissions.items() if submission.cached}
    shown = summarise(sweep, _infos(store, sweep))
    return _document(store, shown, cached), _text(shown), _status(shown)


def sweeps(options: argparse.Namespace, settings: Settings) -> Answer:
    """List the sweeps, or show one."""
    store = RunStore(settings)
    if options.sweep_id:
        shown = summarise(found := Sweeps(store).find(options.sweep_id), _infos(store, found))
        return _document(store, shown), _text(shown), 0
    infos = store.list()
    every = [summarise(sweep, infos) for sweep in Sweeps(store).list()]
    documents = [
        {
            "sweep": shown.sweep.id,
            "name": shown.sweep.name,
            "state": shown.state.value,
            "dataset": shown.sweep.dataset,
            "runs": len(set(shown.sweep.runs)),
            "done": shown.counts.get(State.DONE, 0),
            "progress": shown.progress,
            "best": shown.best.run if shown.best else None,
            "created": shown.sweep.created,
        }
        for shown in every
    ]
    header = ("sweep", "state", "done", "best", "name")
    rows = [
        (
            shown.sweep.id,
            shown.state.value,
            f"{shown.counts.get(State.DONE, 0)}/{len(set(shown.sweep.runs))}",
            shown.best.run if shown.best else "-",
            shown.sweep.name,
        )
        for shown in every
    ]
    return documents, table(header, rows) if rows else "No sweeps yet.", 0


def follow(store: RunStore, sweep: Sweep, line: Line) -> None:
    """Show a sweep until it ends. An interrupt asks it to stop, and goes on to the caller."""
    pause, told = threading.Event(), set[str]()
    recipes = dict(zip(sweep.runs, sweep.recipes, strict=True))
    words = {run: _values(recipe, sweep) for run, recipe in recipes.items()}
    try:
        while True:
            store.advance()
            infos = _infos(store, sweep)
            ended = {info.run: info for info in infos if info.state.ended}
            for run in [run for run in words if run in ended and run not in told]:
                line.say(f"run {run} ({words[run]}): {_end(ended[run])}")
            told = set(ended)
            if summarise(sweep, infos).state.ended:
                return
            running = next((info for info in infos if info.state is State.RUNNING), None)
            now = f"{words[running.run]}: {standing(running)}" if running else "queued"
            line.update(
                f"{len(ended)} of {len(words)} runs ended; {now} {store.queue.problem}".strip()
            )
            pause.wait(_POLL_SECONDS)
    except KeyboardInterrupt:
        with contextlib.suppress(Exception):
            Sweeps(store).cancel(sweep)
            line.say(f"Sweep {sweep.id} was asked to stop; resume {sweep.id} goes on with it.")
        raise


def _infos(store: RunStore, sweep: Sweep) -> list[RunInfo]:
    """The runs of a sweep that are there, in its order."""
    by_run = {info.run: info for info in store.list()}
    return [by_run[run] for run in dict.fromkeys(sweep.runs) if run in by_run]


def _values(recipe: Recipe, sweep: Sweep) -> str:
    return in_words({field: getattr(recipe, field) for field in sweep.grid})


def _end(info: RunInfo) -> str:
    if info.state is not State.DONE:
        return f"{info.state}. {visible(info.message)}".strip()
    loss = "none" if info.val_loss is None else f"{info.val_loss:.4f}"
    return f"done after {info.epoch} epochs, validation loss {loss}"


def _status(shown: SweepInfo) -> int:
    """3 where any run ended but not as done, or is not there any more."""
    bad = {state for state in shown.counts if state.ended} - {State.DONE}
    return 3 if bad or shown.missing else 0


def _document(store: RunStore, shown: SweepInfo, cached: Collection[str] = ()) -> Any:
    best = shown.best
    return {
        "sweep": shown.sweep.id,
        "name": shown.sweep.name,
        "grid": {field: list(values) for field, values in shown.sweep.grid.items()},
        "runs": [
            {"run": run, "state": "missing"}
            if run in shown.missing
            else _run_document(store, Submission(run, run in cached))
            for run in dict.fromkeys(shown.sweep.runs)
        ],
        "settings": [
            {
                "values": setting.values,
                "runs": setting.runs,
                "seeds": setting.seeds,
                "done": setting.done,
                "val_loss": setting.val_loss,
                "val_loss_std": setting.val_loss_std,
            }
            for setting in shown.settings
        ],
        "best": best
        and {
            "values": best.setting.values,
            "val_loss": best.setting.val_loss,
            "run": best.run,
            "run_val_loss": best.val_loss,
        },
    }


def _run_document(store: RunStore, submission: Submission) -> dict[str, Any]:
    """The contract's ``train``; one run with damaged files does not hide the others."""
    try:
        return train_document(store, submission)
    except RunError:
        return {"run": submission.run, "state": "damaged"}


def _text(shown: SweepInfo) -> str:
    sweep, best = shown.sweep, shown.best
    header = ("setting", "done", "validation loss", "deviation")
    rows = [_row(setting) for setting in shown.settings]
    lines = [f"sweep {sweep.id} is {shown.state}", table(header, rows)]
    if shown.missing:
        lines.append(f"removed meanwhile: {', '.join(shown.missing)}")
    if best:
        lines.append(f"best by validation: {in_words(best.setting.values) or 'the only setting'}")
        lines.append(f"its run of least validation loss: {best.run} ({best.val_loss:.4f})")
    return "\n".join([*lines, shown.note] if shown.note else lines)


def _row(setting: Setting) -> tuple[str, ...]:
    """Mean and standard deviation over the seeds that are done."""
    figures = (setting.val_loss, setting.val_loss_std)
    return (
        in_words(setting.values) or "as the recipe says",
        f"{setting.done}/{len(setting.runs)}",
        *("-" if figure is None else f"{figure:.4f}" for figure in figures),
    )
