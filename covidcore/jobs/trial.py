"""The parts of a run, each timed for a second or two: the program's own functions, on noise."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.errors import CovidcoreError
from covidcore.evaluation import calibration, predictions
from covidcore.jobs import resumable
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.plan import plan_split
from covidcore.jobs.rates import LARGEST_BATCH, Rates
from covidcore.model import checkpoint, network, weights
from covidcore.model.at_hand import at_hand
from covidcore.model.preprocess import Preprocessing, normalise
from covidcore.model.transfer import load_into
from covidcore.training.activations import FrozenPart, activations
from covidcore.training.average import average_of
from covidcore.training.batches import ActivationBatches, PixelBatches
from covidcore.training.loop import EpochResult, Step, Validating, fit, make_optimiser
from covidcore.training.precision import choose, device
from covidcore.training.recipe import VARIANTS, Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECONDS = 1.5
"""For each part."""

_IMAGES = 256  # of noise: enough for some batches of a fast machine


class Enough(Exception):
    """The clock has seen what it needs."""


class Clock:
    """Seconds an image, from laps of some images each."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds, self._done = seconds, 0
        self._began = self._last = time.monotonic()
        self._laps: list[tuple[float, int]] = []

    def lap(self, images: int) -> None:
        """So many images were done since the last lap, or since ``skip``.

        Raises: Enough after the time is up. The first lap warms up, so a second one is waited
        for, unless the first took far too long.
        """
        now = time.monotonic()
        self._laps.append((now - self._last, images))
        self._last = now
        patience = self._seconds if len(self._laps) > 1 else 4 * self._seconds
        if now - self._began > patience:
            raise Enough

    def skip(self) -> None:
        """What was done since the last lap does not count."""
        self._last = time.monotonic()

    def progress(self, done: int, total: int) -> None:
        """``lap`` for whoever tells how many are done in all."""
        images, self._done = done - self._done, done
        self.lap(images)

    @property
    def rate(self) -> float:
        """Of the median lap; the first is left out where there are others."""
        return statistics.median(
            seconds / images for seconds, images in self._laps[1:] or self._laps
        )

    @property
    def warming(self) -> float:
        """How much longer the first lap took than its images should have, in seconds."""
        seconds, images = self._laps[0]
        return max(0.0, seconds - self.rate * images)


class Trial:
    """The parts of one recipe, timed one after another."""

    def __init__(self, recipe: Recipe, dataset: Dataset, settings: Settings, scratch: Path) -> None:

        batch = recipe.batch_size
        if recipe.trainable != "head":
            batch = min(batch, LARGEST_BATCH)
        self.recipe = replace(recipe, batch_size=batch, epochs=1000, progressive=False)
        self.dataset, self.settings, self.scratch = dataset, settings, scratch
        self.precision = choose(recipe.precision, settings.home)
        self.noise = np.random.default_rng(0).integers(
            0, 256, (_IMAGES, recipe.image_size, recipe.image_size), dtype=np.uint8
        )

    def rates(self, imports: float, go_on: Callable[[], None] = lambda: None) -> Rates:
        """All of them; whatever ``go_on`` raises between two parts ends the trial."""
        began = time.monotonic()
        self._build()
        building = time.monotonic() - began
        go_on()
        plain, varied = self._features(0), None
        if plain and self.recipe.augment != "none":
            go_on()
            varied = self._features(1)
        go_on()
        training, validating = self._train(), self._validate()
        go_on()
        warming = training.warming + (plain.warming if plain else 0.0)
        return Rates(
            start=imports + building + warming,
            finish=_time(self._finish),
            plain=plain.rate if plain else None,
            varied=varied.rate if varied else None,
            train=training.rate,
            validate=validating.rate,
            save=self._save(),
            precision=self.precision,
        )

    def _build(self) -> None:
        self.model = network.build(self.recipe.arch, len(self.dataset.classes))
        start = at_hand(self.recipe.weights, self.recipe.arch, self.settings) or weights.NONE
        with contextlib.suppress(CovidcoreError):  # the run itself will say what is wrong
            load_into(self.model, network.head_name(self.recipe.arch), start)
        self.frozen, self.tail = network.cut(
            self.model.to(device()), self.recipe.arch, self.recipe.trainable
        )
        self.spec = Preprocessing(self.recipe.image_size, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))

    def _features(self, variant: int) -> Clock | None:
        """The frozen part on noise, written to disk as in a run; None where all is trained."""
        if self.recipe.trainable == "all":
            return None
        part = FrozenPart(
            self.frozen, self.recipe.arch, self.recipe.trainable, "", self.spec, self.precision
        )
        clock = Clock()
        with contextlib.suppress(Enough):
            activations(part, self.noise, variant, "probe", self.scratch, clock.progress)
        return clock

    @property
    def _tail_precision(self) -> str:
        return "fp32" if self.recipe.trainable == "head" else self.precision

    def _batches(self, train: int) -> PixelBatches | ActivationBatches:
        """Batches of noise, ``train`` images of it for training."""
        varied = self.recipe.augment != "none"
        classes = len(self.dataset.classes)
        labels = np.arange(max(train, _IMAGES), dtype=np.int64) % classes
        rows: dict[str, Any] = {
            "labels": labels,
            "train_rows": np.arange(train),
            "val_rows": np.arange(_IMAGES),
            "classes": classes,
        }
        if self.recipe.trainable == "all":
            sizes = (self.recipe.image_size,) * self.recipe.epochs
            noise = self.noise[np.arange(len(labels)) % _IMAGES]
            return PixelBatches(noise, self.spec, self.recipe.augment, sizes, **rows)
        stored = self._activations(len(labels))
        return ActivationBatches([stored] * (VARIANTS if varied else 1), 0, **rows)

    def _activations(self, images: int) -> "NDArray[np.float16]":
        """Noise of the shape that the frozen part gives, channels last."""
        with torch.inference_mode():
            two = torch.from_numpy(self.noise[:2]).to(device())
            shape = self.frozen(normalise(two, self.spec)).shape[1:]
        if len(shape) == 3:
            shape = (*shape[1:], shape[0])
        made = np.random.default_rng(0).random((images, *shape), dtype=np.float32)
        return made.astype(np.float16)

    def _train(self) -> Clock:
        """Steps of the program's own loop."""

        self.optimiser = make_optimiser(self.tail, self.recipe)
        clock = Clock()
        with contextlib.suppress(Enough):
            for event in self._fit(8 * self.recipe.batch_size):
                if isinstance(event, Step):
                    clock.lap(event.images)
                else:
                    clock.skip()
        return clock

    def _validate(self) -> Clock:
        """The loop's validation, after epochs of one small step."""

        clock, seen = Clock(), 0
        with contextlib.suppress(Enough):
            for event in self._fit(2):
                if isinstance(event, Validating):
                    images, seen = event.images - seen, event.images
                    clock.lap(images)
                else:
                    seen = 0
                    clock.skip()
        return clock

    def _fit(self, train: int) -> Iterator[Step | Validating | EpochResult]:

        batches = self._batches(train)
        return fit(
            self.tail,
            batches,
            self.recipe,
            self.optimiser,
            self._tail_precision,
            average=average_of(self.tail, self.recipe),
        )

    def _save(self) -> float:
        """The checkpoint of an epoch; the median of three."""

        position = resumable.Position(self.precision, average=average_of(self.tail, self.recipe))
        position.add(EpochResult(1, 1.0, 0.5, 1.0, 0.5, 1e-3), self.tail)
        folder = RunFolder(self.scratch)
        return statistics.median(
            _time(lambda: resumable.save(folder, self.tail, self.optimiser, position))
            for _ in range(3)
        )

    def _finish(self) -> None:
        """What follows the predictions, on the dataset's own rows."""

        classes = self.dataset.classes
        table = plan_split(self.recipe, self.dataset)
        table["source"] = ""
        rows = table[table["split"] != "train"].reset_index(drop=True)
        logits = np.random.default_rng(0).standard_normal((len(rows), len(classes)))
        numbers = {name: position for position, name in enumerate(classes)}
        truth = np.array([numbers[name] for name in rows["label"]], dtype=np.int64)
        temperature = calibration.fit_temperature(logits, truth)
        found = predictions.build(rows, logits, classes, temperature)
        predictions.evaluate(found, classes, run="", dataset="", temperature=temperature)
        contract = checkpoint.Contract(self.recipe.arch, classes, self.spec, temperature)
        checkpoint.save(self.scratch, self.model, contract)


def _time(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
