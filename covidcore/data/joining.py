"""Several datasets as one folder: files linked, not copied, under the classes a person chose."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from covidcore import storage
from covidcore.data.filenames import can_be_class
from covidcore.data.index import Dataset
from covidcore.data.staging import publish, staging
from covidcore.errors import DataError

_COLUMNS = ["file", "label", "source", "patient_id", "original_name"]


def parse_mapping(items: Sequence[str]) -> dict[str, str]:
    """Read ``"Their name=Our name"`` pairs.

    Raises: DataError for one that is no pair, or whose new name can not name a folder.
    """
    mapping: dict[str, str] = {}
    for item in items:
        theirs, separator, ours = item.partition("=")
        theirs, ours = theirs.strip(), ours.strip()
        if not separator or not theirs or not ours:
            raise DataError(f'“{item}” is no mapping: write --map "Their name=Our name".')
        if not can_be_class(ours):
            raise DataError(f"“{ours}” can not be the name of a class: it names a folder.")
        if theirs in mapping:
            raise DataError(f"“{theirs}” is mapped twice: to {mapping[theirs]} and to {ours}.")
        mapping[theirs] = ours
    return mapping


def join(datasets: Sequence[Dataset], mapping: dict[str, str], to: Path) -> Path:
    """Make the dataset folder ``to`` out of ``datasets``; it appears whole or not at all.

    Classes are renamed by ``mapping``; where one is given, classes not in it are left out.
    Images whose source is unknown take the name of their folder as the source. Returns ``to``.
    Raises: DataError where ``to`` holds something already, the mapping fits no class or leaves
    fewer than two, or the disk refuses.
    """
    several = len(datasets) > 1
    rows = [row for dataset in datasets for row in _rows(dataset, mapping, several)]
    _check_mapping(datasets, mapping, {row["label"] for row in rows})
    with staging(to) as folder:
        _check_free(to)
        _place(rows, folder)
        storage.write_csv(folder / "metadata.csv", pd.DataFrame(rows)[_COLUMNS])
        if all(dataset.synthetic for dataset in datasets):
            storage.write_json(folder / "dataset.json", {"synthetic": True})
        publish(folder, to)
    return to


def _check_mapping(datasets: Sequence[Dataset], mapping: dict[str, str], made: set[str]) -> None:
    present = {name for dataset in datasets for name in dataset.classes}
    unknown = sorted(set(mapping) - present)
    if unknown:
        raise DataError(
            f"There is no class “{unknown[0]}” to map; there are {', '.join(sorted(present))}."
        )
    if len(made) < 2:
        raise DataError(
            f"Only one class, “{min(made)}”, would be left: classes that are not mapped are left "
            "out. A classifier needs two or more."
        )


def _check_free(to: Path) -> None:
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise DataError(f"{to} exists and is not empty: choose another folder.")


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
                "name": f"{dataset.name[:40]}-{name}" if several else name,
            }
        )
    return rows


def _place(rows: list[dict[str, str]], folder: Path) -> None:
    """Link every file into its class folder, and write down under which name."""
    used: dict[str, int] = {}
    masked = any(row["mask"] for row in rows)
    for row in rows:
        images = f"{row['label']}/images" if masked else row["label"]
        name = _free_name(f"{images}/{row['name']}", used)
        row["file"] = name
        _link(row["from"], folder / name)
        if row["mask"]:
            mask = f"{row['label']}/masks/{Path(name).stem}{Path(row['mask']).suffix}"
            _link(row["mask"], folder / mask)


def _free_name(file: str, used: dict[str, int]) -> str:
    """``file``, or with a number behind its stem; ``used`` holds the last number of each stem.

    The suffix does not count, as a mask bears its image's stem, nor does case, as on some disks.
    """
    stem, suffix = file.removesuffix(Path(file).suffix), Path(file).suffix
    name = stem
    while name.casefold() in used:
        used[stem.casefold()] += 1
        name = f"{stem}-{used[stem.casefold()]}"
    used[name.casefold()] = 1
    return name + suffix


def _link(source: str, target: Path) -> None:
    """A hard link where the disk is the same, else a copy; never over what is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(Path(source).resolve(), target)  # resolved: a link to a link would lead elsewhere
    except OSError:
        try:
            with Path(source).open("rb") as file, target.open("xb") as copy:
                shutil.copyfileobj(file, copy)
        except OSError as error:
            raise DataError(f"{source} can not be imported: {error.strerror}.") from error
