"""The index: one row an image, one fingerprint a dataset; made once, checked again in a moment.

A scan lists the files, reads only those that are new to it (see ``facts``), and stores what it
saw. The fingerprint depends on what the images are and on how they are labelled, not on where the
folder is or on when it was copied.
"""

import contextlib
import hashlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidcore import storage
from covidcore.data.facts import Progress, read_facts
from covidcore.data.labels import leads_out
from covidcore.data.layout import list_files
from covidcore.data.listing import Ignored, Listing
from covidcore.data.metadata import describe
from covidcore.data.squares import SIZE, Scratch, Squares, scratch
from covidcore.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_PERSON = ("age", "sex", "view")
_TEXT = (
    *("file", "label", "source", "group", "mode", "sha256", "pixel_sha256", "dhash", "mask"),
    *_PERSON,
)
_COLUMNS = (
    *("file", "label", "source", "group", "width", "height", "mode", "bytes"),
    *("sha256", "pixel_sha256", "dhash", "thumbnail", "mask", *_PERSON),
)
_APART = ("index", "near_pairs")
_NEAR_PAIRS = "near-pairs.npz"
_STORED = ("name", "layout", "synthetic", "ignored", "duplicates", "seconds")


@dataclass(frozen=True)
class Dataset:
    """A scanned dataset folder.

    ``index`` has one row an image, sorted by file: file, label, source, group (patient, "" where
    unknown), width and height (pixels), mode (as stored), bytes, sha256 (of the file),
    pixel_sha256 (of the decoded grey image), dhash (64 bits as 16 hex digits), thumbnail (16 x 16
    grey levels, 256 bytes), mask (file or ""); and what DICOM files tell, "" where unknown: age
    (decade, "40-49"), sex ("F", "M", "O"), view ("PA", "AP", ...).
    """

    root: Path
    name: str
    layout: str
    synthetic: bool
    classes: tuple[str, ...]
    fingerprint: str
    index: "pd.DataFrame" = field(repr=False)
    ignored_files: list[tuple[str, str]] = field(default_factory=list, repr=False)
    ignored: dict[str, int] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list, repr=False)
    duplicates: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    near_pairs: Path | None = field(default=None, repr=False)
    """Where the near duplicates among its images are kept (`kept_pairs`)."""

    def to_json(self) -> dict[str, Any]:
        """The document of ``scan`` in the contract."""
        counts = self.index["label"].value_counts()
        return {
            "fingerprint": self.fingerprint,
            "root": str(self.root),
            "layout": self.layout,
            "classes": {name: int(counts[name]) for name in self.classes},
            "images": len(self.index),
            "ignored": self.ignored,
            "unreadable": [{"file": file, "reason": why} for file, why in self.unreadable],
            "duplicates": self.duplicates,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class DatasetInfo:
    """What a list of datasets shows of one that was scanned before."""

    fingerprint: str
    name: str
    root: Path
    layout: str
    synthetic: bool
    classes: dict[str, int]

    @property
    def images(self) -> int:
        """How many images it holds."""
        return sum(self.classes.values())


def dataset_folder(home: Path, fingerprint: str) -> Path:
    """Where everything derived from a dataset is kept."""
    return home / "datasets" / fingerprint


def scan(root: Path, home: Path, progress: Progress | None = None, labels: str = "") -> Dataset:
    """Index the dataset in ``root``; files that can not be read are listed and passed over.

    Each new file is decoded once: its square is kept for ``pixel_array``, where the disk has room.
    ``labels`` names a table in ``root`` that tells the classes; ``labels.csv`` is found without.
    ``progress(done, total)`` counts files; what it raises ends the scan, and the next one goes on
    from there. Raises: DataError where it is no dataset.
    """
    started = time.monotonic()
    listing = list_files(root, labels)
    with scratch(home / "scans") as kept:
        facts = read_facts(listing, home, progress, kept)
        name = f"{listing.root.name}, {labels}" if labels else listing.root.name
        dataset = _indexed(name, listing, facts, home, started)
        _keep_squares(dataset, home, kept)
    return dataset


def _keep_squares(dataset: Dataset, home: Path, kept: Scratch) -> None:
    """Make the pixel array where that takes no decoding; else it is made when it is needed."""
    from covidcore.data.pixels import is_stored, pixel_array, sweep

    if is_stored(dataset, SIZE, home):
        return
    if Squares(dataset, SIZE, home, kept).whole:
        with contextlib.suppress(DataError):  # a full disk: whoever needs it will say so
            pixel_array(dataset, SIZE, home, scanned=kept)
    else:
        sweep(dataset, SIZE, home)  # it may not be needed for long


def _indexed(
    name: str, listing: Listing, facts: "pd.DataFrame", home: Path, started: float
) -> Dataset:
    """The index of what was read, stored."""
    table = facts[facts["reason"] == ""].drop(columns=["reason", "mtime_ns"])
    _check_readable(listing, facts)
    table = table.assign(label=table["file"].map(listing.labels))
    table, problems = describe(table, listing.root)
    table = _as_told(table, listing)
    table["mask"] = [listing.masks.get(file, "") for file in table["file"]]
    table = table[list(_COLUMNS)].astype(dict.fromkeys(_TEXT, str)).reset_index(drop=True)
    unused = {item.file for item in problems}
    ignored = [item for item in listing.ignored if item.file not in unused] + problems
    broken = facts[facts["reason"] != ""]
    return _stored(
        home,
        Dataset(
            root=listing.root,
            name=name,
            layout="phantoms" if _is_synthetic(listing.root) else listing.layout,
            synthetic=_is_synthetic(listing.root),
            classes=listing.classes,
            fingerprint=fingerprint(table),
            index=table,
            ignored_files=[(item.file, item.reason) for item in ignored],
            ignored={kind: _count(ignored, kind) for kind in ("masks", "hidden", "other")},
            unreadable=list(zip(broken["file"], broken["reason"], strict=True)),
            seconds=time.monotonic() - started,
        ),
    )


def _as_told(table: "pd.DataFrame", listing: Listing) -> "pd.DataFrame":
    """Let a table of labels overrule what else is known of sources and patients."""
    rows = listing.table.rows if listing.table else {}
    for column, name in (("source", "source"), ("group", "patient")):
        given = {file: getattr(row, name) for file, row in rows.items()}
        table[column] = [
            given.get(file, "") or known
            for file, known in zip(table["file"], table[column], strict=True)
        ]
    return table


def fingerprint(table: "pd.DataFrame") -> str:
    """32 hex digits that change when an image, its label, source or patient does."""
    columns = ["file", "label", "source", "group", "sha256"]
    rows = table[columns].sort_values("file").to_numpy().tolist()
    return hashlib.sha256(storage.canonical_json(["dataset-1", rows])).hexdigest()[:32]


def load(prefix: str, home: Path) -> Dataset:
    """Open a dataset scanned before by the first characters of its fingerprint, as it was then.

    Raises: DataError where there is none, or more than one.
    """
    found = [info.fingerprint for info in known(home) if info.fingerprint.startswith(prefix)]
    if len(found) != 1 or not prefix:
        what = "No dataset" if not found else "More than one dataset"
        raise DataError(f"{what} has a fingerprint that begins with “{prefix}”.")
    return _opened(dataset_folder(home, found[0]))


def _opened(folder: Path) -> Dataset:
    about = storage.read_json(folder / "dataset.json")
    index = storage.read_table(folder / "index.parquet")
    try:
        if any(map(leads_out, {*index["file"], *index["mask"]} - {""})):
            raise ValueError("a path that leads out of the dataset")
        return Dataset(
            fingerprint=folder.name,
            root=Path(about["root"]),
            near_pairs=folder / _NEAR_PAIRS,
            classes=tuple(about["classes"]),
            ignored_files=[(file, reason) for file, reason in about["ignored_files"]],
            unreadable=[(file, reason) for file, reason in about["unreadable"]],
            index=index.assign(**{name: "" for name in _PERSON if name not in index})[
                list(_COLUMNS)
            ],
            **{name: about[name] for name in _STORED},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder} was written by another version: scan it again.") from error


def known(home: Path) -> list[DatasetInfo]:
    """The datasets scanned before, the latest first; damaged entries are passed over."""
    folder = home / "datasets"
    found: list[tuple[int, DatasetInfo]] = []
    for path in folder.glob("*/dataset.json") if folder.is_dir() else ():
        if path.parent.is_symlink():  # what is derived is read and written in the home alone
            continue
        try:
            about = storage.read_json(path)
            info = DatasetInfo(
                fingerprint=path.parent.name,
                name=about["name"],
                root=Path(about["root"]),
                layout=about["layout"],
                synthetic=about["synthetic"],
                classes={name: int(count) for name, count in about["classes"].items()},
            )
            found.append((path.stat().st_mtime_ns, info))
        except (DataError, AttributeError, KeyError, TypeError, ValueError, OSError):
            continue
    return [info for _, info in sorted(found, key=lambda item: -item[0])]


def _check_readable(listing: Listing, facts: "pd.DataFrame") -> None:
    good = set(facts.loc[facts["reason"] == "", "file"].map(listing.labels))
    for name in listing.classes:
        if name not in good:
            bad = facts[facts["file"].map(listing.labels) == name].iloc[0]
            raise DataError(
                f"None of the images of class “{name}” can be read; the first is "
                f"{bad['file']}: {bad['reason']}"
            )


def _is_synthetic(root: Path) -> bool:
    try:
        about = storage.read_json(root / "dataset.json")
    except DataError:
        return False
    return isinstance(about, dict) and about.get("synthetic") is True


def _count(ignored: list[Ignored], kind: str) -> int:
    return sum(item.kind == kind for item in ignored)


def _stored(home: Path, dataset: Dataset) -> Dataset:
    """Write what later calls open by fingerprint; an index that is there already is left alone."""
    folder = dataset_folder(home, dataset.fingerprint)
    dataset = replace(dataset, near_pairs=folder / _NEAR_PAIRS)
    try:
        before = _opened(folder)
    except DataError:
        before = None
    if before is not None and before.index.equals(dataset.index):
        duplicates = before.duplicates
    else:  # new, damaged, or masks were added
        from covidcore.data.duplicates import count_duplicates

        duplicates = count_duplicates(dataset.index, dataset.near_pairs)
        storage.write_table(folder / "index.parquet", dataset.index)
    dataset = replace(dataset, duplicates=duplicates)
    counts = dataset.index["label"].value_counts()
    about = {key: value for key, value in dataset.__dict__.items() if key not in _APART}
    about["classes"] = {name: int(counts[name]) for name in dataset.classes}
    storage.write_json(folder / "dataset.json", about)
    return dataset
