"""One run from its job file to its results: the worker's work, step by step."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from covidcore import storage
from covidcore.config import Settings
from covidcore.data import known
from covidcore.data.split import digest
from covidcore.evaluation import calibration, predictions
from covidcore.evaluation.marks import copies
from covidcore.inference import familiar
from covidcore.jobs import acquaintance, fitting, resumable, together
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.preparation import Prepared, prepare, threads_each
from covidcore.jobs.progress import Reporter
from covidcore.model import checkpoint, network
from covidcore.training.average import average_of
from covidcore.training.loop import make_optimiser
from covidcore.training.precision import autocast, device

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PREDICT_BATCH = 64


def train(folder: RunFolder, settings: Settings, reporter: Reporter) -> dict[str, Any]:
    """Do the whole job in ``folder``; returns what its status shows of the result.

    Raises: CovidcoreError with a sentence; Stopped where it was asked to stop.
    """
    run = prepare(folder, settings, reporter)
    optimiser = make_optimiser(run.tail, run.recipe)
    average = average_of(run.tail, run.recipe)
    position = resumable.restore(folder, run.tail, optimiser, average)
    if position is None:
        position = resumable.Position(run.precision, average=average)
        if folder.last.exists():
            reporter.note(message=resumable.DAMAGED)
    if run.recipe.workers > 1:
        position = together.advance(run, optimiser, position, folder, reporter)
    else:
        fitting.advance(run, optimiser, position, folder, reporter)
    run.tail.load_state_dict(position.best)
    return _finish(run, position, folder, reporter)


def _finish(
    run: Prepared, position: resumable.Position, folder: RunFolder, reporter: Reporter
) -> dict[str, Any]:
    """Predict validation and test images with the best epoch, calibrate, evaluate, store."""
    rows = run.table[run.table["split"] != "train"].reset_index(drop=True)
    logits = _predict(run, rows["row"].to_numpy(), reporter)
    validates = (rows["split"] == "val").to_numpy()
    numbers = {name: position for position, name in enumerate(run.classes)}
    truth = np.array([numbers[name] for name in rows["label"]], dtype=np.int64)
    temperature = calibration.fit_temperature(logits[validates], truth[validates])
    table = predictions.build(rows, logits, run.classes, temperature)
    found = copies(run.dataset.index, run.table, run.dataset.near_pairs)
    table["copy"] = table["file"].map(found).fillna("")
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
            "threads": threads_each(run.recipe, run.recipe.workers),
            "workers": run.recipe.workers,
            "compiler": run.compiler or "none",
            "torch": torch.__version__,
        },
        "gate": familiar.save(folder.path, acquaintance.make(run, reporter)),
        "known": known.save(folder.path, acquaintance.trained_on(run)),
    }
    contract = checkpoint.Contract(run.recipe.arch, run.classes, run.spec, temperature, facts)
    checkpoint.save(folder.path, run.model, contract)
    return {
        "artefacts": folder.hash_artefacts(),
        "accuracy": report["accuracy"],
        "epoch": len(position.history),
        "best_epoch": position.best_result.epoch,
        "val_loss": position.best_result.val_loss,
    }


@torch.inference_mode()
def _predict(run: Prepared, rows: "NDArray[np.int64]", reporter: Reporter) -> "NDArray[np.float64]":
    run.tail.eval()
    report = reporter.phase("evaluating")
    parts = []
    for start in range(0, len(rows), _PREDICT_BATCH):
        with autocast(run.tail_precision):
            logits = run.tail(run.batches.plain(rows[start : start + _PREDICT_BATCH]))
        parts.append(logits.float().cpu().numpy())
        report(min(start + _PREDICT_BATCH, len(rows)), len(rows))
    return np.concatenate(parts).astype(np.float64)
