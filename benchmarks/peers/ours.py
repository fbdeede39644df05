"""covidcore's own loop and predictor, and two ceilings: the bare network on a batch of zeros.

Ceilings are of torch as it comes; of a process that keeps its memory where it is asked for.
"""

import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional

from benchmarks.peers import clock
from covidcore.config import Settings
from covidcore.data.pixels import pixel_array
from covidcore.data.sources import resolve
from covidcore.inference.predictor import Predictor
from covidcore.lean import keep_memory
from covidcore.model import network
from covidcore.model.preprocess import Preprocessing
from covidcore.model.weights import SHIPPED
from covidcore.training.batches import PixelBatches
from covidcore.training.loop import Step, fit, make_optimiser
from covidcore.training.precision import autocast, choose
from covidcore.training.recipe import PRESETS

_CHUNK = 250
"""Files that are asked about at once."""


def work(folder: Path, what: str, images: int) -> Iterator[int]:
    """Training as ``full`` does it at 224 px, or prediction, or one of the ceilings."""
    what, _, how = what.partition(" ")
    if what == "all" or how == "kept":  # as workers do, and the command `predict` does not
        keep_memory()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(os.environ.get("COVIDCORE_HOME") or scratch)
        precision = choose("auto", home)
        if what == "predict":
            yield from predict(folder, home)
        elif what == "forward-ceiling":
            yield from forward(precision)
        elif what == "training-ceiling":
            yield from training(precision)
        else:
            yield from train(folder, home, precision)


def train(folder: Path, home: Path, precision: str) -> Iterator[int]:
    """Everything, from the pixels that were decoded once."""
    dataset = resolve(str(folder), Settings(home=home))
    recipe = replace(PRESETS["full"].recipe, epochs=1000, progressive=False, weights="none")
    names = {name: number for number, name in enumerate(dataset.classes)}
    labels = dataset.index["label"].map(names).to_numpy()
    rows = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0)).numpy()
    batches = PixelBatches(
        pixel_array(dataset, 224, home),
        Preprocessing(224, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        recipe.augment,
        (224,) * recipe.epochs,
        labels=labels,
        train_rows=rows[:-290],
        val_rows=rows[-290:],
        classes=len(names),
    )
    _, tail = network.cut(network.build("resnet18", len(names)), "resnet18", "all")
    for event in fit(tail, batches, recipe, make_optimiser(tail, recipe), precision):
        if isinstance(event, Step):
            yield event.images


def predict(folder: Path, home: Path) -> Iterator[int]:
    """As ``predict`` does with many files."""
    predictor = Predictor.open(SHIPPED, home, os.cpu_count() or 1)
    files = itertools.cycle(sorted(folder.rglob("*.png")))
    for size in itertools.chain([16] * clock.WARM_UP, itertools.repeat(_CHUNK)):
        yield len(predictor.predict((path.name, path) for path in itertools.islice(files, size)))


def forward(precision: str) -> Iterator[int]:
    """The network's forward pass on a batch of zeros."""
    model = network.build("resnet18", 3).eval()
    batch = torch.zeros(32, 3, 224, 224).to(memory_format=torch.channels_last)
    while True:
        with torch.inference_mode(), autocast(precision):
            model(batch)
        yield len(batch)


def training(precision: str) -> Iterator[int]:
    """Forward, backward and the optimiser's step on a batch of zeros."""
    model = network.build("resnet18", 3).train()
    optimiser = torch.optim.AdamW(model.parameters())
    batch = torch.zeros(32, 3, 224, 224).to(memory_format=torch.channels_last)
    labels = torch.zeros(32, dtype=torch.long)
    while True:
        with autocast(precision):
            logits = model(batch).float()
        functional.cross_entropy(logits, labels).backward()
        optimiser.step()
        optimiser.zero_grad()
        yield len(batch)


if __name__ == "__main__":
    clock.main(work)
