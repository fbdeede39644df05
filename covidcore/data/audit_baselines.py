"""What can be had without lungs: small classifiers that see only what should not matter.

One sees facts of the file, one the outer border of the picture. Both answer about images of
patients and of pictures that they have not seen.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from covidcore.data.facts import Progress
from covidcore.proportions import wilson

if TYPE_CHECKING:
    import pandas as pd

Features = NDArray[np.floating[Any]]

FOLDS = 5
BORDER = 0.05
"""Share of the picture's side that counts as border."""
_SEGMENTS = 14
"""Pieces of each of the four borders."""
_TREES = 40


def header_features(index: "pd.DataFrame") -> Features:
    """What the file says before a pixel is seen ``(N, F)``: mode, size, bytes."""
    import pandas as pd

    area = index["width"] * index["height"]
    facts = pd.DataFrame(
        {
            "width": index["width"],
            "height": index["height"],
            "shape": index["width"] / index["height"],
            "bytes": index["bytes"],
            "density": index["bytes"] / area,
        }
    )
    modes = pd.get_dummies(index["mode"])
    return np.hstack([facts.to_numpy(np.float32), modes.to_numpy(np.float32)])


def border_features(pixels: NDArray[np.uint8]) -> Features:
    """Means and spreads of pieces of the outer 5 % ``(N, 112)``, of squares ``(N, S, S)``."""
    size = pixels.shape[1]
    wide = max(1, round(size * BORDER))
    strips = (
        pixels[:, :wide],
        pixels[:, -wide:],
        pixels[:, :, :wide].transpose(0, 2, 1),
        pixels[:, :, -wide:].transpose(0, 2, 1),
    )
    pieces = [
        piece.reshape(len(pixels), -1)
        for strip in strips
        for piece in np.array_split(strip, _SEGMENTS, axis=2)
    ]
    means = [piece.mean(axis=1, dtype=np.float32) for piece in pieces]
    spreads = [piece.std(axis=1, dtype=np.float32) for piece in pieces]
    return np.stack(means + spreads, axis=1)


def folds(
    labels: NDArray[np.int64], groups: NDArray[np.int64], count: int, seed: int
) -> NDArray[np.int64]:
    """Deal images ``(N,)`` into ``count`` folds, groups whole, every class spread evenly.

    Groups are dealt in turn, class by class (that of a group's first image), the large ones first.
    Not scikit-learn's StratifiedGroupKFold, which looks at every fold for every group.
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    size = np.bincount(group)
    order = np.random.default_rng(seed).permutation(len(first))
    order = order[np.lexsort((-size[order], labels[first][order]))]
    fold_of = np.empty(len(first), dtype=np.int64)
    fold_of[order] = np.arange(len(order)) % count
    return np.asarray(fold_of[group], dtype=np.int64)


def baseline(
    features: Features,
    labels: "pd.Series",
    groups: NDArray[np.int64],
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Cross-validated figures of a forest on ``features`` ``(N, F)``.

    ``groups`` ``(N,)`` are never divided between learning and answering. Returns accuracy with
    its 95 % interval, n images and groups, what always answering the largest class gets, and
    recall and precision of each class. The interval is Wilson's with the groups as trials, as
    images of one patient are no independent witnesses. NaN where a class has one group only.
    """
    truth, classes = labels.factorize(sort=True)
    answers = _answers(features, np.asarray(truth), groups, seed, progress)
    trials = len(np.unique(groups))
    accuracy = math.nan if answers is None else float((answers == truth).mean())
    low, high = (math.nan, math.nan) if answers is None else _interval(accuracy, trials)
    return {
        "accuracy": accuracy,
        "accuracy_ci": [low, high],
        "majority_accuracy": float(np.bincount(truth).max() / len(truth)),
        "n": len(truth),
        "groups": trials,
        "folds": 0 if answers is None else FOLDS,
        "per_class": {} if answers is None else _per_class(truth, answers, list(classes)),
    }


def _interval(accuracy: float, trials: int) -> tuple[float, float]:
    return wilson(round(accuracy * trials), trials)


def _answers(
    features: Features,
    truth: NDArray[np.int64],
    groups: NDArray[np.int64],
    seed: int,
    progress: Progress | None,
) -> NDArray[np.int64] | None:
    """The class that each image is given by a forest that has not seen its group."""
    fold = folds(truth, groups, FOLDS, seed)
    classes = len(np.unique(truth))
    if any(len(np.unique(truth[fold != turn])) < classes for turn in range(FOLDS)):
        return None
    answers = np.empty_like(truth)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for turn in range(FOLDS):
                asked = fold == turn
                if asked.any():
                    told = features[~asked], truth[~asked], features[asked]
                    answers[asked] = _forest(*told, seed, pool)
                if progress:
                    progress(turn + 1, FOLDS)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return answers


def _forest(
    features: Features,
    truth: NDArray[np.int64],
    asked: Features,
    seed: int,
    pool: ThreadPoolExecutor,
) -> NDArray[np.int64]:
    """What a forest that has learnt from ``features`` says about ``asked``.

    ``truth`` has every class from 0 on. Answers of scikit-learn's ExtraTreesClassifier, in two
    thirds of the time where images are few: its trees are looked after by joblib, with sleeps.
    """
    from sklearn.tree import ExtraTreeClassifier

    features, asked = (np.ascontiguousarray(rows, np.float32) for rows in (features, asked))
    random = np.random.RandomState(seed)
    seeds = [random.randint(np.iinfo(np.int32).max) for _ in range(_TREES)]

    def shares(seed: int) -> NDArray[np.float64]:
        # A leaf of one image learns that image; 40 trees come within half a point of 100.
        tree: Any = ExtraTreeClassifier(min_samples_leaf=3, random_state=seed)  # type: ignore[no-untyped-call]
        tree.fit(features, truth, check_input=False)
        return np.asarray(tree.predict_proba(asked, check_input=False))

    # Added up in the order of the trees, whichever is done first: else ties would vary.
    votes = sum(pool.map(shares, seeds), np.zeros((len(asked), len(np.unique(truth)))))
    return np.asarray((votes / _TREES).argmax(axis=1), dtype=np.int64)


def _per_class(
    truth: NDArray[np.int64], answers: NDArray[np.int64], classes: list[str]
) -> dict[str, dict[str, float]]:
    figures = {}
    for at, name in enumerate(classes):
        hits = int(((truth == at) & (answers == at)).sum())
        of_class, answered = int((truth == at).sum()), int((answers == at).sum())
        figures[str(name)] = {
            "n": of_class,
            "recall": hits / of_class,
            "precision": hits / answered if answered else math.nan,
        }
    return figures
