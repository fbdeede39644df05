"""Leave one source out: how right a head is on images from a hospital that it has never seen.

Says who learns and who is tested, and reads figures and a sentence off the answers; trains nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidcore.errors import DataError
from covidcore.evaluation.folds import bought
from covidcore.evaluation.metrics import IntArray
from covidcore.evaluation.stress import accuracy
from covidcore.wording import interval, percent, points

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Left:
    """One source that is left out."""

    source: str
    tested: Rows
    """Its images, ``(N,)``."""
    seen: Rows
    """What the head learns from, ``(N,)``: images of other sources, without its relatives."""
    learnt: tuple[int, ...]
    """Classes that are among these."""

    @property
    def only_answer(self) -> int | None:
        """What there is to answer where no head can be trained: one class, or -1 for none.

        None where there are two classes or more, to tell apart.
        """
        return (*self.learnt, -1)[0] if len(self.learnt) < 2 else None


def deal(sources: Sequence[str], truth: IntArray, groups: IntArray) -> list[Left]:
    """Each source in turn, by name; all of ``(N,)`` images.

    Images of the same group (patient or picture) as one of the source teach nobody about it: they
    are not learnt from. Raises: DataError, saying why, where there are not two sources.
    """
    names = np.asarray(sources, dtype=object)
    known = sorted(set(sources) - {""})
    if not known:
        raise DataError(
            "No image has a source: without a metadata file that tells them none can be left out."
        )
    if len(known) == 1:
        raise DataError(
            f"All images whose source is known come from “{known[0]}”: without it there is "
            "nothing to learn from."
        )
    found = []
    for source in known:
        tested = names == source
        seen = ~np.isin(groups, groups[tested]) & (names != "")
        found.append(Left(source, tested, seen, tuple(np.unique(truth[seen]).tolist())))
    return found


def figures(
    left: Sequence[Left],
    truth: IntArray,
    answers: IntArray,
    reference: IntArray,
    groups: IntArray,
    classes: Sequence[str],
) -> dict[str, Any]:
    """What came of it.

    ``answers`` ``(N,)`` are those of the head that has not seen the image's source, ``reference``
    those of one that has, and has not seen the image's group. Images of unknown source are in
    none of ``left`` and do not count. A class that was not there to be learnt counts as wrong in
    accuracy, and is left out of ``learnable``.
    """
    known = np.logical_or.reduce([one.tested for one in left])
    possible = np.logical_or.reduce([one.tested & np.isin(truth, one.learnt) for one in left])
    right, usual = answers == truth, reference == truth
    gain = bought(truth[possible], reference[None, possible], answers[None, possible],
                  groups[possible])  # fmt: skip
    found = {
        "sources": [
            {
                "source": one.source,
                **accuracy(right[one.tested]),
                "classes": _counts(truth[one.tested], classes),
                "unlearnable": [
                    name
                    for at, name in enumerate(classes)
                    if at in truth[one.tested] and at not in one.learnt
                ],
                "learnable": accuracy(right[one.tested & possible]),
                "reference": accuracy(usual[one.tested]),
            }
            for one in left
        ],
        **accuracy(right[known]),
        "learnable": accuracy(right[possible]),
        "reference": accuracy(usual[known]),
        "lost": {name: gain[name] for name in ("n", "groups", "difference", "ci")},
        "unknown": int((~known).sum()),
    }
    return {**found, **verdict(found)}


def _counts(truth: IntArray, classes: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(truth, minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, counts, strict=True) if count}


def verdict(found: dict[str, Any]) -> dict[str, str]:
    """Finding (falls, holds, unlearnable) and verdict of ``figures``.

    It falls where the interval of what is lost, paired by image, lies above 0.
    """
    known, learnable, lost = found["n"], found["learnable"], found["lost"]
    never = known - learnable["n"]
    usual = percent(found["reference"]["accuracy"])
    alone = (
        f"{never:,} of {known:,} images are of a class that no other source has: without their "
        "source it can not be learnt, and they count as wrong."
    )
    if not learnable["n"]:
        return {
            "finding": "unlearnable",
            "verdict": f"Every source has classes of its own: {alone} That is {usual} with all "
            "sources and 0.0 % without the image's own. Whether classes of different sources are "
            "told apart by anything but the source can not be told from these images.",
        }
    fallen = lost["ci"][0] > 0 and lost["groups"] > 1  # one patient has no interval
    meaning = (
        "it goes by the source, in part at least" if fallen else "not distinguishable from no loss"
    )
    text = (
        f"Heads that have never seen an image's source are right on "
        f"{percent(learnable['accuracy'])} of {learnable['n']:,} images (95 %: "
        f"{interval(learnable['accuracy_ci'])}); leaving the source out changes that by "
        f"{points(-lost['difference'])} points (95 %: {points(-lost['ci'][1], -lost['ci'][0])}): "
        f"{meaning}."
    )
    if never:
        text += f" {alone}"
    return {"finding": "falls" if fallen else "holds", "verdict": text}
