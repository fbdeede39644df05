"""Time of cross-validation on warm features: ``python -m benchmarks.folds RUN [FOLDS REPEATS]``.

Of a finished run of ``COVIDCORE_HOME``: 5 x 5 folds that keep patients and pictures together, by
themselves, and the whole study (three ways to divide, the leak ledger) as ``crossvalidate`` does
it. Both the clock and the processor are read: on a busy machine only the second says something.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from covidcore.config import Settings
from covidcore.data.index import load
from covidcore.data.split import group_ids
from covidcore.evaluation import folds
from covidcore.evaluation.metrics import class_positions
from covidcore.jobs.features import head_features
from covidcore.jobs.folds_process import examine, head_recipe
from covidcore.jobs.store import RunStore
from covidcore.model.weights import Weights
from covidcore.training.heads import train_heads


def main(prefix: str, count: int = 5, repeats: int = 5) -> None:
    """Print both, after the features were found or computed once."""
    settings = Settings.from_environment()
    store = RunStore(settings)
    run = store.find(prefix)
    job, recipe = store.job(run), head_recipe(store.recipe(run))
    dataset = load(job["dataset"], settings.home)
    features = head_features(recipe, Weights(**job["weights"]), dataset, settings, _quiet)
    truth = class_positions(dataset.index["label"], job["classes"])

    def grouped() -> None:
        torch.set_num_threads(1)
        groups = group_ids(dataset.index, "both")
        fold = folds.deal(truth, groups, count, repeats, recipe.seed, job["classes"])
        seen = np.stack([turn != at for turn in fold for at in range(count)])
        train_heads(features, truth, seen, len(job["classes"]), recipe)

    print(f"{len(truth):,} images, {count} folds, {repeats} repeats; features are on disk")
    _time("folds by patient and picture", grouped)
    _time("the whole study", lambda: examine(store, run, count, repeats, _quiet))


def _quiet(doing: str, done: int, total: int) -> None:
    """Progress that nobody reads."""


def _time(name: str, work: Callable[[], object]) -> None:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    seconds, used = time.perf_counter() - clock, time.process_time() - processor
    print(f"{name}: {seconds:.1f} s by the clock, {used:.1f} s of processor", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
