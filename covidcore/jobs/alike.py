"""The validation images of a run that are most like an upload, and how the run answered them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covidcore.data.index import load
from covidcore.data.pixels import squares
from covidcore.errors import DataError
from covidcore.inference import alike
from covidcore.inference.alike import Alike
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.studies import stamp_of_checkpoint

if TYPE_CHECKING:
    import pandas as pd

    from covidcore.inference.predictor import Predictor
    from covidcore.jobs.store import RunStore

CHUNK = 16
"""Images of which the network makes features at a time."""


class Neighbour(NamedTuple):
    """A validation image."""

    file: str
    likeness: float
    """-1 to 1."""
    label: str
    predicted: str
    probability: float
    """Of what was predicted, calibrated."""


def known(store: "RunStore", run: str) -> Alike | None:
    """The features of a run's validation images, where they were found before."""
    return alike.stored(store.path(run), _checkpoint(store, run))


def _checkpoint(store: "RunStore", run: str) -> str:
    """What was found belongs to this very checkpoint."""
    return str(stamp_of_checkpoint(RunFolder(store.path(run)), 1)["checkpoint"])


class Search:
    """Finds these features; in chunks, so that others may have their turn in between."""

    def __init__(self, store: "RunStore", run: str, model: "Predictor") -> None:
        """Raises: DataError where the dataset is not here any more, RunError without a result."""
        table = store.predictions(run)
        self._store, self._run, self._model = store, run, model
        job = store.job(run)
        try:
            self._dataset = load(job["dataset"], store.settings.home)
        except DataError as error:
            raise DataError(
                f"The validation images are not here any more: read the folder of "
                f"{job['dataset_name']} again."
            ) from error
        self.files = alike.chosen(table.loc[table["split"] == "val", "file"].tolist())

    @property
    def chunks(self) -> list[list[str]]:
        """The files, a few at a time."""
        return [self.files[at : at + CHUNK] for at in range(0, len(self.files), CHUNK)]

    def look(self, chunk: Sequence[str]) -> NDArray[np.float32]:
        """Features ``(N, F)`` of some of the files.

        Raises: DataError where one can not be read any more.
        """
        index = self._dataset.index
        rows = index.index[index["file"].isin(chunk)]
        size = self._model.contract.preprocessing.image_size
        found = squares(self._dataset, rows.tolist(), size, self._store.settings.home)
        by_file = dict(zip(index.loc[rows, "file"], found, strict=True))
        images = [by_file.get(file) for file in chunk]
        if any(image is None for image in images):
            raise DataError(
                f"Images of {self._dataset.name} can not be read any more: its folder is gone, or "
                "was changed."
            )
        return self._model.features([image for image in images if image is not None])

    def keep(self, parts: Sequence[NDArray[np.float32]]) -> Alike:
        """Put together what was found of all chunks, and keep it where that is possible."""
        found = Alike(tuple(self.files), np.concatenate(parts))
        try:
            alike.save(self._store.path(self._run), found, _checkpoint(self._store, self._run))
        except (OSError, DataError):  # a full disk, or a home that can only be read
            return found
        return found


def neighbours(
    found: Alike, features: NDArray[np.float32], table: "pd.DataFrame", count: int = 5
) -> list[Neighbour]:
    """The most alike to ``features`` ``(F,)``; ``table`` is the run's table of predictions."""
    rows = table[table["split"] == "val"].set_index("file").to_dict("index")
    told = []
    for file, likeness in found.nearest(features, count):
        if row := rows.get(file):
            answer = str(row["predicted"])
            chance = float(row[f"p:{answer}"])
            told.append(Neighbour(file, likeness, str(row["label"]), answer, chance))
    return told
