"""Synthetic chest radiographs whose lungs, lesions, sources, copies and cues are known exactly.

For trying the program without a patient's image, and for tests: what an honest audit must find has
been planted here. How an image looks is decided in `phantom_drawing` and `phantom_findings`.
"""

import contextlib
import csv
import io
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from covidcore import storage
from covidcore.data import phantom_canvas as canvas
from covidcore.data import phantom_findings as findings
from covidcore.data.phantom_copies import Variety, near_copy
from covidcore.data.phantom_drawing import Anatomy, chest
from covidcore.data.phantom_plan import COLUMNS, Names, Shot, plan
from covidcore.data.phantom_spec import PhantomSpec
from covidcore.data.staging import publish, staging
from covidcore.errors import DataError

__all__ = ["VERSION", "PhantomSpec", "draw", "write"]

VERSION = 2
"""Of the drawing: one spec and one version are one dataset, pixel by pixel."""

_MADE_BY = "covidcore.data.phantoms"
_ATTEMPTS = 20
"""Drawings of one image, at most, until it is like no other: one in a hundred needs two."""


def draw(
    spec: PhantomSpec, label: str, patient_seed: int, image_seed: int, source: str, cue: bool
) -> tuple[canvas.Grey, canvas.Mask]:
    """One radiograph, (size, size) uint8, and the mask of its lungs.

    ``patient_seed`` sets the anatomy and where disease sits, ``image_seed`` position, exposure and
    noise. With ``cue`` the image carries ``spec.cue``; a ``source`` not in the spec's list looks
    like no other hospital.
    """

    def chance(seed: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng((spec.seed, seed, purpose))

    body, shot = chance(patient_seed, 1), chance(image_seed, 2)
    anatomy = Anatomy.draw(body).breathing(shot)
    view = canvas.View.draw(spec.size, shot)
    tissue, inside, mask = chest(view, anatomy, body)
    if spec.signal:
        ill = chance(patient_seed, 3)
        pattern = findings.patterns(spec.classes)[label]
        if pattern is not None:
            tissue += spec.signal * ill.uniform(0.5, 1.2) * pattern(view, anatomy, ill) * inside
    if cue and spec.cue == "lungs":
        tissue += 0.45 * findings.sign(view, anatomy) * inside
    gain, gamma, grain, coarse = _look(spec, source)
    gain *= shot.uniform(0.88, 1.12)
    gamma *= shot.uniform(0.92, 1.12)
    grey = canvas.expose(tissue, gain, gamma, grain * shot.uniform(0.8, 1.25), coarse, shot)
    image = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    canvas.stamp(image)
    if cue and spec.cue == "corner":
        canvas.marker(image)
    return image, mask


def write(spec: PhantomSpec, to: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Make the dataset folder ``to``, whole or not at all, and return it.

    It holds ``CLASS/images``, ``CLASS/masks`` (0 and 255, same names), ``metadata.csv`` and
    ``dataset.json``. A folder of the same spec is left as it is. ``progress(done, total)`` is
    called after each image; what it raises ends the work.
    Raises: DataError where ``to`` holds something else or the disk refuses.
    """
    described = {
        "synthetic": True,
        "made_by": _MADE_BY,
        "version": VERSION,
        "spec": storage.plain(asdict(spec)),
    }
    if _is_there(to, described):
        return to
    with staging(to) as folder:
        rows, total = [], spec.images + spec.duplicates + spec.near_duplicates
        for shot in _draw_all(spec, folder):
            rows.append(shot.row())
            if progress:
                progress(len(rows), total)
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        storage.write_text(folder / "metadata.csv", text.getvalue())
        storage.write_json(folder / "dataset.json", described)
        if not _is_there(to, described):  # another process may have been faster
            publish(folder, to)
    return to


def _is_there(to: Path, described: dict[str, Any]) -> bool:
    """Whether ``to`` already is this dataset; an empty folder counts as nothing there."""
    if not os.path.lexists(to):
        return False
    with contextlib.suppress(DataError):
        if storage.read_json(to / "dataset.json") == described:
            return True
    with contextlib.suppress(OSError):
        if to.is_dir() and not to.is_symlink() and not any(to.iterdir()):
            return False
    raise DataError(f"{to} holds something else already. Choose another folder, or remove it.")


def _look(spec: PhantomSpec, source: str) -> tuple[float, float, float, float]:
    """A source's gain, gamma, grain (grey values) and share of coarse grain."""
    if source not in spec.sources:
        return 0.78, 1.45, 5.5, 0.6
    part = spec.sources.index(source) * 0.618 % 1  # the golden ratio: any number, spread evenly
    return 0.97 + 0.06 * part, 1.14 - 0.06 * part, 2.2 + 1.2 * part, 0.5 * part


def _draw_all(spec: PhantomSpec, folder: Path) -> Iterator[Shot]:
    """Write every image and mask, and yield what was written."""
    for label in spec.classes:
        for kind in ("images", "masks"):
            (folder / label / kind).mkdir(parents=True)
    shots, variety = plan(spec), Variety(spec.images)
    for shot in shots:
        _write_pair(folder, shot, *_unlike_all_before(spec, shot, variety))
        yield shot
    names = Names(spec, shots)
    for chosen in np.random.default_rng((spec.seed, 4)).permutation(len(shots))[: spec.duplicates]:
        copy = names.copy_of(shots[chosen])
        for kind in ("images", "masks"):
            home = folder / copy.label / kind
            shutil.copyfile(home / shots[chosen].name, home / copy.name)
        yield copy
    planted = 0
    for chosen in np.random.default_rng((spec.seed, 5)).permutation(len(shots)):
        if planted == spec.near_duplicates:
            break
        image, mask = near_copy(*_read_pair(folder, shots[chosen]), planted)
        if variety.is_like_one(image):
            planted += 1
            copy = names.copy_of(shots[chosen])
            _write_pair(folder, copy, image, mask)
            yield copy
    if planted < spec.near_duplicates:
        raise DataError(f"Only {planted} near duplicates could be planted: ask for fewer.")


def _unlike_all_before(
    spec: PhantomSpec, shot: Shot, variety: Variety
) -> tuple[canvas.Grey, canvas.Mask]:
    """Draw an image; one that happens to look like an earlier one is exposed anew."""
    for attempt in range(_ATTEMPTS):
        seed = shot.seed + attempt * spec.images
        image, mask = draw(spec, shot.label, shot.patient, seed, shot.source, shot.cue)
        if variety.is_new(image):
            break
    return image, mask


def _write_pair(folder: Path, shot: Shot, image: canvas.Grey, mask: canvas.Mask) -> None:
    _save(folder / shot.label / "images" / shot.name, image)
    _save(folder / shot.label / "masks" / shot.name, mask.astype(np.uint8) * np.uint8(255))


def _read_pair(folder: Path, shot: Shot) -> tuple[canvas.Grey, canvas.Mask]:
    from PIL import Image

    image, mask = (
        np.array(Image.open(folder / shot.label / kind / shot.name)) for kind in ("images", "masks")
    )
    return image, mask > 0


def _save(path: Path, pixels: canvas.Grey) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("Description", "synthetic phantom, not a patient")
    Image.fromarray(pixels).save(path, "PNG", pnginfo=note, compress_level=1)
