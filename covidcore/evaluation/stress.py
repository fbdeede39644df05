"""What altered images tell about a run: figures with intervals, and a plain sentence for each test.

Knows no images. A verdict is read off intervals and never off a figure alone. Every sentence goes
with a ``finding``, for whoever can not read sentences.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covidcore.evaluation.metrics import FloatArray, IntArray
from covidcore.evaluation.resampling import bounds, group_codes, weights
from covidcore.proportions import wilson
from covidcore.wording import interval, percent

FALL = 0.05
"""A corruption counts from the level at which so much of the accuracy is lost."""
LEAST_CELLS = 4
"""Cells a side under which a map is too coarse to tell the lungs from what is around them."""
EVEN = 0.05
"""How far from 1 a ratio may be and still count as even, however sure it is."""
_ONE_SIDED = 0.9
"""Share of the answers from which it is told that they are all the same."""
_RESAMPLES = 2000


class Chance(NamedTuple):
    """What a rule gets right that looks at nothing."""

    share: float
    answer: str
    """The most frequent class, which it always answers."""


class Where(NamedTuple):
    """What stands for the lungs, of how many images."""

    masks: int
    boxes: int

    def __str__(self) -> str:
        """In words."""
        if not self.boxes:
            return "the lungs"
        if not self.masks:
            return "the middle of the image (no lung masks are known: a box stands for the lungs)"
        share = f"{self.boxes:,} of {self.masks + self.boxes:,} images have no mask"
        return f"the lungs ({share}: there a box in the middle stands for them)"


def chance(truth: IntArray, classes: Sequence[str]) -> Chance:
    """The chance level of images of the classes ``truth`` ``(N,)``: the share of the largest."""
    counts = np.bincount(truth, minlength=len(classes))
    return Chance(float(counts.max() / counts.sum()), classes[int(counts.argmax())])


def accuracy(right: NDArray[np.bool_]) -> dict[str, Any]:
    """n, accuracy and accuracy_ci (Wilson, 95 %) of what is right ``(N,)``; NaN for none."""
    hits, total = int(right.sum()), len(right)
    share = hits / total if total else float("nan")
    return {"n": total, "accuracy": share, "accuracy_ci": list(wilson(hits, total))}


def _counted(figures: dict[str, Any]) -> str:
    """``54.2 % of 581 images (95 %: 50.1 to 58.2 %)``."""
    bounds_of = interval(figures["accuracy_ci"])
    return f"{percent(figures['accuracy'])} of {figures['n']:,} images (95 %: {bounds_of})"


def usual_answer(answers: IntArray, classes: Sequence[str]) -> dict[str, Any]:
    """What is answered most often ``(N,)``, and about which share of the images."""
    most = chance(answers, classes)
    return {"answer": most.answer, "answer_share": most.share}


def _one_sided(figures: dict[str, Any]) -> str:
    """A sentence where nearly all answers are the same."""
    if figures["answer_share"] < _ONE_SIDED:
        return ""
    return f" It answers “{figures['answer']}” about {percent(figures['answer_share'])} of them."


def lungs_out(
    figures: dict[str, Any], whole: dict[str, Any], level: Chance, where: Where
) -> dict[str, str]:
    """Finding and verdict of images with the lungs black; ``whole``: of the same, unaltered.

    ``figures``: `accuracy` and `usual_answer`. Findings: above_chance, at_chance, and untested
    where the run is no better than chance anyway.
    """
    if whole["accuracy_ci"][0] <= level.share:
        return _untested(whole, level)
    start = f"With {where} black the run is right on {_counted(figures)}"
    if figures["accuracy_ci"][0] > level.share:
        outline = ", or the shape of what was blacked," if where.masks else ""
        return {
            "finding": "above_chance",
            "verdict": f"{start}, more than the {percent(level.share)} of always answering "
            f"“{level.answer}”: what is not lungs{outline} tells it the class.",
        }
    return {
        "finding": "at_chance",
        "verdict": f"{start}, not distinguishably more than the {percent(level.share)} of always "
        f"answering “{level.answer}”: nothing shows that it answers by what is not lungs (or the "
        f"black is too new to it).{_one_sided(figures)}",
    }


def lungs_only(
    figures: dict[str, Any], whole: dict[str, Any], level: Chance, where: Where
) -> dict[str, str]:
    """Finding and verdict of images with all but the lungs black; as ``lungs_out``."""
    if whole["accuracy_ci"][0] <= level.share:
        return _untested(whole, level)
    start = f"With all but {where} black the run is right on {_counted(figures)}"
    if figures["accuracy_ci"][0] > level.share:
        return {
            "finding": "above_chance",
            "verdict": f"{start}, more than the {percent(level.share)} of always answering "
            f"“{level.answer}”: what is left carries at least a part of its answers.",
        }
    return {
        "finding": "at_chance",
        "verdict": f"{start}, not distinguishably more than the {percent(level.share)} of always "
        f"answering “{level.answer}”: without the rest of the image it does not find its answers "
        f"(or the black is too new to it).{_one_sided(figures)}",
    }


def _untested(whole: dict[str, Any], level: Chance) -> dict[str, str]:
    return {
        "finding": "untested",
        "verdict": f"On whole images the run is right on {_counted(whole)}, not distinguishably "
        f"more than the {percent(level.share)} of always answering “{level.answer}”: there is "
        "nothing to lose, so this test says nothing.",
    }


def falls_at(levels: Sequence[dict[str, Any]], whole: float) -> float | None:
    """The first level whose accuracy is ``FALL`` or more below that of the unaltered images."""
    fallen = (one["level"] for one in levels if whole - one["accuracy"] >= FALL - 1e-9)
    return next(fallen, None)


def ladder(kinds: Sequence[dict[str, Any]], whole: dict[str, Any], level: Chance) -> dict[str, str]:
    """Finding (falls, holds, untested) and verdict of the corruptions; each has falls_at."""
    if whole["accuracy_ci"][0] <= level.share:
        return _untested(whole, level)
    words = [
        one["kind"]
        if len(one["levels"]) == 1
        else f"{one['kind']} ({one['falls_at']:g} {one['unit']})"
        for one in kinds
        if one["falls_at"] is not None
    ]
    held = [one["kind"] for one in kinds if one["falls_at"] is None]
    start = f"On {whole['n']:,} test images, {percent(whole['accuracy'])} right unaltered, "
    if not words:
        text = "no corruption at any level takes 5 points of accuracy."
        return {"finding": "holds", "verdict": start + text}
    rest = f" No level of {', '.join(held)} does." if held else ""
    text = f"accuracy falls by 5 points or more with {'; '.join(words)}.{rest}"
    return {"finding": "falls", "verdict": start + text}


def attention(
    maps: NDArray[np.float32], areas: NDArray[np.bool_], groups: Sequence[str], seed: int = 0
) -> dict[str, Any]:
    """How much of the mass of maps ``(N, h, w)``, 0 and above, lies in ``areas`` ``(N, S, S)``.

    Maps are enlarged as one looks at them. share: mean over the images; area: mean share of the
    picture; ratio: one over the other, 1 where the map is spread evenly; ratio_ci from resampled
    groups. Maps without any mass, or of fewer than ``LEAST_CELLS`` a side, are left out; n is what
    is left. NaN where nothing is.
    """
    large = np.array([_enlarged(one, areas.shape[1]) for one in maps]).reshape(areas.shape)
    mass = large.sum(axis=(1, 2), dtype=np.float64)
    kept = np.flatnonzero((mass > 0) & (min(maps.shape[1:]) >= LEAST_CELLS))
    shares = (large * areas)[kept].sum(axis=(1, 2), dtype=np.float64) / mass[kept]
    sizes = areas[kept].mean(axis=(1, 2))
    codes = group_codes([groups[int(at)] for at in kept])
    ratio, ends = _ratio(shares, sizes, codes, seed)
    return {
        "n": len(kept),
        "share": float(shares.mean()) if len(kept) else float("nan"),
        "area": float(sizes.mean()) if len(kept) else float("nan"),
        "ratio": ratio,
        "ratio_ci": ends,
    }


def _enlarged(cells: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(cells, dtype=np.float32))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def _ratio(
    shares: FloatArray, sizes: FloatArray, codes: IntArray, seed: int
) -> tuple[float, list[float]]:
    if len(np.unique(codes)) < 2 or not sizes.sum():
        return float("nan"), [float("nan")] * 2
    drawn = [(often.T @ shares) / (often.T @ sizes) for often in weights(codes, _RESAMPLES, seed)]
    low, high = bounds(np.concatenate(drawn))
    return float(shares.sum() / sizes.sum()), [float(low), float(high)]


def attention_verdict(found: dict[str, Any], where: Where) -> dict[str, str]:
    """Finding (inside, outside, even, untested) and verdict of ``attention``."""
    low, high = found["ratio_ci"]
    if not low <= high:  # NaN
        return {
            "finding": "untested",
            "verdict": "Where the run looks can not be told: at this image size its maps are too "
            "coarse, or they are empty.",
        }
    finding = "inside" if low > 1 + EVEN else "outside" if high < 1 - EVEN else "even"
    meaning = {
        "inside": "it looks there more than elsewhere",
        "outside": "it looks elsewhere more than there",
        "even": "that is like looking everywhere alike, or can not be told from it",
    }[finding]
    return {
        "finding": finding,
        "verdict": f"{percent(found['share'])} of the mass of the Grad-CAM maps of "
        f"{found['n']:,} images lies in {where}, which is {percent(found['area'])} of the picture: "
        f"{found['ratio']:.2f} times as much as if it were spread evenly (95 %: {low:.2f} to "
        f"{high:.2f}), so {meaning}.",
    }


def sample(truth: IntArray, most: int, seed: int) -> IntArray:
    """Places of ``most`` images, in order: each class in its share.

    A class that would be missed has one, on top. All images where there are no more.
    """
    if len(truth) <= most:
        return np.arange(len(truth))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(truth))
    # An even walk through the images sorted by class takes of each class its share.
    by_class = order[np.argsort(truth[order], kind="stable")]
    chosen = by_class[(np.arange(most) * len(truth)) // most]
    first = by_class[np.unique(truth[by_class], return_index=True)[1]]
    missing = [at for at in first if truth[at] not in set(truth[chosen])]
    return np.sort(np.concatenate([chosen, np.array(missing, dtype=np.int64)]))
