"""A run elsewhere: ``python -m covidcore.jobs.outside_process HOME RUN DATASET MAPPING``.

DATASET is a fingerprint, MAPPING is JSON: their class -> the run's. A process of its own, for it
imports torch and takes minutes; how far it is can be told from disk (`studies`).
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.index import Dataset, load
from covidcore.errors import DataError
from covidcore.evaluation import outside, predictions
from covidcore.jobs import imported_model
from covidcore.jobs.folder import RunFolder, now
from covidcore.jobs.models import model_folder
from covidcore.jobs.outside import outside_study, table_path
from covidcore.jobs.store import RunStore
from covidcore.jobs.studies import Report
from covidcore.lean import keep_memory
from covidcore.model.weights import Weights, known_images


def main(home: str, run: str, fingerprint: str, mapping: str) -> int:
    """Score one dataset with one run."""
    keep_memory()
    settings = Settings.from_environment({**os.environ, "COVIDCORE_HOME": home})
    store, dataset = RunStore(settings), load(fingerprint, Path(home))
    chosen: dict[str, str] = json.loads(mapping)
    study, folder = outside_study(store, run, dataset, chosen), RunFolder(store.path(run))

    def answer(report: Report) -> dict[str, Any]:
        started = time.monotonic()
        document, table = examine(store, run, dataset, chosen, report)
        storage.write_table(table_path(folder, study.result.stem), table)
        seconds = round(time.monotonic() - started, 3)
        return {**document, "created": now(), "seconds": seconds}

    return study.work(answer)


def examine(
    store: RunStore, run: str, dataset: Dataset, mapping: dict[str, str], report: Report
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The figures of ``run`` on the images of ``dataset`` that are not its own.

    Returns the contract's ``evaluate`` document with what was left out, set aside and the drop
    (none of a model that was imported), and the predictions. Raises: DataError where no image is
    left, RunError where the run is not whole.
    """
    imported = store.info(run).imported
    inside = imported_model.stated(store, run) if imported else store.evaluation(run)
    report("Comparing with the run's images", 0, 0)
    index = dataset.index.assign(ours=dataset.index["label"].map(mapping))
    meant = index[index["ours"].notna()]
    if imported:
        aside, known = imported_model.recognised(store, run, dataset.root, meant, report)
    else:
        aside, known = _own_and_known(store, run, dataset, meant), outside.ALL
    rows = meant[~meant["file"].isin(aside["file"])]
    if rows.empty:
        raise DataError(
            f"No image is left to score: all {len(meant):,} are among the run's own images."
        )
    table = _predicted(store, run, dataset, rows, report)
    figures = predictions.evaluate(
        table,
        inside["classes"],
        run=run,
        dataset=dataset.fingerprint,
        split=outside.SPLIT,
        temperature=inside["temperature"],
    )
    left = index.loc[index["ours"].isna(), "label"].value_counts()
    added = {
        "on": {"name": dataset.name, "images": len(index)},
        "mapping": mapping,
        "left_out": {name: int(left[name]) for name in dataset.classes if name in left},
        "unreadable": len(dataset.unreadable),
        "set_aside": {**outside.count_aside(aside), "known": known},
        "drop": None if imported else outside.drop(inside, figures),
    }
    return {**figures, **added}, table


def _own_and_known(store: RunStore, run: str, dataset: Dataset, rows: pd.DataFrame) -> pd.DataFrame:
    """Which of ``rows`` are the run's own images, or those of the weights that it began with."""
    aside = outside.overlaps(rows, _own_images(store, run, dataset))
    job = store.job(run)
    start = Weights(**job["weights"])
    if start.known is None or dataset.fingerprint == job["dataset"]:
        return aside
    others = rows[~rows["file"].isin(aside["file"])]
    seen = outside.seen_before(others, known_images(start), "weights")
    return pd.concat([aside, seen], ignore_index=True)


def _own_images(store: RunStore, run: str, dataset: Dataset) -> pd.DataFrame:
    """The run's images with their split: what is like one of them says nothing about elsewhere.

    Its test images too, as they are what elsewhere is compared with. But where ``dataset`` is the
    run's own they are what is asked about, and the figures are those of the run.
    """
    fingerprint = store.job(run)["dataset"]
    index = load(fingerprint, store.settings.home).index
    sets = index["file"].map(store.split(run).set_index("file")["split"])
    asked = ("test",) if fingerprint == dataset.fingerprint else ()
    return index.assign(split=sets)[sets.notna() & ~sets.isin(asked)]


def _predicted(
    store: RunStore, run: str, dataset: Dataset, rows: pd.DataFrame, report: Report
) -> pd.DataFrame:
    report("Loading the model", 0, 0)
    from covidcore.inference.scoring import score
    from covidcore.model import checkpoint
    from covidcore.training.precision import choose

    model, contract = checkpoint.load(model_folder(store, run))
    logits = score(
        model,
        contract.preprocessing,
        dataset.root,
        list(zip(rows["file"], rows["sha256"], strict=True)),
        choose(_precision(store, run), store.settings.home),
        lambda done, total: report("Scoring", done, total),
    )
    given = rows.assign(split=outside.SPLIT, label=rows["ours"])
    return predictions.build(given, logits, contract.classes, contract.temperature)


def _precision(store: RunStore, run: str) -> str:
    """As the run's own test images were looked at; of an imported model nobody knows."""
    return "fp32" if store.info(run).imported else store.recipe(run).precision


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
