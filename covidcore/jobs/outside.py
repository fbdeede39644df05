"""Runs on datasets that they were not trained on: asked for, under way, found again.

What is found is kept in the run's folder: ``outside/<fingerprint>-<mapping>.json`` and the
predictions as ``.parquet``. Nothing of it is ever trained on.
"""

from typing import TYPE_CHECKING, Any

from covidcore import storage
from covidcore.data.index import Dataset
from covidcore.evaluation.outside import check_mapping, suggested_mapping
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.studies import Study, read_result, stamp_of_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from covidcore.jobs.store import RunStore

_VERSION = 1
"""Of what is measured; a change measures anew."""


def outside_study(
    store: "RunStore", run: str, dataset: Dataset, mapping: dict[str, str] | None = None
) -> Study:
    """The study of ``run`` on ``dataset`` under ``mapping`` (their class -> the run's).

    Without a mapping, classes of the same name but for case are the same.
    Raises: DataError for a mapping that fits not; RunError where the run is not done or damaged.
    """
    ours = store.job(run)["classes"]
    chosen = suggested_mapping(dataset.classes, ours) if not mapping else dict(mapping)
    check_mapping(chosen, dataset.classes, ours)
    folder = RunFolder(store.path(run))
    key = storage.sha256_bytes(storage.canonical_json(chosen))[:12]
    return Study(
        folder,
        folder.outside / f"{dataset.fingerprint}-{key}.json",
        stamp_of_checkpoint(folder, _VERSION),
        "covidcore.jobs.outside_process",
        str(store.settings.home),
        run,
        dataset.fingerprint,
        storage.canonical_json(chosen).decode(),
    )


def outside_results(store: "RunStore", run: str) -> list[dict[str, Any]]:
    """What is known of a run on other datasets, the newest first; each has its ``key``."""
    folder = RunFolder(store.path(run))
    stamp = stamp_of_checkpoint(folder, _VERSION)
    found = [(path, read_result(path, stamp)) for path in folder.outside.glob("*-*.json")]
    kept = [{**document, "key": path.stem} for path, document in found if document]
    return sorted(kept, key=lambda document: str(document["created"]), reverse=True)


def outside_under_way(store: "RunStore", run: str) -> dict[str, Study]:
    """The studies of a run that a process is at, by their ``key``."""
    folder = RunFolder(store.path(run))
    stamp = stamp_of_checkpoint(folder, _VERSION)
    found = {
        path.parent.name: Study(folder, path.parent.with_suffix(".json"), stamp, "")
        for path in folder.outside.glob("*-*/lock")
    }
    return {key: study for key, study in found.items() if study.standing().phase == "running"}


def outside_predictions(store: "RunStore", run: str, key: str) -> "pd.DataFrame":
    """One row a scored image of one of the results, as `evaluation.predictions` has it.

    Raises: DataError where the file is missing or damaged.
    """
    return storage.read_table(table_path(RunFolder(store.path(run)), key))


def table_path(folder: RunFolder, key: str) -> "Path":
    """Where the predictions of a result are."""
    return folder.outside / f"{key}.parquet"
