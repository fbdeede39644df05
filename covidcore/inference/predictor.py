"""A trained model that answers about files: an answer or a refusal each, never an exception."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from covidcore.data.decode import decode
from covidcore.errors import DecodeError
from covidcore.evaluation.calibration import softmax
from covidcore.evaluation.operating import OperatingPoint, decide
from covidcore.inference.gate import Refusal, check
from covidcore.model import checkpoint
from covidcore.model.preprocess import preprocess
from covidcore.wording import percent

BATCH = 16

Item = tuple[str, Path | bytes]


class Predictor:
    """One loaded checkpoint. May be used by many threads; one forward pass runs at a time."""

    def __init__(self, model: nn.Module, contract: checkpoint.Contract) -> None:
        self.model, self.contract = model, contract
        self.classes = contract.classes
        self._turn = threading.Semaphore(1)

    @classmethod
    def open(cls, folder: Path) -> "Predictor":
        """Load the checkpoint of a run folder.

        Raises: CheckpointError where it is missing or damaged.
        """
        return cls(*checkpoint.load(folder))

    def predict(
        self, items: Iterable[Item], point: OperatingPoint | None = None
    ) -> list[dict[str, Any]]:
        """Answer about ``(name, path or bytes)`` items, in order: the contract's ``predict``.

        With an operating point its thresholds decide; an answer that is not the most probable
        class says so among its warnings.
        """
        rule = point or OperatingPoint()
        return [answer for batch in _batched(items, BATCH) for answer in self._answers(batch, rule)]

    def _answers(self, items: Sequence[Item], rule: OperatingPoint) -> list[dict[str, Any]]:
        started = time.perf_counter()
        opened = [_open(source) for _, source in items]
        images = [image for image in opened if not isinstance(image, Refusal)]
        probabilities = iter(self.probabilities(images))
        answers = [
            self._refused(name, image)
            if isinstance(image, Refusal)
            else self._answered(name, next(probabilities), rule)
            for (name, _), image in zip(items, opened, strict=True)
        ]
        each = (time.perf_counter() - started) * 1000 / len(items)
        return [{**answer, "milliseconds": round(each, 1)} for answer in answers]

    @torch.inference_mode()
    def probabilities(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Calibrated probabilities ``(N, C)`` of grey images ``(H, W)`` of any size."""
        if not images:
            return np.zeros((0, len(self.classes)))
        batch = preprocess(images, self.contract.preprocessing)
        with self._turn:
            logits = self.model(batch).double().numpy()
        return softmax(logits, self.contract.temperature)

    def _answered(
        self, name: str, probabilities: NDArray[np.float64], rule: OperatingPoint
    ) -> dict[str, Any]:
        answer = self.classes[int(decide(probabilities[None], rule.limits(self.classes))[0])]
        likely = self.classes[int(probabilities.argmax())]
        changed = [] if answer == likely else [_by_threshold(answer, likely, rule)]
        return {
            "file": name,
            "answer": answer,
            "refused": None,
            "reason": None,
            "probabilities": dict(zip(self.classes, probabilities.tolist(), strict=True)),
            "warnings": changed,
            "near_training_image": None,
        }

    def _refused(self, name: str, refusal: Refusal) -> dict[str, Any]:
        return {
            "file": name,
            "answer": None,
            "refused": refusal.code,
            "reason": refusal.reason,
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


def _open(source: Path | bytes) -> NDArray[np.uint8] | Refusal:
    try:
        pixels = decode(source).pixels
    except DecodeError as error:
        return Refusal(error.code, str(error))
    return check(pixels) or pixels


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
