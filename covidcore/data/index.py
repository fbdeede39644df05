"""The index: one row an image, one fingerprint a dataset; made once, checked again in a moment.

A scan lists the files, reads only those whose size or time changed since the last scan of the
same folder, and stores what it saw. The fingerprint depends on what the images are and on how
they are labelled, not on where the folder is or on when it was copied.
"""

import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidcore import storage
from covidcore.data.layout import Ignored, Listing, list_files
from covidcore.data.metadata import describe
from covidcore.errors import DataError, DecodeError

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], None]

_FACTS_VERSION = 2  # of what is read from one file; a change reads every file again
_FACTS = ("width", "height", "mode", "sha256", "pixel_sha256", "dhash", "thumbnail", "reason")


@dataclass(frozen=True)
class Dataset:
    """A scanned dataset folder.

    ``index`` has one row an image, sorted by file: file, label, source, group (patient, "" where
    unknown), width and height (pixels), mode (as stored), bytes, sha256 (of the file),
    pixel_sha256 (of the decoded grey image), dhash (64 bits as 16 hex digits), thumbnail (16 x 16
    grey levels, 256 bytes), mask (file or "").
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


def scan(root: Path, home: Path, progress: Progress | None = None) -> Dataset:
    """Index the dataset in ``root``; files that can not be read are listed and passed over.

    ``progress(done, total)`` counts files. Raises: DataError where it is no dataset.
    """
    started = time.monotonic()
    listing = list_files(root)
    facts = _facts(listing, home, progress)
    table = facts[facts["reason"] == ""].drop(columns=["reason", "mtime_ns"])
    _check_readable(listing, facts)
    table = table.assign(label=table["file"].map(listing.labels))
    table, problems = describe(table, listing.root)
    table["mask"] = table["file"].map(listing.masks).fillna("")
    columns = ["file", "label", "source", "group", "width", "height", "mode", "bytes"]
    table = table[[*columns, "sha256", "pixel_sha256", "dhash", "thumbnail", "mask"]].reset_index(
        drop=True
    )
    ignored = listing.ignored + problems
    broken = facts[facts["reason"] != ""]
    return _stored(
        home,
        Dataset(
            root=listing.root,
            name=listing.root.name,
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
    folder = dataset_folder(home, found[0])
    about = storage.read_json(folder / "dataset.json")
    return Dataset(
        **{
            **about,
            "root": Path(about["root"]),
            "classes": tuple(about["classes"]),
            "ignored_files": [tuple(pair) for pair in about["ignored_files"]],
            "unreadable": [tuple(pair) for pair in about["unreadable"]],
            "index": storage.read_table(folder / "index.parquet"),
        }
    )


def known(home: Path) -> list[DatasetInfo]:
    """The datasets scanned before, the latest first; damaged entries are passed over."""
    folder = home / "datasets"
    found: list[tuple[int, DatasetInfo]] = []
    for path in folder.glob("*/dataset.json") if folder.is_dir() else ():
        try:
            about = storage.read_json(path)
            info = DatasetInfo(
                fingerprint=path.parent.name,
                name=about["name"],
                root=Path(about["root"]),
                layout=about["layout"],
                synthetic=about["synthetic"],
                classes=about["classes"],
            )
            found.append((path.stat().st_mtime_ns, info))
        except (DataError, KeyError, TypeError, OSError):
            continue
    return [info for _, info in sorted(found, key=lambda item: -item[0])]


def _facts(listing: Listing, home: Path, progress: Progress | None) -> "pd.DataFrame":
    """One row a listed file: what decoding it told, from the store where it has not changed."""
    import pandas as pd

    key = storage.sha256_bytes(os.fsencode(listing.root))[:16]
    path = home / "scans" / f"{key}-{_FACTS_VERSION}.parquet"
    now = pd.DataFrame(
        [(file, size, mtime) for file, (size, mtime) in listing.stats.items()],
        columns=["file", "bytes", "mtime_ns"],
    )
    try:
        before = storage.read_table(path)[["file", "bytes", "mtime_ns", *_FACTS]]
    except (DataError, KeyError):
        before = pd.DataFrame(columns=["file", "bytes", "mtime_ns", *_FACTS]).astype(
            {"file": str, "bytes": "int64", "mtime_ns": "int64"}
        )
    table = now.merge(before, on=["file", "bytes", "mtime_ns"], how="left").sort_values("file")
    table = table.reset_index(drop=True)
    new = table.index[table["reason"].isna()]
    if len(new):
        read = _read_all([listing.root / file for file in table.loc[new, "file"]], progress)
        for column, values in zip(_FACTS, zip(*read, strict=True), strict=True):
            kept = table[column].astype(object)
            kept.loc[new] = list(values)
            table[column] = kept
        table = table.astype({"width": "int64", "height": "int64"})
    if len(new) or len(now) != len(before):
        storage.write_table(path, table)
    return table


def _read_all(paths: list[Path], progress: Progress | None) -> list[tuple[Any, ...]]:
    """Decode files on all cores (Pillow lets go of the interpreter while it decodes)."""
    rows: list[tuple[Any, ...]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for row in pool.map(_read, paths):
                rows.append(row)
                if progress:
                    progress(len(rows), len(paths))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return rows


def _read(path: Path) -> tuple[Any, ...]:
    from covidcore.data.decode import Limits, decode
    from covidcore.data.duplicates import thumbnail
    from covidcore.data.hashes import dhash

    try:
        with path.open("rb") as file:
            data = file.read(Limits().max_bytes + 1)
        image = decode(data)
    except DecodeError as error:
        return 0, 0, "", "", "", "", b"", str(error)
    except OSError as error:
        return 0, 0, "", "", "", "", b"", f"The file can not be read: {error.strerror}."
    height, width = image.pixels.shape
    pixels = storage.sha256_bytes(b"%dx%d:" % (width, height) + image.pixels.tobytes())
    looks = f"{dhash(image.pixels):016x}", thumbnail(image.pixels)
    return width, height, image.mode, storage.sha256_bytes(data), pixels, *looks, ""


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
    """Write what later calls open by fingerprint; count duplicates unless it was done before."""
    folder = dataset_folder(home, dataset.fingerprint)
    about = folder / "dataset.json"
    try:
        duplicates = storage.read_json(about)["duplicates"]
    except (DataError, KeyError, TypeError):
        from covidcore.data.duplicates import count_duplicates

        duplicates = count_duplicates(dataset.index)
        storage.write_table(folder / "index.parquet", dataset.index)
    values = {**dataset.__dict__, "duplicates": duplicates}
    counts = dataset.index["label"].value_counts()
    stored = {key: value for key, value in values.items() if key != "index"}
    storage.write_json(about, {**stored, "classes": {n: int(counts[n]) for n in dataset.classes}})
    return Dataset(**values)
