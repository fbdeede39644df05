"""An imported model on labelled images: which of them it was trained on, as far as it tells.

A run knows its own images. A model that was brought in has hashes of its training images, or
thumbnails (`data.known`, `inference.memory`): images that it recognises are set aside, and nothing
is known of others.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from covidcore.data.known import load as load_known
from covidcore.data.pixels import read_square
from covidcore.evaluation import outside
from covidcore.jobs.models import whole_model

if TYPE_CHECKING:
    from covidcore.jobs.store import RunStore
    from covidcore.jobs.studies import Report


def stated(store: "RunStore", run: str) -> dict[str, Any]:
    """What stands in the place of an evaluation: classes and temperature, by the contract.

    Raises: RunError where the model is not whole, CheckpointError where it can not be read.
    """
    from covidcore.model.checkpoint import read_contract

    contract, _ = read_contract(whole_model(store, run))
    return {"classes": list(contract.classes), "temperature": contract.temperature}


def recognised(
    store: "RunStore", run: str, root: Path, rows: pd.DataFrame, report: "Report"
) -> tuple[pd.DataFrame, str]:
    """Which of ``rows`` below ``root`` it was trained on, as ``outside.overlaps`` has it.

    And how much of its own images is known: ``outside.TRAINING`` or ``NONE``. Raises:
    CheckpointError where its gate is damaged, DataError where its hashes are or an image is gone.
    """
    from covidcore.inference import familiar
    from covidcore.model.checkpoint import read_contract

    folder = whole_model(store, run)
    contract, _ = read_contract(folder)
    images = load_known(folder, contract.facts.get("known"))
    if len(images):
        return outside.seen_before(rows, images, "train"), outside.TRAINING
    known = familiar.load(folder, contract.facts.get("gate"))
    found = []
    if known:
        for at, row in enumerate(rows.itertuples()):
            square = read_square(
                root, str(row.file), str(row.sha256), contract.preprocessing.image_size
            )
            like = known.memory.find(square)
            if like is not None:
                found.append((row.file, row.label, "near", "train", like))
            report("Comparing with its training images", at + 1, len(rows))
    table = pd.DataFrame(found, columns=list(outside.ASIDE))
    return table, outside.TRAINING if known else outside.NONE
