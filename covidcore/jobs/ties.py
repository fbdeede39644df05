"""Which runs of a list can not be told from the best that was tested on the same images.

A list shows accuracies, and the eye takes the highest for the best. So each run is compared with
the best of those on the same test images, image by image (`evaluation.compare`). A comparison reads
two tables of predictions once and is then remembered, by what is in them.
"""

import contextlib
import functools
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from covidcore import storage
from covidcore.errors import CovidcoreError, DataError
from covidcore.evaluation import compare
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.info import RunInfo

if TYPE_CHECKING:
    import pandas as pd

    from covidcore.jobs.store import RunStore

MOST = 40
"""Runs that are compared, the first of a list: to read all of ten thousand would take minutes."""


class Place(StrEnum):
    """How a run stands to the best that was tested on the same images."""

    BEST = "best"
    TIED = "tied"
    BEHIND = "behind"


class _Tested(NamedTuple):
    """Whose answers, on which images, kept where, with which hash."""

    run: str
    accuracy: float
    question: tuple[str, str, tuple[str, ...]]
    """Dataset, digest of the split, classes: runs that share it have the same test images."""
    path: Path
    digest: str


def places(store: "RunStore", infos: Iterable[RunInfo]) -> dict[str, Place]:
    """Where each of the first ``MOST`` finished runs of a list stands; one alone has no place.

    The best, and every run that is not distinguishable from it, are ``TIED`` where there is such a
    run. Runs whose files are damaged are left out.
    """
    done = [info for info in infos if info.state is State.DONE and info.accuracy is not None]
    asked: dict[object, list[_Tested]] = {}
    for info in done[:MOST]:
        one = _tested(RunFolder(store.path(info.run)), info)
        if one:
            asked.setdefault(one.question, []).append(one)
    found: dict[str, Place] = {}
    for together in asked.values():
        if len(together) > 1:
            found |= _among(together)
    return found


def _tested(folder: RunFolder, info: RunInfo) -> _Tested | None:
    try:
        job = folder.read_job()
        digest = folder.status()["artefacts"][folder.predictions.name]
    except (CovidcoreError, KeyError, TypeError):  # damaged, or of a version without hashes
        return None
    question = (str(job["dataset"]), str(job["split"]), tuple(job["classes"]))
    return _Tested(info.run, info.accuracy or 0.0, question, folder.predictions, str(digest))


def _among(together: list[_Tested]) -> dict[str, Place]:
    best = max(together, key=lambda one: one.accuracy)
    found: dict[str, Place] = {}
    for one in together:
        if one is not best:
            with contextlib.suppress(CovidcoreError, KeyError, OSError):
                better = _is_better(best, one)
                found[one.run] = Place.BEHIND if better else Place.TIED
    if found:
        found[best.run] = Place.TIED if Place.TIED in found.values() else Place.BEST
    return found


@functools.lru_cache(maxsize=4096)
def _is_better(best: _Tested, other: _Tested) -> bool:
    """Whether the best is distinguishably better.

    Raises: DataError, KeyError or OSError where a file is not what it was; that is not remembered.
    """
    tables = {one.run: _read(one) for one in (best, other)}
    classes = best.question[2]
    two = compare.difference(compare.paired(tables, classes), classes, other.run, best.run)
    return bool(two["better"] == best.run)


def _read(one: _Tested) -> "pd.DataFrame":
    if storage.sha256_file(one.path) != one.digest:
        raise DataError(f"{one.path} is damaged.")
    return storage.read_table(one.path)
