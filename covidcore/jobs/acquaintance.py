"""What a run that has been trained is familiar with: the gate of its predictions is made of it."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from covidcore.data.known import KnownImages, known_of
from covidcore.inference.familiar import (
    STATISTICS,
    Familiar,
    Sample,
    describe,
    thumbnails_of,
)
from covidcore.inference.looks import grey_statistics
from covidcore.jobs.preparation import Prepared
from covidcore.jobs.progress import Reporter
from covidcore.model import network
from covidcore.model.weights import known_images
from covidcore.training.precision import autocast

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_BATCH = 64


def make(run: Prepared, reporter: Reporter) -> Familiar:
    """Describe the training images, with thresholds from the validation images.

    The weights are those that will be stored: ``Standardise`` is folded into the head already.
    """
    training = run.table[run.table["split"] == "train"]
    validation = run.table[run.table["split"] == "val"]
    some = training.sample(min(len(training), STATISTICS), random_state=0)
    return describe(
        _sample(run, some, reporter),
        _sample(run, validation, reporter),
        tuple(training["file"]),
        thumbnails_of(run.pixels, training["row"].to_numpy()),
    )


def trained_on(run: Prepared) -> KnownImages:
    """The training images of the run, and those of the weights that it began with.

    Raises: WeightsError where it can not be read any more which those are.
    """
    training = run.table.loc[run.table["split"] == "train", "row"].to_numpy()
    return known_of(run.dataset.index.iloc[training]) | known_images(run.weights)


def _sample(run: Prepared, table: "pd.DataFrame", reporter: Reporter) -> Sample:
    rows = table["row"].to_numpy()
    numbers = {name: position for position, name in enumerate(run.classes)}
    labels = table["label"].map(numbers).to_numpy()
    features = _features(run, rows, reporter)
    looks = grey_statistics([run.pixels[row] for row in rows])  # views: no copy of all of them
    return Sample(features, looks, labels.astype(np.int64))


@torch.inference_mode()
def _features(
    run: Prepared, rows: "NDArray[np.int64]", reporter: Reporter
) -> "NDArray[np.float32]":
    """What comes before the head, ``(N, F)``, from whatever is cached."""
    _, tail = network.cut(run.model, run.recipe.arch, run.recipe.trainable)
    before_head = nn.Sequential(*list(tail)[:-1]).eval()  # dropout among it does nothing then
    report = reporter.phase("describing the images")
    parts = []
    for start in range(0, len(rows), _BATCH):
        with autocast(run.tail_precision):
            features = before_head(run.batches.plain(rows[start : start + _BATCH]))
        parts.append(features.float().cpu().numpy())
        report(min(start + _BATCH, len(rows)), len(rows))
    return np.concatenate(parts)
