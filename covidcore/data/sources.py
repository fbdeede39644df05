"""Where datasets come from: a folder, a zip archive, Kaggle, phantoms, or one scanned before."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from covidcore.config import DEMO_PHANTOMS, Settings
from covidcore.data import kaggle
from covidcore.data.archives import Moving, is_archive, unpack
from covidcore.data.facts import Progress
from covidcore.data.index import Dataset, load, scan
from covidcore.data.joining import join
from covidcore.data.kaggle_folder import Handle
from covidcore.data.labels import LABELS
from covidcore.data.phantoms import VERSION, PhantomSpec, write
from covidcore.data.uploads import title_of
from covidcore.errors import ArchiveError, DataError

PHANTOMS = 240
"""How many phantoms ``phantoms`` without a number means."""

SIGNAL = 2.0
"""How plain the findings of phantoms are that a person asks for: the last layer alone can learn
them from 168 images (docs/decisions.md)."""

_PHANTOMS = re.compile(r"phantoms(?::(\d{1,6}))?")
_FINGERPRINT = re.compile(r"[0-9a-f]{4,32}")


def resolve(
    spec: str,
    settings: Settings,
    progress: Progress | None = None,
    moving: Moving | None = None,
) -> Dataset:
    """Open what a person named.

    That is a folder, a ``.csv`` of labels in it, a ``.zip``, ``kaggle[:owner/name[/versions/N]]``,
    ``phantoms[:N]``, or the start of a fingerprint. ``progress(done, total)`` counts images,
    ``moving(what, done, total)`` the bytes of a download or of an archive.
    Raises: DataError, saying what is wrong with it.
    """
    match = _PHANTOMS.fullmatch(spec)
    if match:
        images = int(match[1] or PHANTOMS)
        if settings.demo and images > DEMO_PHANTOMS:
            raise DataError(f"In the demo {DEMO_PHANTOMS} phantoms can be made at most.")
        return make_phantoms(images, settings, progress)
    if not spec.strip():
        raise DataError("No dataset was named: give a folder, a .zip, kaggle, or phantoms.")
    if settings.demo and not _is_given(spec, settings):
        if not _FINGERPRINT.fullmatch(spec):
            settings.refuse_in_demo()  # before the disk is looked at: a refusal tells nothing of it
        return load(spec, settings.home)
    if kaggle.is_spec(spec):
        return _from_kaggle(kaggle.parse(spec), settings, progress, moving)
    try:
        path = Path(spec).expanduser()
        there, is_file = path.exists(), path.is_file()
    except (OSError, RuntimeError) as error:  # a name too long, a closed folder; ~somebody
        reason = getattr(error, "strerror", None) or "there is no such user"
        raise DataError(f"{spec} can not be opened: {reason}.") from error
    if is_file and is_archive(path):
        return _from_archive(path, "", settings, progress, moving)
    if not there and _FINGERPRINT.fullmatch(spec):
        return load(spec, settings.home)
    if is_file and path.suffix.lower() == ".csv":
        return scan(path.parent, settings.home, progress, "" if path.name == LABELS else path.name)
    return scan(path, settings.home, progress)


def _is_given(spec: str, settings: Settings) -> bool:
    """Whether it is the dataset that whoever runs the app has named in ``COVIDCORE_DATA``."""
    return settings.data is not None and spec == str(settings.data)


def _from_archive(
    path: Path,
    name: str,
    settings: Settings,
    progress: Progress | None,
    moving: Moving | None,
) -> Dataset:
    """Unpack an archive, or find what was unpacked before, and scan it.

    Images that turn out to be none are told by the scan: what was unpacked for it is removed.
    """
    imports = settings.home / "imports"
    title = title_of(path, settings.home)
    before = set(imports.glob("*"))
    folder = unpack(path, imports, name or Path(title).stem, title, moving)
    try:
        return scan(folder, settings.home, progress)
    except DataError:
        if folder not in before:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _from_kaggle(
    wanted: Handle, settings: Settings, progress: Progress | None, moving: Moving | None
) -> Dataset:
    """A version that was brought in before, else the one asked for, downloaded and unpacked."""
    folder = kaggle.imported(wanted, settings)
    if folder:
        return scan(folder, settings.home, progress)
    exact, archive = kaggle.fetch(wanted, settings, moving)
    name = f"{exact.name}-v{exact.version}"
    try:
        dataset = _from_archive(archive, name, settings, progress, moving)
    except ArchiveError:
        kaggle.discard(exact, settings)  # damaged on the way, maybe: fetched anew next time
        raise
    kaggle.note_imported(exact, dataset.root, settings)
    return dataset


def make_phantoms(images: int, settings: Settings, progress: Progress | None = None) -> Dataset:
    """Draw ``images`` synthetic radiographs below the home, or find them there, and scan them."""
    # By version and signal: what was drawn otherwise is another dataset, and stays what it is.
    below = settings.home / "phantoms" / f"v{VERSION}" / f"signal-{SIGNAL:g}"
    spec = PhantomSpec(images=images, signal=SIGNAL)
    folder = write(spec, below / f"phantoms-{images}", progress)
    return scan(folder, settings.home)


def import_datasets(
    specs: Sequence[str],
    settings: Settings,
    mapping: dict[str, str],
    to: Path | None = None,
    progress: Progress | None = None,
    moving: Moving | None = None,
) -> Dataset:
    """Bring datasets in, as one folder where they are several or renamed, and index the result.

    A single dataset that is taken as it is stays where it is, unless ``to`` is given.
    """
    datasets = [resolve(spec, settings, progress, moving) for spec in specs]
    if len(datasets) == 1 and not mapping and to is None:
        return datasets[0]
    if to is None:
        name = "+".join(dataset.name for dataset in datasets)[:60]
        to = _free(settings.home / "imports" / name)
    return scan(join(datasets, mapping, to), settings.home, progress)


def _free(path: Path) -> Path:
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate
