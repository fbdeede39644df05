"""The audit of a dataset: what could make a classifier look better than it is.

What takes long is measured once and kept beside the index, by dataset and by split. What is said
about it is worded when it is read (`audit_findings`). Nothing here looks at a model.
"""

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from covidcore import storage
from covidcore.data.audit_baselines import baseline, header_features
from covidcore.data.audit_findings import findings
from covidcore.data.audit_leaks import (
    SplitSettings,
    check_sources,
    counts,
    deal,
    label_conflicts,
    leaks,
    picture_ids,
    repeated,
)
from covidcore.data.audit_pictures import look, outliers
from covidcore.data.audit_sources import (
    children,
    cramers_v,
    own_sources,
    source_by_class,
    source_only_hits,
)
from covidcore.data.facts import Progress
from covidcore.data.index import Dataset, dataset_folder
from covidcore.data.pixels import pixel_array
from covidcore.data.split import group_ids, linked
from covidcore.errors import DataError
from covidcore.proportions import wilson

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["STEPS", "SplitSettings", "audit", "doing", "file_of", "measured", "stored"]

VERSION = 2
"""Of what is measured; a change measures every dataset again."""
SIZE = 224
"""Pixels a side of the pictures that are looked at."""
STEPS = 1000
"""The total that ``progress`` is called with."""

_STAGES = {
    "Comparing every image with every other": 30,
    "Reading every image once": 500,
    "Looking at every picture": 560,
    "Looking for colour": 600,
    "Classifying by the files alone": 720,
    "Classifying by the borders alone": STEPS,
}
"""What is done, in this order, and the step with which it ends: about as long as each takes."""


def audit(
    dataset: Dataset,
    home: "Path",
    chosen: SplitSettings | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The contract's ``audit`` document, and more; found again where it was made before.

    ``chosen`` is the split that is looked at beside a random one. ``progress(done, total)`` counts
    1000 steps; what it raises ends the work, and nothing is kept of it. Raises: RecipeError for a
    split that is none; DataError where images are gone since the scan, or the disk refuses.
    """
    chosen = chosen or SplitSettings()
    check_sources(dataset, chosen)
    measured = _kept(dataset, home, "audit.json")
    if measured is None:
        measured = storage.plain(_measure(dataset, home, progress))  # as it will be read
        storage.write_json(_path(dataset, home, "audit.json"), measured)
    name = f"audit-splits/{chosen.key()}.json"
    part = _kept(dataset, home, name)
    if part is None:
        part = storage.plain(_split_part(dataset, chosen, measured))
        storage.write_json(_path(dataset, home, name), part)
    if progress:
        progress(STEPS, STEPS)
    return _document(measured, part)


def doing(done: int) -> str:
    """What the audit does after ``done`` of its steps, in words."""
    return next((what for what, end in _STAGES.items() if done < end), "")


def stored(
    dataset: Dataset, home: "Path", chosen: SplitSettings | None = None
) -> dict[str, Any] | None:
    """The document where it was made before; None where ``audit`` would have to measure."""
    measured = _kept(dataset, home, "audit.json")
    part = _kept(dataset, home, f"audit-splits/{(chosen or SplitSettings()).key()}.json")
    return None if measured is None or part is None else _document(measured, part)


def measured(dataset: Dataset, home: "Path") -> dict[str, Any] | None:
    """What was measured before of a dataset, whatever its split; None where nothing was."""
    return _kept(dataset, home, "audit.json")


def file_of(dataset: Dataset, home: "Path") -> "Path":
    """Where that is kept."""
    return _path(dataset, home, "audit.json")


def _path(dataset: Dataset, home: "Path", name: str) -> "Path":
    return dataset_folder(home, dataset.fingerprint) / name


def _kept(dataset: Dataset, home: "Path", name: str) -> dict[str, Any] | None:
    try:
        found = storage.read_json(_path(dataset, home, name))
    except DataError:
        return None
    # Every part is written whole, so a part of this version has all its fields.
    good = isinstance(found, dict) and found.get("version") == VERSION
    return found if good and found.get("fingerprint") == dataset.fingerprint else None


def _document(measured: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    document = measured | part
    return document | {"findings": findings(document)}


def _measure(dataset: Dataset, home: "Path", progress: Progress | None) -> dict[str, Any]:
    """Everything that does not depend on the split."""
    started = time.monotonic()
    index = dataset.index
    stages = iter([_stage(progress, *ends) for ends in pairwise([0, *_STAGES.values()])])
    same = repeated(index, next(stages), dataset.near_pairs)
    pictures = picture_ids(index, same["near_pairs"])
    pixels = pixel_array(dataset, SIZE, home, next(stages))
    seen = look(pixels, next(stages))
    odd = outliers(dataset, seen, next(stages))
    people = linked(group_ids(index, "patient"), pictures)
    header = baseline(header_features(index), index["label"], people, progress=next(stages))
    border = baseline(seen.border, index["label"], people, progress=next(stages))
    return {
        "version": VERSION,
        "fingerprint": dataset.fingerprint,
        "dataset": dataset.name,
        "synthetic": dataset.synthetic,
        "images": len(index),
        "classes": {name: int((index["label"] == name).sum()) for name in dataset.classes},
        **same,
        "label_conflicts": label_conflicts(index, pictures),
        **_sources(dataset),
        "header_only_accuracy": header["accuracy"],
        "header_only": header,
        "border_only_accuracy": border["accuracy"],
        "border_only": border,
        "patients_known": int((index["group"] != "").sum()),
        "outliers": odd,
        "seconds": round(time.monotonic() - started, 3),
    }


def _sources(dataset: Dataset) -> dict[str, Any]:
    table = source_by_class(dataset.index)
    hits, total = source_only_hits(table), len(dataset.index)
    return {
        "source_by_class": {
            str(source): {str(name): int(count) for name, count in row.items()}
            for source, row in table.to_dict("index").items()
        },
        "cramers_v": cramers_v(table),
        "source_only_accuracy": None if hits is None else hits / total,
        "source_only_ci": [None, None] if hits is None else list(wilson(hits, total)),
        "majority_accuracy": float(dataset.index["label"].value_counts().iloc[0] / total),
        "own_sources": own_sources(table),
        "children": children(dataset),
    }


def _split_part(
    dataset: Dataset, chosen: SplitSettings, measured: dict[str, Any]
) -> dict[str, Any]:
    """What depends on the split: leaks, and who is where. A split that can not be has a reason."""
    index = dataset.index
    pictures = picture_ids(index, measured["near_pairs"])
    settings = {
        "split": chosen.split,
        "seed": chosen.seed,
        "group_by": chosen.group_by,
        "exclude_sources": list(chosen.exclude_sources),
    }
    found: dict[str, Any] = {"random_split": None, "this_split": None}
    preview: dict[str, Any] = {"problem": "", "by_class": {}, "by_source": {}}
    for name, group_by in (("random_split", "none"), ("this_split", chosen.group_by)):
        try:
            dealt = deal(
                dataset, SplitSettings(chosen.split, chosen.seed, group_by, chosen.exclude_sources)
            )
        except DataError as error:
            preview["problem"] = str(error)
            continue
        found[name] = leaks(index, dealt, pictures)
        if name == "this_split":
            preview |= {"by_class": counts(dealt, "label"), "by_source": counts(dealt, "source")}
    return {
        "version": VERSION,
        "fingerprint": dataset.fingerprint,
        "leaks": {name: part and part["any"] for name, part in found.items()},
        "leaks_by_kind": found,
        "split": settings | preview,
    }


def _stage(progress: Progress | None, start: int, stop: int) -> Progress | None:
    """A callback for a part of the work that counts in its own units."""
    if progress is None:
        return None

    def report(done: int, total: int) -> None:
        progress(start + (stop - start) * done // max(total, 1), STEPS)

    return report
