"""The store of runs: submit, list, follow, cancel, resume, remove. Everything is on disk.

Knows no torch: the app and the command line use it at little cost. Whoever asks for the list
also starts the next queued run, so that no service is needed.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.data.known import in_words
from covidcore.data.split import digest
from covidcore.errors import RunError
from covidcore.evaluation.operating import OperatingPoint
from covidcore.jobs import history, thresholds
from covidcore.jobs.demo import Rules, Visitor
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.info import RunInfo, describe
from covidcore.jobs.models import check_tested, recipe_of
from covidcore.jobs.plan import Plan, plan_runs, plan_split, read_split
from covidcore.jobs.queue import Queue
from covidcore.jobs.removal import lost_runs, make_room, remove
from covidcore.jobs.space import check_space
from covidcore.model.at_hand import at_hand
from covidcore.training.recipe import Recipe, run_key

if TYPE_CHECKING:
    import pandas as pd

# RunStore has a method called list, which would hide the type inside the class.
Infos: TypeAlias = list[RunInfo]
Folders: TypeAlias = list[Path]
Lines: TypeAlias = list[str]
_LONGEST = 64  # letters of an id: a disk would refuse a name that is far longer


@dataclass(frozen=True)
class Submission:
    """A run that stands for what was asked; ``cached`` where it had been finished before."""

    run: str
    cached: bool
    note: str = ""
    """Sentences on the weights: where they are not what might be expected; what they have seen."""


class RunStore:
    """The runs below ``settings.home``; ``visitor`` is who asks, in a public demo."""

    def __init__(self, settings: Settings, visitor: Visitor | None = None) -> None:
        self.settings, self.rules = settings, Rules(settings, visitor)
        self.queue = Queue(settings, indexed=True)
        self.lost: Lines = []
        """Runs that the last ``list`` could not read: their job file is missing or damaged."""

    def submit(self, recipe: Recipe, dataset: Dataset, name: str = "") -> Submission:
        """Ask for a result. The same recipe, data, split and weights are the same run.

        A finished run is returned as it is, unless its files were damaged; then, and where it
        failed, was cancelled or interrupted, it is queued again and goes on from its last
        checkpoint. Raises: RecipeError, DataError, WeightsError.
        """
        self.rules.check_recipe(recipe, dataset.synthetic)  # before a file that it names is read
        _ = self.queue.runner  # a bad COVIDCORE_RUNNER is told before anything is done
        (plan,) = plan_runs([recipe], dataset, self.settings)
        return self.submit_plan(plan, dataset, name)

    def submit_plan(self, plan: Plan, dataset: Dataset, name: str = "") -> Submission:
        """``submit`` where it is known already which run it will be.

        Raises: DataError where the disk has no room.
        """
        run, recipe, weights = plan.run, plan.recipe, plan.weights
        note = " ".join(filter(None, (weights.note, in_words(plan.known))))
        self.rules.check_recipe(recipe, dataset.synthetic)
        folder = RunFolder(self.queue.folder / run)
        job = plan.job(dataset, name)
        with self.queue.locked("submit"):
            if folder.is_lost():  # the id says that it was this one
                storage.write_json(folder.job, job | self.rules.terms())
            if folder.job.is_file():
                state = self.queue.state(folder)
                if state is State.DONE and not folder.damaged():
                    return Submission(run, True, note)
                if state.ended:
                    make_room(self.queue, self.rules, folder)
                    self.queue.put(folder)
            else:
                make_room(self.queue, self.rules, folder)
                check_space(recipe, len(dataset.index), self.settings.home)
                self._create(folder, job | self.rules.terms(), plan.split)
        self.queue.advance()
        return Submission(run, False, note)

    def existing(self, recipe: Recipe, dataset: Dataset, split: str = "") -> RunInfo | None:
        """The run that ``submit`` would open or go on with; nothing is fetched or changed.

        ``split``: the digest of the recipe's split, where the caller has it. None where there is
        no such run, or where it can not be told without the network which weights would be used.
        Raises: RecipeError and DataError, as ``submit``.
        """
        weights = at_hand(recipe.weights, recipe.arch, self.settings)
        if weights is None:
            return None
        dealt = split or digest(plan_split(recipe, dataset, weights))
        run = run_key(recipe, dataset.fingerprint, dealt, weights.id)[:16]
        return self.info(run) if RunFolder(self.queue.folder / run).job.is_file() else None

    def list(self) -> Infos:
        """All runs, the newest first; hands over the next ones that may start.

        Those that are damaged beyond naming them are in ``lost`` instead.
        """
        look = self.queue.advance()
        infos, self.lost = look.ended, look.lost
        for folder in (*look.active, *look.unread):
            try:
                infos.append(describe(folder, self.queue.state(folder)))
            except RunError:
                self.lost.append(folder.run)
        return sorted(infos, key=lambda info: info.created, reverse=True)

    def info(self, run: str) -> RunInfo:
        """One run as it stands."""
        folder = self._folder(run)
        return describe(folder, self.queue.state(folder))

    def find(self, prefix: str) -> str:
        """The run whose id begins with ``prefix``; ``latest`` is the newest that was trained here.

        ``shipped`` is the model that comes with the project. Raises: RunError where there is none,
        or more than one.
        """
        if prefix == "latest":
            done = [info for info in self.list() if info.tested]
            if not done:
                raise RunError("There is no finished run yet: train one first.")
            return done[0].run
        if prefix == "shipped":
            from covidcore.jobs.imports import own_model

            return own_model(self)
        found = self.queue.folders(prefix) or lost_runs(self.queue, prefix)
        if len(found) != 1 or not prefix:
            what = "There is no run" if not found else "There is more than one run"
            raise RunError(f"{what} whose id begins with “{prefix[:_LONGEST]}”. “runs” lists them.")
        return found[0].run

    def history(self, run: str) -> "pd.DataFrame":
        """One row an epoch: epoch, losses, accuracies, learning_rate; damaged rows are left out."""
        return history.read(self._folder(run).history)

    def log_tail(self, run: str, lines: int = 20) -> Lines:
        """The last lines of the worker's log."""
        return self._folder(run).tail()[-lines:]

    def recipe(self, run: str) -> Recipe:
        """The recipe of a run.

        Raises: RunError where it was imported without one.
        """
        return Recipe.from_json(recipe_of(self._folder(run).read_job(), run))

    def job(self, run: str) -> dict[str, Any]:
        """What was asked for, with the resolved weights."""
        return self._folder(run).read_job()

    def status(self, run: str) -> dict[str, Any]:
        """What the worker last wrote down: times, best epoch, validation loss, message."""
        return self._folder(run).status()

    def split(self, run: str) -> "pd.DataFrame":
        """Which image is in which set.

        Raises: RunError where the file is missing or damaged.
        """
        return read_split(self._folder(run))

    def evaluation(self, run: str) -> dict[str, Any]:
        """The figures on the test images, as the contract's ``evaluate`` has them.

        Raises: RunError where the run is not done, or any of its files is damaged.
        """
        return dict(self._result(run, storage.read_json, "report"))

    def predictions(self, run: str) -> "pd.DataFrame":
        """One row an image of the validation and test sets.

        Raises: RunError where the run is not done, or any of its files is damaged.
        """
        table: pd.DataFrame = self._result(run, storage.read_table, "predictions")
        return table

    def operating(self, run: str) -> OperatingPoint | None:
        """How the run answers, where thresholds were saved with it. Raises: RunError if damaged."""
        return thresholds.load(self._folder(run))

    def save_operating(self, run: str, point: OperatingPoint | None) -> None:
        """Let predictions of a run answer at this operating point; None: as it was trained.

        Raises: RunError in a public demo, where one visitor would change what others are told.
        """
        self.rules.refuse("no operating point is saved here")
        thresholds.save(self._folder(run), point)

    def path(self, run: str) -> Path:
        """The run's folder."""
        return self._folder(run).path

    def places(self, infos: Infos) -> Folders:
        """Where these runs are, or were: one may have gone since it was listed."""
        return [self.queue.folder / info.run for info in infos]

    def cancel(self, run: str) -> None:
        """Ask a run to stop; it does within two seconds and keeps its last checkpoint.

        Raises: RunError where it has ended already.
        """
        self.rules.check_own(run, "cancel")
        state = self.queue.stop(self._folder(run))
        if state.ended:
            raise RunError(f"The run {run} is {state}: there is nothing to cancel.")
        self.queue.advance()

    def resume(self, run: str) -> None:
        """Queue a failed, cancelled, interrupted or damaged run again, from its last checkpoint.

        Raises: RunError where it is done and whole, waiting or running.
        """
        folder = self._folder(run)
        if folder.is_imported():
            raise RunError(f"{run} is an imported model, no training: import it again instead.")
        with self.queue.locked("submit"):
            state = self.queue.state(folder)
            if not state.ended or (state is State.DONE and not folder.damaged()):
                raise RunError(f"The run {run} is {state}: there is nothing to resume.")
            make_room(self.queue, self.rules, folder)
            self.queue.put(folder)
        self.queue.advance()

    def waiting(self) -> Lines:
        """The runs that wait here, in the order in which they will start."""
        return [folder.run for folder in self.queue.waiting()]

    def move(self, run: str, places: int) -> None:
        """Let a waiting run start earlier (negative) or later by so many places.

        Raises: RunError where it does not wait.
        """
        self.rules.refuse("runs start in the order in which they were begun")
        self.queue.move(self._folder(run), places)

    def remove(self, run: str) -> None:
        """Delete a run and all its files, damaged or not.

        Raises: RunError where it is running.
        """
        self.rules.refuse("no run is removed here")
        lost = any(folder.run == run for folder in lost_runs(self.queue, run))
        remove(self.queue, RunFolder(self.queue.folder / run) if lost else self._folder(run))

    def advance(self) -> None:
        """Hand over the runs that may start now."""
        self.queue.advance()

    def _folder(self, run: str) -> RunFolder:
        folder = RunFolder(self.queue.folder / run)
        named = run.isalnum() and len(run) <= _LONGEST
        if not named or folder.path.is_symlink() or not folder.job.is_file():
            raise RunError(f"There is no run “{run[:_LONGEST]}”. “runs” lists them.")
        return folder

    def _create(self, folder: RunFolder, job: dict[str, Any], table: "pd.DataFrame") -> None:
        """Make the run's folder aside and rename it: other processes see it whole."""
        aside = RunFolder(self.queue.folder / f".new-{folder.run}")
        shutil.rmtree(aside.path, ignore_errors=True)
        storage.write_csv(aside.split, table)
        self.queue.put(aside)
        storage.write_json(aside.job, job)
        aside.path.rename(folder.path)
        storage.sync_folder(self.queue.folder)

    def _result(self, run: str, read: Any, name: str) -> Any:
        folder = self._folder(run)
        check_tested(folder)
        state = self.queue.state(folder)
        if state is not State.DONE:
            raise RunError(f"The run {run} is {state}: it has no results yet.")
        if damaged := folder.damaged():
            raise RunError(
                f"Files of run {run} are damaged or missing: {', '.join(damaged)}. Resume the run "
                "(or submit it again): they are made anew from its last checkpoint."
            )
        return read(getattr(folder, name))
