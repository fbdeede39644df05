"""A finished run as a model to pass on: half precision, and nothing of a picture in it.

The weights of this project are made so (docs/model-card.md). Thumbnails of training images stay
behind; hashes of them go along, and so do the run's figures.
"""

import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from covidcore import storage
from covidcore.data import known
from covidcore.errors import RunError
from covidcore.inference import familiar
from covidcore.inference.hashed import Hashed
from covidcore.jobs.folder import RunFolder
from covidcore.model import checkpoint

if TYPE_CHECKING:
    from covidcore.jobs.store import RunStore

_FIGURES = (
    "n", "classes", "confusion", "accuracy", "accuracy_ci", "balanced_accuracy",
    "balanced_accuracy_ci", "macro_f1", "macro_f1_ci", "auc_macro", "auc_macro_ci", "loss", "ece",
    "ece_uncalibrated", "per_class",
)  # fmt: skip


def ship(store: "RunStore", run: str, target: Path) -> dict[str, Any]:
    """Write the model of ``run`` into the folder ``target``; returns its contract.

    Raises: RunError where the run is not done, is damaged, or does not say what it was trained on.
    """
    figures = store.evaluation(run)
    folder = RunFolder(store.path(run)).path
    model, contract = checkpoint.load(folder)
    gate = familiar.load(folder, contract.facts["gate"])
    images = known.load(folder, contract.facts["known"])
    if gate is None or not len(images):
        raise RunError(f"The run {run} does not say what it was trained on: train it again.")
    target.mkdir(parents=True, exist_ok=True)
    written = storage.read_json(folder / checkpoint.CONTRACT)
    facts = {
        **contract.facts,
        "weights": {**written["weights"], "path": None},  # of this machine, and nobody's business
        "trained_with": written["trained_with"],
        "known": known.save(target, images),
        "gate": familiar.save(target, replace(gate, memory=Hashed(images))),
        "figures": {name: figures[name] for name in _FIGURES},
    }
    facts["recipe"] = {**facts["recipe"], "weights": written["weights"]["name"]}
    halved = copy.deepcopy(model).to(torch.float16)
    checkpoint.save(target, halved, replace(contract, facts=facts))
    checkpoint.load(target)
    return dict(storage.read_json(target / checkpoint.CONTRACT))
