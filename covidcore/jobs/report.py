"""What is stored of a run, gathered for its report; and the report as a file.

Nothing is measured here but what costs no network: subgroups and thresholds are read off the
stored predictions. What somebody never asked for is None, and the report says so.
"""

import contextlib
from typing import TYPE_CHECKING, Any

from covidcore import __version__, storage
from covidcore.data.audit import SplitSettings, measured, stored
from covidcore.data.index import Dataset, dataset_folder, load
from covidcore.data.split import SPLITS
from covidcore.errors import DataError
from covidcore.evaluation import operating, predictions, report, subgroups
from covidcore.evaluation.metrics import confusion
from covidcore.evaluation.report_html import as_html
from covidcore.evaluation.report_markdown import as_markdown
from covidcore.jobs.folder import RunFolder, now
from covidcore.jobs.folds import VERSION, leak_ledger
from covidcore.jobs.models import whole_model
from covidcore.jobs.openings import times_opened
from covidcore.jobs.outside import outside_results
from covidcore.jobs.studies import read_result
from covidcore.training.recipe import PRESETS, Recipe

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from covidcore.jobs.store import RunStore

_KINDS = {".html": as_html, ".htm": as_html, ".md": as_markdown}
_PEOPLE = ("sex", "age", "view")
_WAYS = ("source", "sex", "age", "view")
"""Ways to part the test images that a reader asks for; pages offer all."""


def check_name(path: "Path") -> None:
    """Raises: DataError for a name whose ending is of no kind of report."""
    if path.suffix.lower() not in _KINDS:
        raise DataError(f"A report is written as .html or .md, not as “{path.name}”.")


def write(path: "Path", document: dict[str, Any]) -> None:
    """Write the report of a gathered ``document``, whole or not at all; the name tells the kind.

    Raises: DataError for another kind, or where the disk refuses.
    """
    check_name(path)
    storage.write_text(path, _KINDS[path.suffix.lower()](report.compose(document)))


def stamp(store: "RunStore", run: str) -> str:
    """Another text whenever ``gather`` may find something else; costs a look at each file."""
    folder, home = RunFolder(store.path(run)), store.settings.home
    dataset = dataset_folder(home, store.job(run)["dataset"])
    files = [*folder.path.iterdir(), *folder.folds.glob("*.json"), *folder.outside.glob("*.json")]
    files += [*dataset.glob("*.json"), *dataset.glob("audit-splits/*.json")]
    seen = [(str(path), stat.st_mtime_ns, stat.st_size) for path, stat in _looked_at(files)]
    return storage.sha256_bytes(storage.canonical_json(sorted(seen)))


def _looked_at(files: "list[Path]") -> "Iterator[tuple[Path, os.stat_result]]":
    for path in files:
        with contextlib.suppress(OSError):  # a file that was just replaced
            yield path, path.stat()


def gather(store: "RunStore", run: str) -> dict[str, Any]:
    """Everything that is stored of a finished run, as plain JSON values.

    Of an imported model its files, and what was measured of it here. Raises: RunError where it is
    not done, or any of its files is damaged.
    """
    if store.info(run).imported:
        return _gather_imported(store, run)
    table, job = store.predictions(run), store.job(run)
    evaluation = _evaluation(store, run, table)
    folder, recipe, split = RunFolder(store.path(run)), store.recipe(run), store.split(run)
    dataset = _dataset(store, job["dataset"])
    test = split[split["split"] == "test"]
    named = test.loc[test["group"] != "", "group"].nunique()
    found = {
        "run": run,
        "name": str(job.get("name", "")),
        "made": now(),
        "software": __version__,
        "job": {**job, "recipe": recipe.to_json()},
        "changed": _changed(recipe),
        "status": store.status(run),
        "contract": _contract(folder),
        "evaluation": evaluation,
        "test_opened": times_opened(folder.path),
        "sets": {
            name: {
                label: int(((split["split"] == name) & (split["label"] == label)).sum())
                for label in job["classes"]
            }
            for name in SPLITS
        },
        "test_groups": named + int((test["group"] == "").sum()),
        "data": dataset and _data(dataset, split),
        "audit": dataset and _audit(dataset, recipe, store),
        "ledger": dataset and leak_ledger(store, run, dataset),
        "folds": _folds(folder),
        "outside": [_outside(one) for one in outside_results(store, run)],
        "stress": _stress(folder),
        "operating": _operating(store, run, table, evaluation["classes"]),
        "subgroups": dataset and _subgroups(dataset, table, evaluation["classes"]),
    }
    plain: dict[str, Any] = storage.plain(found)
    return plain


def _gather_imported(store: "RunStore", run: str) -> dict[str, Any]:
    job, folder = store.job(run), RunFolder(whole_model(store, run))
    nothing = ("evaluation", "data", "audit", "ledger", "stress", "operating", "subgroups")
    found = {
        "imported": True,
        "run": run,
        "name": str(job["name"]),
        "made": now(),
        "software": __version__,
        "job": job,
        "contract": _contract(folder),
        "folds": [],
        "outside": [_outside(one) for one in outside_results(store, run)],
        **dict.fromkeys(nothing),
    }
    plain: dict[str, Any] = storage.plain(found)
    return plain


def _evaluation(store: "RunStore", run: str, table: "pd.DataFrame") -> dict[str, Any]:
    """As ``evaluate`` gives it: runs of earlier versions stored fewer intervals."""
    kept = store.evaluation(run)
    return predictions.evaluate(
        table,
        kept["classes"],
        run=run,
        dataset=kept["dataset"],
        temperature=kept["temperature"],
    )


def _dataset(store: "RunStore", fingerprint: str) -> Dataset | None:
    """The run's dataset; None where it was removed since: the run's own files are still there."""
    try:
        return load(fingerprint, store.settings.home)
    except DataError:
        return None


def _kept(path: "Path") -> dict[str, Any] | None:
    try:
        found = storage.read_json(path)
    except DataError:
        return None
    return found if isinstance(found, dict) else None


def _changed(recipe: Recipe) -> dict[str, Any]:
    """The fields that are not as in the preset; what is no part of the result is left out."""
    start = PRESETS[recipe.preset].recipe if recipe.preset in PRESETS else Recipe()
    return {
        name: value
        for name, value in recipe.to_json().items()
        if value != getattr(start, name) and name not in ("preset", "threads", "workers")
    }


def _data(dataset: Dataset, split: "pd.DataFrame") -> dict[str, Any]:
    index = dataset.index
    sets = index["file"].map(split.set_index("file")["split"])
    table = index.groupby(["source", "label"]).size().unstack(fill_value=0)
    return {
        "name": dataset.name,
        "synthetic": dataset.synthetic,
        "layout": dataset.layout,
        "images": len(index),
        "classes": {name: int((index["label"] == name).sum()) for name in dataset.classes},
        "ignored": dataset.ignored,
        "unreadable": len(dataset.unreadable),
        "patients_known": int((index["group"] != "").sum()),
        "sources_known": int((index["source"] != "").sum()),
        "sources": {
            str(source): {str(label): int(count) for label, count in row.items()}
            for source, row in table.to_dict("index").items()
        },
        "people": {
            column: {
                name: _counted(index.loc[sets == name, column])
                for name in SPLITS
                if (index.loc[sets == name, column] != "").any()
            }
            for column in _PEOPLE
        },
    }


def _counted(values: "pd.Series[str]") -> dict[str, int]:
    named = values.where(values != "", "unknown").value_counts().sort_index()
    return {str(name): int(count) for name, count in named.items()}


def _audit(dataset: Dataset, recipe: Recipe, store: "RunStore") -> dict[str, Any] | None:
    """What an audit found; ``findings`` are of the run's split, None for an audit of others."""
    found = measured(dataset, store.settings.home)
    if found is None:
        return None
    chosen = SplitSettings(recipe.split, recipe.seed, recipe.group_by, recipe.exclude_sources)
    whole = stored(dataset, store.settings.home, chosen)
    wanted = ("header_only", "border_only", "cramers_v")
    kept = {name: found[name] for name in wanted}
    return kept | {"findings": whole["findings"] if whole else None}


def _folds(folder: RunFolder) -> list[dict[str, Any]]:
    """Cross-validations that were made, the one with most heads first."""
    found = [read_result(path, {"version": VERSION}) for path in folder.folds.glob("*x*.json")]
    whole = [one for one in found if one]
    return sorted(
        whole, key=lambda one: (one["folds"] * one["repeats"], one["folds"]), reverse=True
    )


def _outside(found: dict[str, Any]) -> dict[str, Any]:
    """Without the names of files: a report counts what was set aside."""
    aside = {name: value for name, value in found["set_aside"].items() if name != "files"}
    return {**found, "set_aside": aside}


def _contract(folder: RunFolder) -> dict[str, Any] | None:
    """Without its golden inputs: pictures are no facts to read."""
    found = _kept(folder.contract)
    return found and {name: value for name, value in found.items() if name != "golden"}


def _stress(folder: RunFolder) -> dict[str, Any] | None:
    """What stress tests found of this very checkpoint."""
    found, contract = _kept(folder.path / "stress.json"), _kept(folder.contract)
    of = (found or {}).get("stamp") or {}
    return found if contract and of.get("checkpoint") == contract.get("sha256") else None


def _operating(
    store: "RunStore", run: str, table: "pd.DataFrame", classes: list[str]
) -> dict[str, Any] | None:
    point = store.operating(run)
    if point is None:
        return None
    rows = operating.applied(table, classes, point)
    rows = rows[rows["split"] == "test"]
    matrix = confusion(rows["label"].tolist(), rows["predicted"].tolist(), classes)
    chosen = [point.positive] if point.positive else classes
    return point.to_json() | {
        "effect": {
            name: operating.screening(
                matrix, classes.index(name), point.prevalence, point.miss_cost
            )
            for name in chosen
        }
    }


def _subgroups(
    dataset: Dataset, table: "pd.DataFrame", classes: list[str]
) -> dict[str, list[dict[str, Any]]]:
    ways = subgroups.groupings(dataset.index)
    rows = table[table["split"] == "test"]
    return {name: subgroups.by(rows, ways[name], classes) for name in _WAYS if name in ways}
