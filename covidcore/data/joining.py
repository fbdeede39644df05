"""Several datasets as one folder: files linked, not copied, under the classes a person chose."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from covidcore import storage
from covidcore.data.index import Dataset
from covidcore.errors import DataError


def parse_mapping(items: Sequence[str]) -> dict[str, str]:
    """Read ``"Their name=Our name"`` pairs.

    Raises: DataError for one that is no pair, or whose new name can not name a folder.
    """
    mapping = {}
    for item in items:
        theirs, separator, ours = item.partition("=")
        theirs, ours = theirs.strip(), ours.strip()
        if not separator or not theirs or not ours:
            raise DataError(f'“{item}” is no mapping: write --map "Their name=Our name".')
        if "/" in ours or "\\" in ours or "\0" in ours or ours.startswith("."):
            raise DataError(f"“{ours}” can not be the name of a class: it names a folder.")
        mapping[theirs] = ours
    return mapping


def join(datasets: Sequence[Dataset], mapping: dict[str, str], to: Path) -> Path:
    """Make the dataset folder ``to`` out of ``datasets``; it appears whole or not at all.

    Classes are renamed by ``mapping``; where one is given, classes not in it are left out.
    Images whose source is unknown take the name of their folder as the source. Returns ``to``.
    Raises: DataError where ``to`` holds something already, or the mapping fits no class.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise DataError(f"{to} exists and is not empty: choose another folder.")
    present = {name for dataset in datasets for name in dataset.classes}
    unknown = sorted(set(mapping) - present)
    if unknown:
        raise DataError(
            f"There is no class “{unknown[0]}” to map; there are {', '.join(sorted(present))}."
        )
    to.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=to.parent, prefix=f".{to.name[:40]}-"))
    try:
        rows = [row for dataset in datasets for row in _rows(dataset, mapping, len(datasets) > 1)]
        _place(rows, staging)
        columns = ["file", "label", "source", "patient_id", "original_name"]
        storage.write_csv(staging / "metadata.csv", pd.DataFrame(rows)[columns])
        if all(dataset.synthetic for dataset in datasets):
            storage.write_json(staging / "dataset.json", {"synthetic": True})
        if to.exists():
            to.rmdir()
        staging.rename(to)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    storage.sync_folder(to.parent)
    return to


def _rows(dataset: Dataset, mapping: dict[str, str], several: bool) -> list[dict[str, str]]:
    rows = []
    for row in dataset.index.to_dict("records"):
        label = mapping.get(row["label"]) if mapping else row["label"]
        if label is None:
            continue
        source = row["source"] or dataset.name
        # Patient 7 of one collection is not patient 7 of another.
        group = f"{source}:{row['group']}" if several and row["group"] else row["group"]
        name = Path(row["file"]).name
        rows.append(
            {
                "label": label,
                "source": source,
                "patient_id": group,
                "original_name": row["file"],
                "from": str(dataset.root / row["file"]),
                "mask": str(dataset.root / row["mask"]) if row["mask"] else "",
                "name": f"{dataset.name}-{name}" if several else name,
            }
        )
    return rows


def _place(rows: list[dict[str, str]], folder: Path) -> None:
    """Link every file into its class folder, and write down under which name."""
    taken: set[str] = set()
    masked = any(row["mask"] for row in rows)
    for row in rows:
        given = Path(row["name"])
        images = f"{row['label']}/images" if masked else row["label"]
        name, number = row["name"], 1
        while f"{images}/{name}".lower() in taken:
            number += 1
            name = f"{given.stem}-{number}{given.suffix}"
        taken.add(f"{images}/{name}".lower())
        row["file"] = f"{images}/{name}"
        _link(row["from"], folder / row["file"])
        if row["mask"]:
            mask = f"{row['label']}/masks/{Path(name).stem}{Path(row['mask']).suffix}"
            _link(row["mask"], folder / mask)


def _link(source: str, target: Path) -> None:
    """A hard link where the disk is the same, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise DataError(f"{source} can not be imported: {error.strerror}.") from error
