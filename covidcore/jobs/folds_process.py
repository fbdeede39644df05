"""Folds of a run: ``python -m covidcore.jobs.folds_process HOME RUN FOLDS REPEATS``.

Trains the head again and again on the features of the frozen backbone. A process of its own, for
it imports torch; how far it is can be told from disk (`studies`).
"""

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from covidcore.config import Settings
from covidcore.data.index import load
from covidcore.data.split import group_ids
from covidcore.evaluation import folds
from covidcore.evaluation.metrics import IntArray
from covidcore.jobs.features import Subject, subject_of
from covidcore.jobs.folder import now
from covidcore.jobs.folds import folds_study, leak_ledger
from covidcore.jobs.store import RunStore
from covidcore.jobs.studies import Report
from covidcore.proportions import wilson

GROUPINGS = ("none", "patient", "both")
"""Folds are dealt in each of these ways, and in that of the run."""
_HEAD = ("epochs", "batch_size", "learning_rate", "weight_decay", "schedule", "label_smoothing")


def main(home: str, run: str, count: str, repeats: str) -> int:
    """Cross-validate one run."""
    settings = Settings.from_environment({**os.environ, "COVIDCORE_HOME": home})
    store = RunStore(settings)

    def answer(report: Report) -> dict[str, Any]:
        started = time.monotonic()
        document = examine(store, run, int(count), int(repeats), report)
        seconds = round(time.monotonic() - started, 3)
        return {**document, "created": now(), "seconds": seconds}

    return folds_study(store, run, int(count), int(repeats)).work(answer)


def examine(store: RunStore, run: str, count: int, repeats: int, report: Report) -> dict[str, Any]:
    """The document of ``crossvalidate``.

    Raises: DataError where a class has too few groups for so many folds; RunError where the run is
    not whole.
    """
    single = store.evaluation(run)
    job, recipe = store.job(run), store.recipe(run)
    dataset = load(job["dataset"], store.settings.home)
    ways = list(dict.fromkeys((*GROUPINGS, recipe.group_by)))
    report("Looking for copies", 0, 0)
    leaks = leak_ledger(store, run, dataset)
    subject = subject_of(store, run, dataset, report)
    groups = {way: group_ids(subject.rows, way, dataset.near_pairs) for way in ways}
    fold = {
        way: folds.deal(subject.truth, groups[way], count, repeats, recipe.seed, subject.classes)
        for way in ways
    }
    answers, own = _answers(subject, fold, report)
    found = {
        way: {
            "groups": len(np.unique(groups[way])),
            **folds.spread(subject.truth, answers[way], fold[way], subject.classes),
        }
        for way in ways
    }
    return {
        "run": run,
        "dataset": dataset.fingerprint,
        "n": len(subject.rows),
        "classes": list(subject.classes),
        "folds": count,
        "repeats": repeats,
        "seed": recipe.seed,
        "group_by": recipe.group_by,
        "trainable": recipe.trainable,
        "head": {name: getattr(subject.recipe, name) for name in _HEAD},
        "single_split": {name: single[name] for name in ("n", "accuracy", "accuracy_ci")},
        "head_on_the_split": own,
        "groupings": found,
        "leakage": {
            way: folds.bought(subject.truth, answers["none"], answers[way], groups[way])
            for way in ways
            if way != "none"
        },
        "ledger": leaks,
    }


def _answers(
    subject: Subject, fold: dict[str, IntArray], report: Report
) -> tuple[dict[str, IntArray], dict[str, Any]]:
    """What every image is answered ``(R, N)`` in each way by the head that has not seen its fold.

    And how right the head is on the run's own split.
    """
    import torch

    from covidcore.training.heads import train_heads

    # Steps are so small that a second thread is waited for longer than it helps.
    torch.set_num_threads(1)
    seen = [one != at for way in fold.values() for one in way for at in range(int(way.max()) + 1)]
    split = subject.rows["split"].to_numpy()
    seen.append(split == "train")
    logits = train_heads(
        subject.features,
        subject.truth,
        np.stack(seen),
        len(subject.classes),
        subject.recipe,
        lambda done, total: report("Training heads", done, total),
    )
    answers = logits.argmax(axis=2)
    tests = split == "test"
    right, n = int((answers[-1] == subject.truth)[tests].sum()), int(tests.sum())
    own = {"n": n, "accuracy": right / n, "accuracy_ci": list(wilson(right, n))}
    return _by_fold(answers, fold), own


def _by_fold(answers: IntArray, fold: dict[str, IntArray]) -> dict[str, IntArray]:
    """Of every repeat's heads, for each image the answer of the one that has not seen it."""
    found, at = {}, 0
    for way, dealt in fold.items():
        count = int(dealt.max()) + 1
        turns: Sequence[IntArray] = [
            np.choose(one, answers[at + turn * count : at + (turn + 1) * count])
            for turn, one in enumerate(dealt)
        ]
        found[way] = np.stack(turns)
        at += len(dealt) * count
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
