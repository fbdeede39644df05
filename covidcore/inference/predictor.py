"""A trained model that answers about files: an answer or a refusal each, never an exception.

Files are opened one by one and kept as small squares: so many large ones take no more memory.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from covidcore.data.decode import decode
from covidcore.data.pixels import resize
from covidcore.errors import DecodeError
from covidcore.evaluation.calibration import softmax
from covidcore.evaluation.operating import OperatingPoint, decide
from covidcore.inference import familiar, gate
from covidcore.inference.gate import Refusal
from covidcore.inference.novelty import LEAST
from covidcore.inference.onnx_forward import OnnxForward
from covidcore.model.checkpoint import Contract
from covidcore.model.preprocess import as_squares
from covidcore.wording import percent

BATCH = 8
"""Larger ones are slower: they need more memory than glibc keeps for the next (``lean``)."""

Item = tuple[str, Path | bytes]


@dataclass(frozen=True, eq=False)
class _Looked:
    """A file that was opened: what there is of it, and what the gate says."""

    square: NDArray[np.uint8] | None
    refusal: Refusal | None


class Watcher(Protocol):
    """Sees on the way what an answer does not keep, so that no file is opened twice."""

    def saw(self, name: str, pixels: NDArray[np.uint8]) -> None:
        """A file that was opened: its grey pixels ``(H, W)``, turned round where that was asked."""

    def felt(self, name: str, features: NDArray[np.float32]) -> None:
        """What the network makes of it before its head, ``(F,)``."""


class Backend(Protocol):
    """Computes a network's forward pass: ``forward.Forward``, ``onnx_forward.OnnxForward``."""

    def __call__(
        self, squares: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Logits ``(N, C)`` and features ``(N, F)`` of grey squares ``(N, S, S)``."""

    def alone(self) -> None:
        """Compute on one processor in this thread: others compute beside it."""


class Predictor:
    """One loaded checkpoint. May be used by many threads.

    So many forward passes as it has ``threads`` run at a time, each on one processor where there
    are several.
    """

    def __init__(
        self,
        forward: Backend,
        contract: Contract,
        known: familiar.Familiar | None = None,
        threads: int = 1,
    ) -> None:
        self.forward, self.contract, self.known = forward, contract, known
        self.classes = contract.classes
        self._threads = threads
        self.turn = threading.Semaphore(threads)

    @classmethod
    def open(
        cls, folder: Path, home: Path | None = None, threads: int = 1, backend: str = "torch"
    ) -> "Predictor":
        """Load the checkpoint of a run folder, with what its gate needs.

        ``home`` is where torch's fastest number format on this machine is remembered. ``backend``
        is that of ``Settings``; with ``onnx`` torch is not imported.
        Raises: CheckpointError where it is missing or damaged, or says something else than it did.
        """
        forward: Backend
        if backend == "onnx":
            forward, contract = OnnxForward.open(folder)
        else:
            from covidcore.inference.forward import Forward

            forward, contract = Forward.open(folder, home)
        gate, known = contract.facts.get("gate"), contract.facts.get("known")
        return cls(forward, contract, familiar.load(folder, gate, known), threads)

    @property
    def missing(self) -> str:
        """A sentence for a person where the gate can not do all it might; else empty."""
        if self.known is None:
            return (
                "This run was trained by an earlier version: images unlike its training images, "
                "and copies of those, are not recognised. Train it again to have that."
            )
        if not np.isfinite(self.known.features.threshold):
            return (
                "This run had too few validation images to say what is unlike its training images: "
                f"with {LEAST} or more such images are refused."
            )
        return ""

    def predict(
        self,
        items: Iterable[Item],
        point: OperatingPoint | None = None,
        anyway: bool = False,
        invert: bool = False,
        watcher: Watcher | None = None,
    ) -> list[dict[str, Any]]:
        """Answer about ``(name, path or bytes)`` items, in order: the contract's ``predict``.

        With an operating point its thresholds decide; an answer that is not the most probable
        class says so among its warnings. With ``anyway`` there is an answer also where the gate
        refuses, beside the refusal; not where there are no pixels. ``invert`` asks about negatives.
        ``watcher`` is told of each item by its name.
        """
        rule = point or OperatingPoint()

        def answers(batch: Sequence[Item]) -> list[dict[str, Any]]:
            return self._answers(batch, rule, anyway, invert, watcher)

        batches = _batched(items, BATCH)
        if self._threads == 1 or watcher:
            return [answer for batch in batches for answer in answers(batch)]
        # Each thread opens files and asks the network by itself: none waits for another's share.
        with (
            threadpool_limits(1),  # type: ignore[no-untyped-call]
            ThreadPoolExecutor(self._threads, initializer=self.forward.alone) as pool,
        ):
            return [answer for found in pool.map(answers, batches) for answer in found]

    def _answers(
        self,
        items: Sequence[Item],
        rule: OperatingPoint,
        anyway: bool,
        invert: bool,
        watcher: Watcher | None,
    ) -> list[dict[str, Any]]:
        started = time.perf_counter()
        looked = [self._look(item, invert, watcher) for item in items]
        asked = [
            one.square
            for one in looked
            if one.square is not None and (anyway or one.refusal is None)
        ]
        judged = iter(self._ask(asked))
        answers = []
        for (name, _), one in zip(items, looked, strict=True):
            refusal = one.refusal
            answer: dict[str, Any] = {}
            if one.square is not None and (anyway or refusal is None):
                chances, excess, features = next(judged)
                if watcher:
                    watcher.felt(name, features)
                refusal = refusal or gate.check_features(excess)
                if anyway or refusal is None:
                    answer = self._answered(chances, rule)
            if one.square is not None and self.known:
                answer["near_training_image"] = self.known.memory.find(one.square)
            answers.append(_refused(name, refusal) | answer)
        each = (time.perf_counter() - started) * 1000 / len(items)
        return [{**answer, "milliseconds": round(each, 1)} for answer in answers]

    def _look(self, item: Item, invert: bool, watcher: Watcher | None) -> _Looked:
        """Open a file and look at its greys."""
        try:
            found = decode(item[1])
        except DecodeError as error:
            return _Looked(None, Refusal(error.code, str(error)))
        pixels = 255 - found.pixels if invert else found.pixels
        if watcher:
            watcher.saw(item[0], pixels)
        square = resize(pixels, self.contract.preprocessing.image_size)
        refusal = gate.check(pixels, found.colour)
        if refusal is None and self.known:
            refusal = gate.check_looks(square, self.known)
        return _Looked(square, refusal)

    def probabilities(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Calibrated probabilities ``(N, C)`` of grey images ``(H, W)`` of any size."""
        return np.array([chances for chances, _, _ in self._ask(images)]).reshape(
            len(images), len(self.classes)
        )

    def features(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """What the network makes of grey images ``(H, W)`` before its head, ``(N, F)``."""
        return np.stack([features for _, _, features in self._ask(images)])

    def _ask(
        self, images: Sequence[NDArray[np.uint8]]
    ) -> list[tuple[NDArray[np.float64], float, NDArray[np.float32]]]:
        """Of each image probabilities ``(C,)``, distance in thresholds and features ``(F,)``."""
        if not images:
            return []
        squares = as_squares(images, self.contract.preprocessing)
        with self.turn:
            logits, features = self.forward(squares)
        excess = [0.0] * len(images)
        if self.known:
            excess = self.known.features.excess(features).tolist()
        chances = softmax(logits, self.contract.temperature)
        return list(zip(chances, excess, features, strict=True))

    def _answered(self, probabilities: NDArray[np.float64], rule: OperatingPoint) -> dict[str, Any]:
        """What an answer has that a refusal has not."""
        answer = self.classes[int(decide(probabilities[None], rule.limits(self.classes))[0])]
        likely = self.classes[int(probabilities.argmax())]
        changed = [] if answer == likely else [_by_threshold(answer, likely, rule)]
        return {
            "answer": answer,
            "probabilities": dict(zip(self.classes, probabilities.tolist(), strict=True)),
            "warnings": changed,
        }


def _refused(name: str, refusal: Refusal | None) -> dict[str, Any]:
    """A row without an answer."""
    return {
        "file": name,
        "answer": None,
        "refused": refusal.code if refusal else None,
        "reason": refusal.reason if refusal else None,
        "probabilities": {},
        "warnings": [],
        "near_training_image": None,
    }


def _by_threshold(answer: str, likely: str, rule: OperatingPoint) -> str:
    """Why the answer is not the most probable class."""
    if answer in rule.thresholds:
        why = f"{answer} is answered from {percent(rule.thresholds[answer])} on"
    else:
        why = f"it does not reach its threshold of {percent(rule.thresholds[likely])}"
    return f"The most probable class is {likely}; by this run's operating point {why}."


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
