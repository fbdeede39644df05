"""Two runs on the same test images: is one better, or did it have luck?

Runs are compared image by image. A difference is called one only where its interval, drawn over
groups, does not hold 0 and the exact McNemar test says the same: the interval knows that films of
one patient go together, the test that a handful of images prove nothing.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from covidcore.errors import DataError
from covidcore.evaluation import metrics
from covidcore.evaluation.metrics import FloatArray, IntArray
from covidcore.evaluation.resampling import bounds, group_counts, resampled
from covidcore.proportions import wilson

RESAMPLES = 2000
_LEVEL = 0.05
SAME = "not distinguishable"


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value: how likely so uneven a score is if neither run is better.

    Counts images that only the first, and only the second, answers right. 1 where there are none.
    Source: McNemar 1947; the exact binomial form.
    """
    total, fewer = only_first + only_second, min(only_first, only_second)
    if only_first == only_second:
        return 1.0
    logs = [
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
        for k in range(fewer + 1)
    ]
    return min(1.0, 2 * math.fsum(math.exp(log - total * math.log(2)) for log in logs))


def paired(
    tables: Mapping[str, pd.DataFrame], classes: Sequence[str], split: str = "test"
) -> pd.DataFrame:
    """The images that every run was tested on: file, label, group, ``answer:<run>``, ``p:<run>``.

    ``p:<run>`` is the run's probability of the truth. An image that two runs were given different
    truths for is not the same question and is left out. Raises: DataError where there are fewer
    than two runs, or no common image.
    """
    if len(tables) < 2:
        raise DataError("There is nothing to compare: name two runs or more.")
    joined: pd.DataFrame | None = None
    for run, table in tables.items():
        rows = table[table["split"] == split].drop_duplicates("file")
        shares = rows[[f"p:{name}" for name in classes]].to_numpy()
        part = pd.DataFrame(
            {
                "file": rows["file"],
                "label": rows["label"],
                "group": rows["group"],
                f"answer:{run}": rows["predicted"],
                f"p:{run}": shares[
                    np.arange(len(rows)), metrics.class_positions(rows["label"], classes)
                ],
            }
        )
        if joined is None:
            joined = part
        else:
            joined = joined.merge(part.drop(columns="group"), on=["file", "label"])
    assert joined is not None
    if joined.empty:
        raise DataError(
            f"These runs have no {split} image in common: they were trained on other data, or "
            "dealt it out with other seeds. Train them with the same seed and split."
        )
    return joined.sort_values("file", ignore_index=True)


def difference(
    rows: pd.DataFrame,
    classes: Sequence[str],
    first: str,
    second: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Second against first, on the table of ``paired``; differences are second less first.

    Keys: first, second, n, only_first and only_second (images that one alone answers right),
    both, neither, accuracy (``{first, second, difference, ci}``), balanced_accuracy and macro_f1
    (the same), mcnemar_p, verdict. NaN bounds with fewer than two groups.
    """
    truth = metrics.class_positions(rows["label"], classes)
    answers = [metrics.class_positions(rows[f"answer:{run}"], classes) for run in (first, second)]
    right = [answer == truth for answer in answers]
    only_first = int((right[0] & ~right[1]).sum())
    only_second = int((right[1] & ~right[0]).sum())
    cells = (truth * len(classes) + answers[0]) * len(classes) + answers[1]
    figures = _differences(cells, rows["group"].tolist(), len(classes), resamples, seed)
    p = mcnemar(only_first, only_second)
    low, high = figures["accuracy"]["ci"]
    sure = p < _LEVEL and (low > 0 or high < 0)
    better = second if only_second > only_first else first
    return {
        "first": first,
        "second": second,
        "n": len(rows),
        "only_first": only_first,
        "only_second": only_second,
        "both": int((right[0] & right[1]).sum()),
        "neither": int((~right[0] & ~right[1]).sum()),
        **figures,
        "mcnemar_p": p,
        "better": better if sure else None,
        "verdict": f"{better} is better" if sure else SAME,
    }


def compare(
    tables: Mapping[str, pd.DataFrame], classes: Sequence[str], split: str = "test"
) -> dict[str, Any]:
    """Every run with every other: the document of ``compare``.

    ``runs`` has the accuracy of each on the common images with Wilson's interval, how many test
    images it has in all, and its ``rank``: a run's rank is one more than the number of runs that
    are distinguishably better, so runs that can not be told apart may share one. ``pairs`` holds
    ``difference`` of each two. Raises: DataError, as ``paired``.
    """
    rows = paired(tables, classes, split)
    pairs = [difference(rows, classes, *two) for two in combinations(tables, 2)]
    right = {run: int((rows[f"answer:{run}"] == rows["label"]).sum()) for run in tables}
    return {
        "split": split,
        "n": len(rows),
        "classes": list(classes),
        "runs": [
            {
                "run": run,
                "test_images": int((table["split"] == split).sum()),
                "right": right[run],
                "accuracy": right[run] / len(rows),
                "accuracy_ci": list(wilson(right[run], len(rows))),
                "rank": 1 + sum(_beats(two, run) for two in pairs),
            }
            for run, table in tables.items()
        ],
        "pairs": pairs,
    }


def disagreements(rows: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Images that the two answer differently, the widest apart in P(truth) first.

    Columns file, label, first, second (their answers), p_first, p_second (of the truth) and
    right: "first", "second" or "neither".
    """
    one, other = rows[f"answer:{first}"], rows[f"answer:{second}"]
    right = np.select(
        [one == rows["label"], other == rows["label"]], ["first", "second"], "neither"
    )
    found = pd.DataFrame(
        {
            "file": rows["file"],
            "label": rows["label"],
            "first": one,
            "second": other,
            "p_first": rows[f"p:{first}"],
            "p_second": rows[f"p:{second}"],
            "right": right,
        }
    )[one != other]
    apart = (found["p_first"] - found["p_second"]).abs()
    order = apart.sort_values(ascending=False, kind="stable").index
    return found.loc[order].reset_index(drop=True)


def _beats(two: dict[str, Any], run: str) -> bool:
    """Whether this pair says that somebody is better than the run."""
    return run in (two["first"], two["second"]) and two["better"] not in (None, run)


def _differences(
    cells: IntArray, groups: list[str], classes: int, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Three figures of both runs, and their differences with paired intervals.

    A cell for each (truth, first's answer, second's answer): one draw gives both matrices.
    """
    per_group = group_counts(cells, classes**3, groups)
    whole = _figures(per_group.sum(axis=0, keepdims=True), classes)
    enough = len(per_group) > 1
    drawn = _figures(resampled(per_group, resamples, seed), classes) if enough else {}
    unknown = [math.nan, math.nan]
    return {
        name: {
            "first": float(both[0, 0]),
            "second": float(both[1, 0]),
            "difference": float(both[1, 0] - both[0, 0]),
            "ci": bounds(drawn[name][1] - drawn[name][0]).tolist() if enough else unknown,
        }
        for name, both in whole.items()
    }


def _figures(joint: FloatArray | IntArray, classes: int) -> dict[str, FloatArray]:
    """Name -> figures of both runs ``(2, B)``, from joint counts ``(B, C ** 3)``."""
    counts = np.asarray(joint, dtype=np.float64).reshape(-1, classes, classes, classes)
    both = np.stack([counts.sum(axis=3), counts.sum(axis=2)])
    hits = np.trace(both, axis1=-2, axis2=-1)
    return {
        "accuracy": hits / both.sum(axis=(-2, -1)),
        "balanced_accuracy": metrics.mean_defined(metrics.recall(both)),
        "macro_f1": metrics.mean_defined(metrics.f1(both)),
    }
