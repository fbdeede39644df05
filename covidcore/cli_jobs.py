"""The verbs about jobs: train, runs, cancel, resume, remove, move."""

import argparse

from covidcore import cli_sweeps
from covidcore.config import Settings
from covidcore.data.sources import resolve
from covidcore.errors import RecipeError, RunError
from covidcore.jobs.grid import Sweep, expand
from covidcore.jobs.info import runs_as_json
from covidcore.jobs.removal import lost_in_words
from covidcore.jobs.store import RunStore
from covidcore.jobs.sweeps import Sweeps, summarise
from covidcore.show import Answer, Line, follow, foretell, table, train_result
from covidcore.training.recipe import preset


def train(options: argparse.Namespace, settings: Settings) -> Answer:
    """Submit a recipe and follow the run."""
    pairs = [item.partition("=") for item in options.set]
    wrong = [item for item, (_, equals, _) in zip(options.set, pairs, strict=True) if not equals]
    if wrong:
        raise RecipeError(f"“{wrong[0]}” sets nothing: write --set field=value.")
    recipe = preset(options.preset).with_overrides({name.strip(): v for name, _, v in pairs})
    grid = cli_sweeps.parse_grid(options.grid)
    if grid:
        expand(recipe, grid)  # what is wrong with it is told before a folder is read for minutes
    store = RunStore(settings)
    with Line() as line:
        progress = line.progress("scanning", "images")
        dataset = resolve(options.dataset, settings, progress, line.moving())
        if grid:
            return cli_sweeps.train(store, recipe, grid, dataset, options, line)
        foretell(store, recipe, dataset, line)
        submission = store.submit(recipe, dataset, options.name)
        if submission.note:
            line.say(submission.note)
        if not options.detach:
            follow(store, submission.run, line)
    return train_result(store, submission)


def runs(options: argparse.Namespace, settings: Settings) -> Answer:
    """List the runs."""
    store = RunStore(settings)
    infos = store.list()
    rows = [
        (
            info.run,
            info.state.value,
            "" if info.imported else f"{info.epoch}/{info.epochs}",
            "" if info.accuracy is None else f"{info.accuracy:.1%}",
            info.name,
        )
        for info in infos
    ]
    text = table(("run", "state", "epoch", "accuracy", "name"), rows) if rows else "No runs yet."
    if store.lost:
        text += f"\n{lost_in_words(store.lost)}"
    return runs_as_json(infos), text, 0


def cancel(options: argparse.Namespace, settings: Settings) -> Answer:
    """Ask a run to stop."""
    return _change(options, settings, "cancel", "was asked to stop")


def resume(options: argparse.Namespace, settings: Settings) -> Answer:
    """Queue a run again."""
    return _change(options, settings, "resume", "goes on")


def remove(options: argparse.Namespace, settings: Settings) -> Answer:
    """Delete a run."""
    return _change(options, settings, "remove", "was removed")


def move(options: argparse.Namespace, settings: Settings) -> Answer:
    """Let a waiting run start earlier or later."""
    store = RunStore(settings)
    run = store.find(options.run_id)
    store.move(run, options.places)
    waiting = store.waiting()
    return {"run": run, "waiting": waiting}, table(("waiting",), [(one,) for one in waiting]), 0


def _change(options: argparse.Namespace, settings: Settings, action: str, what: str) -> Answer:
    store = RunStore(settings)
    found = _find(store, options.run_id)
    if isinstance(found, str):
        getattr(store, action)(found)
        state = None if action == "remove" else store.info(found).state.value
        return {"run": found, "state": state}, f"Run {found} {what}.", 0
    if action == "remove":
        Sweeps(store).remove(found, runs=options.runs)
        return {"sweep": found.id, "state": None}, f"Sweep {found.id} {what}.", 0
    getattr(Sweeps(store), action)(found)
    state = summarise(found, store.list()).state.value
    return {"sweep": found.id, "state": state}, f"Sweep {found.id} {what}.", 0


def _find(store: RunStore, prefix: str) -> str | Sweep:
    """The run or the sweep whose id begins with ``prefix``.

    Raises: RunError where there is none, or more than one.
    """
    sweeps = Sweeps(store)
    if not any(sweep.id.startswith(prefix) for sweep in sweeps.list()):
        return store.find(prefix)
    if any(info.run.startswith(prefix) for info in store.list()):
        raise RunError(f"Ids of runs and of sweeps begin with “{prefix}”: give more of the id.")
    return sweeps.find(prefix)
