"""Runs that go: one that somebody removes, and old ones of a demo's visitors."""

import shutil
from collections.abc import Sequence
from typing import Any

from covidcore.errors import RunError
from covidcore.jobs.demo import Rules
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.queue import Queue


def remove(queue: Queue, folder: RunFolder) -> None:
    """Delete a run and all its files.

    Raises: RunError where it is running.
    """
    if queue.state(folder) is State.QUEUED:
        queue.stop(folder)  # it may wait on a cluster, where it would start in vain
    with queue.locked():
        if queue.state(folder) is State.RUNNING:
            raise RunError(f"The run {folder.run} is running: cancel it first.")
        for left in queue.folder.glob(".removed-*"):  # of removals that were cut short
            shutil.rmtree(left, ignore_errors=True)
        aside = queue.folder / f".removed-{folder.run}"
        folder.path.rename(aside)  # gone for every reader at once
    shutil.rmtree(aside, ignore_errors=True)


def lost_runs(queue: Queue, prefix: str) -> list[RunFolder]:
    """Folders whose name begins so, and which do not say which run they are."""
    found = (RunFolder(path) for path in sorted(queue.folder.glob("[!.]*")))
    return [folder for folder in found if folder.run.startswith(prefix) and folder.is_lost()]


def lost_in_words(runs: Sequence[str]) -> str:
    """A sentence on runs that are in no list, and the way out; there is at least one."""
    one = len(runs) == 1
    return (
        f"{'A run is' if one else f'{len(runs):,} runs are'} damaged and not listed "
        f"({', '.join(runs)}): job.json, which says what {'it was' if one else 'they were'}, is "
        "missing or damaged. Submit the same recipe on the same dataset again (or import the same "
        f"model), which finds all that is there; or remove {'it' if one else 'them'}."
    )


def _job(folder: RunFolder) -> dict[str, Any]:
    """What was asked for; empty where that can not be read, which is no reason to stop others."""
    try:
        return folder.read_job()
    except RunError:
        return {}


def make_room(queue: Queue, rules: Rules, folder: RunFolder) -> None:
    """In a demo, see that ``folder`` may wait, new or again, and remove old runs for it.

    The caller holds the submit lock. Raises: RunError, or Busy, where it may not.
    """
    if not rules.bounded:
        return
    others = [other for other in queue.folders() if other.run != folder.run]
    if folder.job.is_file():
        rules.check_again(folder.read_job())
    states = {other: queue.state(other) for other in others}
    going = [other.run for other, state in states.items() if not state.ended]
    rules.check_room(len(queue.waiting()), going)
    ended = [(other.run, _job(other)) for other, state in states.items() if state.ended]
    for run in rules.to_remove(ended):
        remove(queue, RunFolder(queue.folder / run))
    rules.note_begun(folder.run)
