"""Where datasets come from: a folder, phantoms, or one that was scanned before."""

import re
from collections.abc import Sequence
from pathlib import Path

from covidcore.config import Settings
from covidcore.data.facts import Progress
from covidcore.data.index import Dataset, load, scan
from covidcore.data.joining import join
from covidcore.data.phantoms import VERSION, PhantomSpec, write
from covidcore.errors import DataError

PHANTOMS = 240
"""How many phantoms ``phantoms`` without a number means."""

_PHANTOMS = re.compile(r"phantoms(?::(\d{1,6}))?")


def resolve(spec: str, settings: Settings, progress: Progress | None = None) -> Dataset:
    """Open what a person named: a folder, ``phantoms[:N]``, or the start of a fingerprint.

    Raises: DataError, saying what is wrong with it.
    """
    match = _PHANTOMS.fullmatch(spec)
    if match:
        return make_phantoms(int(match[1] or PHANTOMS), settings, progress)
    if not spec.strip():
        raise DataError("No dataset was named: give a folder, or phantoms.")
    try:
        path = Path(spec).expanduser()
        there, is_file = path.exists(), path.is_file()
    except (OSError, RuntimeError) as error:  # a name too long, a closed folder; ~somebody
        reason = getattr(error, "strerror", None) or "there is no such user"
        raise DataError(f"{spec} can not be opened: {reason}.") from error
    if is_file and path.suffix.lower() == ".zip":
        raise DataError(f"{path} is a zip archive: unpack it, and give the folder.")
    if not there and re.fullmatch(r"[0-9a-f]{4,32}", spec):
        return load(spec, settings.home)
    return scan(path, settings.home, progress)


def make_phantoms(images: int, settings: Settings, progress: Progress | None = None) -> Dataset:
    """Draw ``images`` synthetic radiographs below the home, or find them there, and scan them."""
    # By version: what an older one drew is another dataset, and stays what it is.
    below = settings.home / "phantoms" / f"v{VERSION}"
    folder = write(PhantomSpec(images=images), below / f"phantoms-{images}", progress)
    return scan(folder, settings.home)


def import_datasets(
    specs: Sequence[str],
    settings: Settings,
    mapping: dict[str, str],
    to: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Bring datasets in, as one folder where they are several or renamed, and index the result.

    A single folder that is taken as it is stays where it is, unless ``to`` is given.
    """
    datasets = [resolve(spec, settings, progress) for spec in specs]
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
