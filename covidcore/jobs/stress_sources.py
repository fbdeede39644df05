"""Leave one source out on the frozen features of a run: trains the heads, and asks them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from covidcore.data.index import Dataset
from covidcore.data.split import group_ids
from covidcore.errors import DataError
from covidcore.evaluation import folds, unseen_sources
from covidcore.evaluation.metrics import IntArray, class_positions
from covidcore.evaluation.unseen_sources import Left
from covidcore.jobs.features import Subject, subject_of
from covidcore.jobs.studies import Report

if TYPE_CHECKING:
    from covidcore.jobs.store import RunStore

_FOLDS = 5


def leave_one_out(store: "RunStore", run: str, dataset: Dataset, report: Report) -> dict[str, Any]:
    """`evaluation.unseen_sources.figures` of the run's images, its training images among them.

    The features know no labels of these, and no head that answers about an image has seen it. The
    heads of the reference leave out a fold of patients and pictures in place of a source. Where it
    can not be done: ``sources`` is empty and ``reason`` says why.
    """
    index = dataset.index
    used = index[index["file"].isin(store.split(run)["file"])]
    sources = used["source"].tolist()
    groups = group_ids(used.reset_index(drop=True), "both", dataset.near_pairs)
    classes = tuple(store.job(run)["classes"])
    truth = class_positions(used["label"], classes)
    try:
        left = unseen_sources.deal(sources, truth, groups)
        known = np.flatnonzero(used["source"] != "")
        fold = np.full(len(used), -1, dtype=np.int64)
        fold[known] = _folds(truth[known], groups[known], store.recipe(run).seed, classes)
    except DataError as error:
        return {"sources": [], "reason": str(error), "finding": "untested", "verdict": str(error)}
    subject = subject_of(store, run, dataset, report)
    answers, reference = _answers(subject, left, fold, report)
    return unseen_sources.figures(left, truth, answers, reference, groups, classes)


def _folds(truth: IntArray, groups: IntArray, seed: int, classes: tuple[str, ...]) -> IntArray:
    """The fold of each image ``(N,)``; fewer of them where a class has few groups."""
    _, first = np.unique(groups, return_index=True)
    present = np.unique(truth)
    least = int(np.bincount(truth[first], minlength=len(classes))[present].min())
    places = np.searchsorted(present, truth)
    names = [classes[at] for at in present]
    dealt = folds.deal(places, groups, min(_FOLDS, max(2, least)), 1, seed, names)
    return np.asarray(dealt[0], dtype=np.int64)


def _answers(
    subject: Subject, left: list[Left], fold: IntArray, report: Report
) -> tuple[IntArray, IntArray]:
    """What each image ``(N,)`` is answered without its source, and without its fold; else -1."""
    import torch

    from covidcore.training.heads import train_heads

    # Steps are so small that a second thread is waited for longer than it helps.
    torch.set_num_threads(1)
    trained = [one for one in left if one.only_answer is None]
    parts = [(one.tested, one.seen) for one in trained]
    parts += [(fold == at, (fold >= 0) & (fold != at)) for at in range(int(fold.max()) + 1)]
    logits = train_heads(
        subject.features,
        subject.truth,
        np.stack([seen for _, seen in parts]),
        len(subject.classes),
        subject.recipe,
        lambda done, total: report("Training heads without a source", done, total),
    )
    answers, reference = np.full((2, len(fold)), -1, dtype=np.int64)
    for number, ((tested, _), of_head) in enumerate(zip(parts, logits, strict=True)):
        if number < len(trained):
            # A class that was never seen can not be known, whatever chance its output had.
            never = np.setdiff1d(np.arange(len(subject.classes)), trained[number].learnt)
            of_head[:, never] = -np.inf
            answers[tested] = of_head[tested].argmax(axis=1)
        else:
            reference[tested] = of_head[tested].argmax(axis=1)
    for one in left:
        if one.only_answer is not None:
            answers[one.tested] = one.only_answer
    return answers, reference
