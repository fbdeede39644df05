"""Sweeps on disk: submit a grid of recipes as one group; list, cancel, resume, remove it.

A sweep is one small file that names its runs. The runs are those of the store, found or made
like any others: each can be cancelled, resumed and opened by itself, and two sweeps may share
one. Knows no torch.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from covidcore import storage
from covidcore.data.index import Dataset, load
from covidcore.errors import CovidcoreError, RunError
from covidcore.jobs.folder import RunFolder, State, now
from covidcore.jobs.grid import Sweep, canonical, in_words, sweep_key
from covidcore.jobs.grid import expand as expand  # offered with the rest of a sweep from here
from covidcore.jobs.plan import Plan, plan_runs
from covidcore.jobs.space import check_space
from covidcore.jobs.store import RunStore, Submission
from covidcore.jobs.sweep_info import SweepInfo as SweepInfo
from covidcore.jobs.sweep_info import summarise as summarise
from covidcore.training.recipe import Recipe

# Sweeps has a method called list, which would hide the type inside the class.
All: TypeAlias = list[Sweep]


def _nothing(submission: Submission) -> None:
    """Whoever submits a sweep need not be told of each run."""


class Sweeps:
    """The sweeps of a store's home."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._folder = store.settings.home / "sweeps"

    def submit(
        self,
        recipe: Recipe,
        grid: Mapping[str, Sequence[str]],
        dataset: Dataset,
        name: str = "",
        told: Callable[[Submission], None] = _nothing,
    ) -> Sweep:
        """Ask for every combination. The same recipe, grid and data are the same sweep.

        Nothing is queued unless every combination can be. Runs that are done, wait or run are
        taken as they are; the others are queued, as by ``RunStore.submit``. ``told`` hears of
        each. Raises: RecipeError, DataError, WeightsError.
        """
        self._store.rules.refuse("no sweeps are trained here")
        settings = self._store.settings
        _ = self._store.queue.runner  # a bad COVIDCORE_RUNNER is told before anything is done
        recipes = expand(recipe, grid)
        plans = plan_runs(recipes, dataset, settings)
        for plan in plans:
            if not self._has(plan.run):
                check_space(plan.recipe, len(dataset.index), settings.home)
        values = canonical(recipes, list(grid))
        sweep = Sweep(
            id=sweep_key(recipe, values, dataset.fingerprint)[:16],
            name=name,
            dataset=dataset.fingerprint,
            dataset_name=dataset.name,
            base=storage.plain(recipe.to_json()),  # as it will be read back
            grid=values,
            runs=tuple(plan.run for plan in plans),
            created=now(),
        )
        # Written first: a submission that is cut short leaves a sweep that can be resumed.
        sweep = self._keep(sweep)
        for plan in plans:
            told(self._submit(sweep, plan, dataset))
        return sweep

    def list(self) -> All:
        """All sweeps, the newest first; files that are damaged are passed over."""
        found = []
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(RunError):
                found.append(self._read(path))
        return sorted(found, key=lambda sweep: sweep.created, reverse=True)

    def find(self, prefix: str) -> Sweep:
        """The sweep whose id begins with ``prefix``.

        Raises: RunError where there is none, or more than one.
        """
        found = [sweep for sweep in self.list() if sweep.id.startswith(prefix)]
        if len(found) != 1 or not prefix:
            what = "There is no sweep" if not found else "There is more than one sweep"
            raise RunError(f"{what} whose id begins with “{prefix}”.")
        return found[0]

    def cancel(self, sweep: Sweep) -> None:
        """Ask every run that has not ended to stop, also where another sweep has it too.

        Raises: RunError where all have ended.
        """
        self._store.rules.refuse("no sweep is cancelled here")
        states = self._states(sweep)
        going = [run for run, state in states.items() if not state.ended]
        if not going:
            raise RunError(f"No run of sweep {sweep.id} waits or runs: there is nothing to cancel.")
        # Those that wait first: the end of one that runs would start the next of them.
        for run in sorted(going, key=lambda run: states[run] is State.RUNNING):
            self._store.queue.stop(self._run_folder(run))
        self._store.advance()

    def resume(self, sweep: Sweep) -> Sweep:
        """Queue again what failed, was cancelled, interrupted, damaged or removed.

        Raises: RunError where there is nothing of this kind; DataError where runs were removed
        and the dataset is not known any more.
        """
        self._store.rules.refuse("no sweep is gone on with here")
        resumed = 0
        for run in self._states(sweep):
            with contextlib.suppress(RunError):  # it is done and whole, waits or runs
                self._store.resume(run)
                resumed += 1
        runs = dict(zip(sweep.runs, sweep.recipes, strict=True))
        gone = [recipe for run, recipe in runs.items() if not self._has(run)]
        if gone:
            dataset = load(sweep.dataset, self._store.settings.home)
            plans = plan_runs(gone, dataset, self._store.settings)
            # Weights named auto may be others by now, and the run with them.
            now_is = {plan.recipe: plan.run for plan in plans}
            pairs = zip(sweep.runs, sweep.recipes, strict=True)
            sweep = self._keep(
                replace(sweep, runs=tuple(now_is.get(recipe, run) for run, recipe in pairs))
            )
            for plan in plans:
                self._submit(sweep, plan, dataset)
        elif not resumed:
            raise RunError(f"Every run of sweep {sweep.id} is done, waits or runs.")
        return sweep

    def remove(self, sweep: Sweep, runs: bool = False) -> None:
        """Forget the group; with ``runs``, delete its runs too, but for those of other sweeps.

        Raises: RunError where one of these is running.
        """
        self._store.rules.refuse("no sweep is removed here")
        if runs:
            others = {run for other in self.list() if other.id != sweep.id for run in other.runs}
            states = {r: state for r, state in self._states(sweep).items() if r not in others}
            running = [run for run, state in states.items() if state is State.RUNNING]
            if running:
                raise RunError(f"The run {running[0]} of this sweep is running: cancel it first.")
            for run in reversed(states):  # from the end, as the queue takes them from the front
                self._store.remove(run)
        self._path(sweep).unlink(missing_ok=True)

    def _submit(self, sweep: Sweep, plan: Plan, dataset: Dataset) -> Submission:
        values = {field: getattr(plan.recipe, field) for field in sweep.grid}
        return self._store.submit_plan(plan, dataset, f"{sweep.name}: {in_words(values)}")

    def _keep(self, sweep: Sweep) -> Sweep:
        """Write the sweep down; one that was there keeps its age, and its name unless renamed."""
        path = self._path(sweep)
        with self._store.queue.locked("sweeps"):
            with contextlib.suppress(RunError):
                earlier = self._read(path)
                sweep = replace(sweep, name=sweep.name or earlier.name, created=earlier.created)
            name = sweep.name or f"{sweep.base['preset']} on {sweep.dataset_name}"
            sweep = replace(sweep, name=name)
            storage.write_json(path, sweep.to_json())
        return sweep

    def _read(self, path: Path) -> Sweep:
        try:
            sweep = Sweep.from_json(storage.read_json(path))
        except (CovidcoreError, TypeError, KeyError, ValueError, AttributeError) as error:
            raise RunError(f"The sweep {path.stem} is damaged.") from error
        if sweep.id != path.stem:
            raise RunError(f"The sweep {path.stem} is damaged.")
        return sweep

    def _path(self, sweep: Sweep) -> Path:
        return self._folder / f"{sweep.id}.json"

    def _run_folder(self, run: str) -> RunFolder:
        return RunFolder(self._store.queue.folder / run)

    def _has(self, run: str) -> bool:
        return self._run_folder(run).job.is_file()

    def _states(self, sweep: Sweep) -> dict[str, State]:
        """The state of each run that is there."""
        return {
            run: self._store.queue.state(self._run_folder(run))
            for run in dict.fromkeys(sweep.runs)
            if self._has(run)
        }
