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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from covidcore import storage
from covidcore.data import phantom_canvas as canvas
from covidcore.data import phantom_findings as findings
from covidcore.data.phantom_drawing import Anatomy, chest
from covidcore.data.phantom_spec import PhantomSpec
from covidcore.data.staging import publish, staging
from covidcore.errors import DataError

__all__ = ["PhantomSpec", "draw", "write"]

_MADE_BY = "covidcore.data.phantoms"
_COLUMNS = ("file", "label", "source", "patient_id", "original_name")


@dataclass(frozen=True)
class _Shot:
    """One image to be drawn, and its line in the metadata."""

    label: str
    number: int
    patient: int
    view: int
    seed: int
    source: str
    cue: bool

    @property
    def name(self) -> str:
        return f"{self.label}-{self.number}.png"

    def row(self) -> dict[str, str]:
        original = f"p{self.patient:05d}-view{self.view}.png"
        names = (f"{self.label}/images/{self.name}", self.label, self.source)
        return dict(zip(_COLUMNS, (*names, f"P{self.patient:05d}", original), strict=True))


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
    anatomy, view = Anatomy.draw(body), canvas.View.draw(spec.size, shot)
    tissue, inside, mask = chest(view, anatomy, body)
    if spec.signal:
        ill = chance(patient_seed, 3)
        pattern = findings.patterns(spec.classes)[label]
        if pattern is not None:
            tissue += spec.signal * ill.uniform(0.5, 1.2) * pattern(view, anatomy, ill) * inside
    if cue and spec.cue == "lungs":
        tissue += 0.45 * findings.sign(view, anatomy) * inside
    gain, gamma, grain, coarse = _look(spec, source)
    gain *= shot.uniform(0.92, 1.08)
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
    described = {"synthetic": True, "made_by": _MADE_BY, "spec": storage.plain(asdict(spec))}
    if _is_there(to, described):
        return to
    with staging(to) as folder:
        rows = [shot.row() for shot in _draw_all(spec, folder, progress)]
        text = io.StringIO()
        table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
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


def _plan(spec: PhantomSpec) -> list[_Shot]:
    """Every image but the copies, class after class, patient after patient."""
    shots: list[_Shot] = []
    rng = np.random.default_rng((spec.seed, 0))
    patient = 0
    for position, (label, count) in enumerate(zip(spec.classes, spec.counts(), strict=True)):
        cued = round(spec.cue_share * count) if position == 0 and spec.cue != "none" else 0
        number = 0
        while number < count:
            patient += 1
            source = spec.sources[rng.integers(len(spec.sources))]
            views = min(int(rng.integers(1, 2 * spec.images_per_patient)), count - number)
            for view in range(1, views + 1):
                number += 1
                cue = number <= cued
                place = spec.own_source() if cue and spec.cue == "source" else source
                shots.append(_Shot(label, number, patient, view, len(shots) + 1, place, cue))
    return shots


def _copies(spec: PhantomSpec, shots: list[_Shot]) -> Iterator[tuple[_Shot, _Shot]]:
    """Pairs of an image and its planted copy; every other copy claims to be of a new patient."""
    rng = np.random.default_rng((spec.seed, 4))
    numbers = dict(zip(spec.classes, spec.counts(), strict=True))
    patient = shots[-1].patient
    for turn, chosen in enumerate(rng.permutation(len(shots))[: spec.duplicates]):
        shot = shots[chosen]
        numbers[shot.label] += 1
        patient += turn % 2
        same = shot.patient if turn % 2 == 0 else patient
        yield shot, replace(shot, number=numbers[shot.label], patient=same, view=shot.view + 100)


def _draw_all(
    spec: PhantomSpec, folder: Path, progress: Callable[[int, int], None] | None
) -> Iterator[_Shot]:
    """Write every image and mask, and yield what was written."""
    for label in spec.classes:
        for kind in ("images", "masks"):
            (folder / label / kind).mkdir(parents=True)
    shots = _plan(spec)
    total = len(shots) + spec.duplicates
    for done, shot in enumerate(shots, 1):
        image, mask = draw(spec, shot.label, shot.patient, shot.seed, shot.source, shot.cue)
        _save(folder / shot.label / "images" / shot.name, image)
        _save(folder / shot.label / "masks" / shot.name, mask.astype(np.uint8) * np.uint8(255))
        if progress:
            progress(done, total)
        yield shot
    for done, (shot, copy) in enumerate(_copies(spec, shots), len(shots) + 1):
        for kind in ("images", "masks"):
            home = folder / shot.label / kind
            shutil.copyfile(home / shot.name, home / copy.name)
        if progress:
            progress(done, total)
        yield copy


def _save(path: Path, pixels: canvas.Grey) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("Description", "synthetic phantom, not a patient")
    Image.fromarray(pixels).save(path, "PNG", pnginfo=note, compress_level=1)
