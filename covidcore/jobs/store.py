"""The store of runs: submit, list, follow, cancel, resume, remove. Everything is on disk.

Knows no torch: the app and the command line use it at little cost. Whoever asks for the list
also starts the next queued run, so that no service is needed.
"""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from filelock import FileLock

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.data.split import digest, split
from covidcore.errors import DataError, RecipeError, RunError
from covidcore.jobs.executors import start_local
from covidcore.jobs.folder import RunFolder, State, now
from covidcore.jobs.info import RunInfo, describe
from covidcore.model.weights import resolve
from covidcore.training.recipe import Recipe, run_key

if TYPE_CHECKING:
    import pandas as pd

# RunStore has a method called list, which would hide the type inside the class.
Infos: TypeAlias = list[RunInfo]
Lines: TypeAlias = list[str]
Folders: TypeAlias = list[RunFolder]


@dataclass(frozen=True)
class Submission:
    """A run that stands for what was asked; ``cached`` where it had been finished before."""

    run: str
    cached: bool
    note: str = ""
    """A sentence for the user, where the weights are not what might be expected."""


class RunStore:
    """The runs below ``settings.home``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.home / "runs"

    def submit(self, recipe: Recipe, dataset: Dataset, name: str = "") -> Submission:
        """Ask for a result. The same recipe, data, split and weights are the same run.

        A finished run is returned as it is; a failed, cancelled or interrupted one is queued
        again and goes on from its last checkpoint. Raises: RecipeError, DataError, WeightsError.
        """
        if self.settings.runner != "local":
            raise RecipeError(
                f"COVIDCORE_RUNNER is “{self.settings.runner}”; this release runs jobs on "
                "this machine only: unset it, or set it to local."
            )
        weights = resolve(recipe.weights, recipe.arch, self.settings)
        table = plan_split(recipe, dataset)
        run = run_key(recipe, dataset.fingerprint, digest(table), weights.id)[:16]
        folder = RunFolder(self.folder / run)
        with self._locked("submit"):
            if folder.job.is_file():
                state = folder.state()
                if state is State.DONE:
                    return Submission(run, True, weights.note)
                if state.ended:
                    self._queue(folder)
            else:
                job = {
                    "recipe": recipe.to_json(),
                    "dataset": dataset.fingerprint,
                    "dataset_name": dataset.name,
                    "classes": list(dataset.classes),
                    "split": digest(table),
                    "weights": weights.to_json(),
                    "name": name or f"{recipe.preset} on {dataset.name}",
                    "created": now(),
                }
                self._create(folder, job, table)
        self.advance()
        return Submission(run, False, weights.note)

    def list(self) -> Infos:
        """All runs, the newest first; starts the next queued one if none is running."""
        self.advance()
        infos = []
        for folder in self._folders():
            with contextlib.suppress(RunError):  # damaged beyond naming it
                infos.append(describe(folder))
        return sorted(infos, key=lambda info: info.created, reverse=True)

    def info(self, run: str) -> RunInfo:
        """One run as it stands."""
        return describe(self._folder(run))

    def find(self, prefix: str) -> str:
        """The run whose id begins with ``prefix``; ``latest`` is the newest finished one.

        Raises: RunError where there is none, or more than one.
        """
        if prefix == "latest":
            done = [info for info in self.list() if info.state is State.DONE]
            if not done:
                raise RunError("There is no finished run yet: train one first.")
            return done[0].run
        if prefix == "shipped":
            raise RunError("This release ships no trained weights: train a run first.")
        found = [folder.run for folder in self._folders() if folder.run.startswith(prefix)]
        if len(found) != 1 or not prefix:
            what = "There is no run" if not found else "There is more than one run"
            raise RunError(f"{what} whose id begins with “{prefix}”. “runs” lists them.")
        return found[0]

    def history(self, run: str) -> "pd.DataFrame":
        """One row an epoch: epoch, losses, accuracies, learning_rate, seconds."""
        import pandas as pd

        columns = ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
        try:
            return pd.read_csv(self._folder(run).history)
        except (OSError, ValueError):
            return pd.DataFrame(columns=[*columns, "learning_rate", "seconds"])

    def log_tail(self, run: str, lines: int = 20) -> Lines:
        """The last lines of the worker's log."""
        return self._folder(run).tail()[-lines:]

    def recipe(self, run: str) -> Recipe:
        """The recipe of a run."""
        return Recipe.from_json(self._folder(run).read_job()["recipe"])

    def job(self, run: str) -> dict[str, Any]:
        """What was asked for, with the resolved weights."""
        return self._folder(run).read_job()

    def status(self, run: str) -> dict[str, Any]:
        """What the worker last wrote down: times, best epoch, validation loss, message."""
        return self._folder(run).status()

    def split(self, run: str) -> "pd.DataFrame":
        """Which image is in which set."""
        import pandas as pd

        return pd.read_csv(self._folder(run).split, dtype=str, keep_default_na=False)

    def evaluation(self, run: str) -> dict[str, Any]:
        """The figures on the test images, as the contract's ``evaluate`` has them.

        Raises: RunError where the run is not done.
        """
        return dict(self._result(run, storage.read_json, "report"))

    def predictions(self, run: str) -> "pd.DataFrame":
        """One row an image of the validation and test sets.

        Raises: RunError where the run is not done.
        """
        table: pd.DataFrame = self._result(run, storage.read_table, "predictions")
        return table

    def path(self, run: str) -> Path:
        """The run's folder."""
        return self._folder(run).path

    def cancel(self, run: str) -> None:
        """Ask a run to stop; it does at its next step and keeps its last checkpoint.

        Raises: RunError where it has ended already.
        """
        folder = self._folder(run)
        with self._locked("queue"):
            state = folder.state()
            if state.ended:
                raise RunError(f"The run {run} is {state}: there is nothing to cancel.")
            storage.write_bytes(folder.cancel_file, b"")
            if state is State.QUEUED:
                folder.write_status(State.CANCELLED, finished=now())
        self.advance()

    def resume(self, run: str) -> None:
        """Queue a failed, cancelled or interrupted run again, from its last checkpoint.

        Raises: RunError where it is done, waiting or running.
        """
        folder = self._folder(run)
        with self._locked("submit"):
            state = folder.state()
            if not state.ended or state is State.DONE:
                raise RunError(f"The run {run} is {state}: there is nothing to resume.")
            self._queue(folder)
        self.advance()

    def remove(self, run: str) -> None:
        """Delete a run and all its files.

        Raises: RunError where it is running.
        """
        folder = self._folder(run)
        with self._locked("queue"):
            if folder.state() is State.RUNNING:
                raise RunError(f"The run {run} is running: cancel it first.")
            aside = self.folder / f".removed-{run}"
            shutil.rmtree(aside, ignore_errors=True)  # of a removal that was cut short
            folder.path.rename(aside)  # gone for every reader at once
        shutil.rmtree(aside, ignore_errors=True)

    def advance(self) -> None:
        """Start the queued run that has waited longest, unless one is running."""
        if not self.folder.is_dir():
            return
        with self._locked("queue"):
            states = [(folder, folder.state()) for folder in self._folders()]
            if any(state is State.RUNNING for _, state in states):
                return
            waiting = [folder for folder, state in states if state is State.QUEUED]
            if waiting:
                start_local(min(waiting, key=lambda one: str(one.status().get("submitted"))))

    def _locked(self, name: str) -> FileLock:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.folder} can not be written to: {error.strerror}.") from error
        return FileLock(self.folder / f".{name}.lock")

    def _folders(self) -> Folders:
        if not self.folder.is_dir():
            return []
        found = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        return [RunFolder(path) for path in found if (path / "job.json").is_file()]

    def _folder(self, run: str) -> RunFolder:
        folder = RunFolder(self.folder / run)
        if not run.isalnum() or not folder.job.is_file():
            raise RunError(f"There is no run “{run}”. “runs” lists them.")
        return folder

    def _create(self, folder: RunFolder, job: dict[str, Any], table: "pd.DataFrame") -> None:
        """Make the run's folder aside and rename it: other processes see it whole."""
        aside = RunFolder(self.folder / f".new-{folder.run}")
        shutil.rmtree(aside.path, ignore_errors=True)
        storage.write_csv(aside.split, table)
        self._queue(aside)
        storage.write_json(aside.job, job)
        aside.path.rename(folder.path)
        storage.sync_folder(self.folder)

    def _queue(self, folder: RunFolder) -> None:
        folder.cancel_file.unlink(missing_ok=True)
        storage.write_json(
            folder.status_file, {"state": State.QUEUED.value, "submitted": now(), "message": ""}
        )

    def _result(self, run: str, read: Any, name: str) -> Any:
        folder = self._folder(run)
        state = folder.state()
        if state is not State.DONE:
            raise RunError(f"The run {run} is {state}: it has no results yet.")
        try:
            return read(getattr(folder, name))
        except DataError as error:
            raise RunError(f"The results of run {run} are damaged: {error}") from error


def plan_split(recipe: Recipe, dataset: Dataset) -> "pd.DataFrame":
    """Who would be in which set under ``recipe``; images of excluded sources are left out.

    Raises: RecipeError for a source that is not in the dataset; DataError where a class is too
    small.
    """
    index = dataset.index
    unknown = sorted(set(recipe.exclude_sources) - set(index["source"]))
    if unknown:
        raise RecipeError(f"The dataset has no source “{unknown[0]}” that could be excluded.")
    kept = index[~index["source"].isin(recipe.exclude_sources)]
    gone = sorted(set(dataset.classes) - set(kept["label"]))
    if gone:
        raise DataError(f"Without these sources, class “{gone[0]}” has no images left.")
    return split(kept, recipe.split, recipe.seed, recipe.group_by)


def runs_as_json(infos: list[RunInfo]) -> list[dict[str, Any]]:
    """The document of ``runs`` in the contract."""
    names = "run name state preset dataset epoch epochs eta_seconds accuracy created seconds"
    return [{name: getattr(info, name) for name in names.split()} for info in infos]
