"""What a set of synthetic radiographs shall hold, checked where it enters."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from covidcore.errors import DataError

_TAKEN = ("images", "masks", "metadata.csv", "dataset.json")


@dataclass(frozen=True)
class PhantomSpec:
    """What to draw. One spec is one dataset, pixel by pixel."""

    images: int = 240
    """All classes together, planted copies not counted."""
    size: int = 256
    """Pixels a side."""
    classes: tuple[str, ...] = ("COVID-19", "NORMAL", "Viral Pneumonia")
    shares: tuple[float, ...] | None = None
    """Relative sizes of the classes; None makes them equal."""
    sources: tuple[str, ...] = ("Hospital A", "Hospital B")
    """Each has its exposure and grain; none tells the class unless ``cue`` says so."""
    images_per_patient: int = 2
    """Mean; a patient has from 1 to twice as many, less one."""
    cue: Literal["none", "corner", "source", "lungs"] = "none"
    """What gives the first class away: a marker in the corner, a hospital of its own, a disc in
    the right lung."""
    cue_share: float = 1.0
    """Share of the first class's images that carry the cue."""
    signal: float = 1.0
    """Strength of what tells the classes apart; at 0 the lungs of all classes are healthy."""
    duplicates: int = 0
    """Files planted on top of ``images`` that repeat another file's pixels."""
    near_duplicates: int = 0
    """Files planted on top that repeat another picture in other clothes; every fifth mirrored."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what can not be drawn or written; raises DataError."""
        _names("classes", self.classes, 2, 32)
        _names("sources", self.sources, 1, 100)
        for name in self.classes:
            _folder_name(name)
        _whole("images", self.images, 3 * len(self.classes), 100_000)
        _whole("size", self.size, 64, 1024)
        _whole("images_per_patient", self.images_per_patient, 1, 50)
        _whole("duplicates", self.duplicates, 0, self.images)
        _whole("near_duplicates", self.near_duplicates, 0, self.images // 2)
        _whole("seed", self.seed, 0, 2**63 - 1)
        _number("cue_share", self.cue_share, 0, 1)
        _number("signal", self.signal, 0, 3)
        if self.cue not in ("none", "corner", "source", "lungs"):
            raise DataError(f"cue is {self.cue!r}; it must be none, corner, source or lungs.")
        if self.shares is not None:
            if not isinstance(self.shares, tuple) or len(self.shares) != len(self.classes):
                raise DataError(f"shares is {self.shares!r}; give one number for each class.")
            for share in self.shares:
                _number("A share", share, 1e-6, 1e6)
            if min(self.counts()) < 3:
                raise DataError(
                    f"With these shares a class gets {min(self.counts())} of {self.images} images; "
                    "3 are the least. Ask for more images or for a larger share."
                )

    def counts(self) -> tuple[int, ...]:
        """Images of each class: the shares of ``images``, rounded by largest remainder."""
        shares = np.array(self.shares or (1.0,) * len(self.classes))
        exact = shares / shares.sum() * self.images
        whole = np.floor(exact).astype(int)
        left = np.argsort(whole - exact, kind="stable")[: self.images - whole.sum()]
        whole[left] += 1
        return tuple(int(count) for count in whole)

    def own_source(self) -> str:
        """The hospital that only the first class comes from, where ``cue`` is ``source``."""
        letters = (f"Hospital {chr(code)}" for code in range(ord("A"), ord("Z") + 1))
        free = (name for name in letters if name not in self.sources)
        return next(free, "Hospital of the first class")


def _names(field: str, names: Any, least: int, most: int) -> None:
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{field} is {names!r}; it must be a tuple of names.")
    if not least <= len(names) <= most:
        raise DataError(f"{field} has {len(names)} names; give from {least} to {most}.")
    for name in names:
        if not name.strip() or name != name.strip() or not name.isprintable():
            raise DataError(
                f"{name!r} in {field} is no name: give visible characters, no space at the ends."
            )
        if len(name.encode()) > 100:
            raise DataError(f"{name!r} in {field} is too long; 100 bytes are the most.")
    if len({name.casefold() for name in names}) < len(names):
        raise DataError(f"{field} names one thing twice (case does not count): {names!r}.")


def _folder_name(name: str) -> None:
    """A class is a folder, and part of file names, on any disk."""
    if "/" in name or "\\" in name or name.startswith("."):
        raise DataError(
            f"The class name {name!r} can not be a folder: it may not contain / or \\, "
            "nor start with a full stop."
        )
    if name.casefold() in _TAKEN:
        raise DataError(f"The class name {name!r} is taken by the dataset itself; choose another.")


def _whole(field: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise DataError(f"{field} is {value!r}; it must be a whole number from {least} to {most}.")


def _number(field: str, value: Any, least: float, most: float) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not least <= value <= most:
        raise DataError(f"{field} is {value!r}; it must be a number from {least:g} to {most:g}.")
