"""The verbs about jobs: train, runs, cancel, resume, remove, move."""

import argparse

from covidcore.config import Settings
from covidcore.errors import RecipeError
from covidcore.show import Answer, Line, follow, foretell, table, train_result


def train(options: argparse.Namespace, settings: Settings) -> Answer:
    """Submit a recipe and follow the run."""
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
        foretell(store, recipe, dataset, line)
        submission = store.submit(recipe, dataset, options.name)
        if submission.note:
            line.say(submission.note)
        if not options.detach:
            follow(store, submission.run, line)
    return train_result(store, submission)


def runs(options: argparse.Namespace, settings: Settings) -> Answer:
    """List the runs."""
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
