"""Which synthetic radiographs are drawn: class, patient, hospital and cue of each."""

from dataclasses import dataclass, replace

import numpy as np

from covidcore.data.phantom_spec import PhantomSpec

COLUMNS = ("file", "label", "source", "patient_id", "original_name")


@dataclass(frozen=True)
class Shot:
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
        """Of the file, and of its mask."""
        return f"{self.label}-{self.number}.png"

    def row(self) -> dict[str, str]:
        """Its line in the metadata."""
        original = f"p{self.patient:05d}-view{self.view}.png"
        names = (f"{self.label}/images/{self.name}", self.label, self.source)
        return dict(zip(COLUMNS, (*names, f"P{self.patient:05d}", original), strict=True))


def plan(spec: PhantomSpec) -> list[Shot]:
    """Every image but the copies, class after class, patient after patient."""
    shots: list[Shot] = []
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
                shots.append(Shot(label, number, patient, view, len(shots) + 1, place, cue))
    return shots


class Names:
    """Numbers planted copies; every other one claims to be of a new patient."""

    def __init__(self, spec: PhantomSpec, shots: list[Shot]) -> None:
        self._numbers = dict(zip(spec.classes, spec.counts(), strict=True))
        self._patient, self._planted = shots[-1].patient, 0

    def copy_of(self, shot: Shot) -> Shot:
        """The next copy, of ``shot``."""
        self._numbers[shot.label] += 1
        new = self._planted % 2 == 1
        self._patient += new
        self._planted += 1
        patient = self._patient if new else shot.patient
        return replace(
            shot, number=self._numbers[shot.label], patient=patient, view=shot.view + 100
        )
