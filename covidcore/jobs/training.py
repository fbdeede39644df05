"""One run from its job file to its results: the worker's work, step by step."""

import dataclasses
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.index import Dataset, load
from covidcore.data.pixels import pixel_array
from covidcore.data.split import digest
from covidcore.errors import RunError, Stopped
from covidcore.evaluation import calibration, predictions
from covidcore.jobs import resumable
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.plan import plan_split
from covidcore.jobs.progress import Pace, Reporter
from covidcore.model import checkpoint, network, weights
from covidcore.model.preprocess import Preprocessing
from covidcore.training.activations import FrozenPart, activations
from covidcore.training.batches import ActivationBatches, PixelBatches, image_sizes
from covidcore.training.loop import EpochResult, Step, Validating, fit, make_optimiser
from covidcore.training.precision import autocast, choose, device
from covidcore.training.recipe import VARIANTS, Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Batches = PixelBatches | ActivationBatches

CHECKPOINT_SECONDS = 180.0
"""Longest time between checkpoints within an epoch."""

_PREDICT_BATCH = 64


@dataclasses.dataclass
class _Run:
    """What the steps below hand on to one another."""

    recipe: Recipe
    dataset: Dataset
    table: pd.DataFrame
    weights: weights.Weights
    classes: tuple[str, ...]
    model: nn.Module
    tail: nn.Sequential
    spec: Preprocessing
    precision: str

    @property
    def tail_precision(self) -> str:
        """A linear head costs nothing, and needs the digits: it is trained in fp32."""
        return "fp32" if self.recipe.trainable == "head" else self.precision


def train(folder: RunFolder, settings: Settings, reporter: Reporter) -> dict[str, Any]:
    """Do the whole job in ``folder``; returns what its status shows of the result.

    Raises: CovidcoreError with a sentence; Stopped where it was asked to stop.
    """
    job = folder.read_job()
    recipe = Recipe.from_json(job["recipe"])
    torch.set_num_threads(recipe.threads or os.cpu_count() or 1)
    dataset = load(job["dataset"], settings.home)
    table = _read_split(folder, job, dataset)
    pixels = pixel_array(
        dataset, recipe.image_size, settings.home, reporter.phase("reading images")
    )
    start = weights.Weights(**job["weights"])
    classes = tuple(job["classes"])
    model = network.build(recipe.arch, len(classes), recipe.seed)
    weights.load_into(model, network.head_name(recipe.arch), start)
    pretrained = start.id != "none"
    frozen, tail = network.cut(model.to(device()), recipe.arch, recipe.trainable, pretrained)
    spec = Preprocessing(recipe.image_size, tuple(start.mean), tuple(start.std))  # type: ignore[arg-type]
    precision = resumable.stored_precision(folder) or choose(recipe.precision, settings.home)
    run = _Run(recipe, dataset, table, start, classes, model, tail, spec, precision)
    batches = _batches(run, frozen, pixels, settings, reporter)
    if recipe.standardise:
        features = batches.plain(batches.train_rows)
        run.tail = nn.Sequential(network.Standardise(features).to(device()), *tail)
    optimiser = make_optimiser(run.tail, recipe)
    position = resumable.restore(folder, run.tail, optimiser) or resumable.Position(precision)
    _fit(run, batches, optimiser, position, folder, reporter)
    run.tail.load_state_dict(position.best)
    return _finish(run, batches, position, folder, reporter)


def _read_split(folder: RunFolder, job: dict[str, Any], dataset: Dataset) -> pd.DataFrame:
    """The run's split, with each image's row in the dataset and its source.

    The recipe says who is in which set, so a damaged file is written anew. Raises: RunError where
    this version of covidcore would deal the sets in another way.
    """
    planned = plan_split(Recipe.from_json(job["recipe"]), dataset)
    if digest(planned) == job["split"]:
        storage.write_csv(folder.split, planned)
    try:
        table = pd.read_csv(folder.split, dtype=str, keep_default_na=False)
        whole = digest(table) == job["split"]
    except (OSError, ValueError, KeyError):
        whole = False
    if not whole:
        raise RunError("The run's split.csv is damaged: remove the run and submit it again.")
    rows = pd.Series(np.arange(len(dataset.index)), index=dataset.index["file"])
    table["row"] = table["file"].map(rows).to_numpy()
    table["source"] = dataset.index["source"].to_numpy()[table["row"]]
    return table


def _batches(
    run: _Run, frozen: nn.Sequential, pixels: "NDArray[np.uint8]", settings: Settings, rep: Reporter
) -> "Batches":
    """Pixels where everything is trained; else activations of the frozen part, made if need be."""
    recipe, table = run.recipe, run.table
    numbers = {name: position for position, name in enumerate(run.classes)}
    labels = np.zeros(len(pixels), dtype=np.int64)
    labels[table["row"]] = table["label"].map(numbers)
    rows: dict[str, Any] = {
        "labels": labels,
        "train_rows": table.loc[table["split"] == "train", "row"].to_numpy(),
        "val_rows": table.loc[table["split"] == "val", "row"].to_numpy(),
        "classes": len(run.classes),
    }
    varied = recipe.augment != "none"
    if recipe.trainable == "all":
        sizes = image_sizes(recipe.image_size, recipe.epochs, recipe.progressive)
        return PixelBatches(pixels, run.spec, varied, sizes, **rows)
    part = FrozenPart(
        frozen, recipe.arch, recipe.trainable, run.weights.id, run.spec, run.precision
    )
    count = VARIANTS if varied else 1
    stored = [
        activations(
            part,
            pixels,
            variant,
            run.dataset.fingerprint,
            settings.home,
            rep.phase(f"computing features {variant + 1} of {count}"),
        )
        for variant in range(count)
    ]
    return ActivationBatches(stored, recipe.seed, **rows)


def _fit(
    run: _Run,
    batches: "Batches",
    optimiser: torch.optim.Optimizer,
    position: resumable.Position,
    folder: RunFolder,
    reporter: Reporter,
) -> None:
    """Train from ``position`` to the end.

    On disk before the next begins: every epoch, and in long ones every few minutes.
    """
    recipe = run.recipe
    _write_history(folder, position)  # a kill may have come between the checkpoint and this
    if _out_of_patience(recipe, position):
        return
    done = len(position.history) + position.step.step / max(position.step.steps, 1)
    pace = Pace(round((recipe.epochs - done) * batches.train_size))
    saved = began = time.monotonic()
    try:
        for event in fit(run.tail, batches, recipe, optimiser, run.tail_precision, position.step):
            if isinstance(event, Step):
                position.step = event
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    resumable.save(folder, run.tail, optimiser, position)
                    saved = time.monotonic()
                reporter.progress(
                    "training",
                    event.step,
                    event.steps,
                    epoch=event.epoch,
                    loss=round(event.loss, 4),
                    **pace.after(event.images),
                )
            elif isinstance(event, Validating):
                reporter.progress("validating", event.images, event.of, epoch=event.epoch)
            else:
                position.add(event, run.tail)
                resumable.save(folder, run.tail, optimiser, position)
                _write_history(folder, position)
                saved = time.monotonic()
                reporter.epoch(**dataclasses.asdict(event), seconds=round(saved - began, 3))
                began = saved
                if _out_of_patience(recipe, position):
                    return
    except Stopped:
        resumable.save(folder, run.tail, optimiser, position)
        raise


def _write_history(folder: RunFolder, position: resumable.Position) -> None:
    columns = [field.name for field in dataclasses.fields(EpochResult)]
    storage.write_csv(folder.history, pd.DataFrame(position.history, columns=columns))


def _out_of_patience(recipe: Recipe, position: resumable.Position) -> bool:
    if not recipe.patience or not position.history:
        return False
    return position.history[-1].epoch - position.best_result.epoch >= recipe.patience


def _finish(
    run: _Run,
    batches: "Batches",
    position: resumable.Position,
    folder: RunFolder,
    reporter: Reporter,
) -> dict[str, Any]:
    """Predict validation and test images with the best epoch, calibrate, evaluate, store."""
    rows = run.table[run.table["split"] != "train"].reset_index(drop=True)
    logits = _predict(run, batches, rows["row"].to_numpy(), reporter)
    validates = (rows["split"] == "val").to_numpy()
    numbers = {name: position for position, name in enumerate(run.classes)}
    truth = np.array([numbers[name] for name in rows["label"]], dtype=np.int64)
    temperature = calibration.fit_temperature(logits[validates], truth[validates])
    table = predictions.build(rows, logits, run.classes, temperature)
    report = predictions.evaluate(
        table,
        run.classes,
        run=folder.run,
        dataset=run.dataset.fingerprint,
        temperature=temperature,
    )
    if run.recipe.standardise:
        first, head = run.tail[0], run.tail[-1]
        assert isinstance(first, network.Standardise) and isinstance(head, nn.Linear)
        first.fold_into(head)
    best: EpochResult = position.best_result
    storage.write_table(folder.predictions, table)
    storage.write_json(folder.report, report)
    facts = {
        "recipe": run.recipe.to_json(),
        "dataset": run.dataset.fingerprint,
        "dataset_name": run.dataset.name,
        "split": digest(run.table),
        "weights": run.weights.to_json(),
        "trained_with": {
            "precision": run.precision,
            "device": device().type,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
    }
    contract = checkpoint.Contract(run.recipe.arch, run.classes, run.spec, temperature, facts)
    checkpoint.save(folder.path, run.model, contract)
    return {
        "artefacts": folder.hash_artefacts(),
        "accuracy": report["accuracy"],
        "epoch": len(position.history),
        "best_epoch": best.epoch,
        "val_loss": best.val_loss,
    }


@torch.inference_mode()
def _predict(
    run: _Run, batches: "Batches", rows: "NDArray[np.int64]", reporter: Reporter
) -> "NDArray[np.float64]":
    run.tail.eval()
    report = reporter.phase("evaluating")
    parts = []
    for start in range(0, len(rows), _PREDICT_BATCH):
        with autocast(run.tail_precision):
            logits = run.tail(batches.plain(rows[start : start + _PREDICT_BATCH]))
        parts.append(logits.float().cpu().numpy())
        report(min(start + _PREDICT_BATCH, len(rows)), len(rows))
    return np.concatenate(parts).astype(np.float64)
