"""What the parts of a run take on this machine, in seconds; kept in the home. Knows no torch.

A probe measures them before the first run (``probe``); finished runs tell them better
(``learned``). What they depend on is the cost key; they belong to one machine and torch version.
"""

import contextlib
import functools
import importlib.metadata
import math
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from covidcore import storage
from covidcore.errors import DataError
from covidcore.training.recipe import Recipe

_ASK_AGAIN_SECONDS = 600.0  # a probe that died is not started again at once
_STARTING_SECONDS = 10.0  # until a probe's process holds its lock
_CROWDED = 1.25

LARGEST_BATCH = 32
"""Images a step up to which a step of convolutions is timed; beyond, an image costs the same."""


@dataclass(frozen=True)
class Rates:
    """Seconds for each part of a run; None where it was not measured."""

    start: float
    """From the worker's begin to its first batch: imports, network, weights, first kernels."""
    finish: float
    """After the last epoch: calibration, figures, the result's files."""
    plain: float | None
    """An image through the frozen part."""
    varied: float | None
    """The same with an augmentation before it."""
    train: float
    """An image of full size in a training step, its reading included."""
    validate: float
    """An image of the validation set."""
    save: float
    """The checkpoint after an epoch."""
    precision: str
    """fp32 or bf16, as ``auto`` was resolved."""
    origin: str = "probe"
    """probe, or run: learnt from one that is finished."""
    crowding: float = 1.0
    """How many times as long it took because other programs had the processors."""
    measured: float = 0.0
    """When, in seconds since 1970."""

    @property
    def passing(self) -> bool:
        """Whether this was measured in bad conditions and is worth measuring again."""
        return self.crowding > _CROWDED and time.time() - self.measured > _ASK_AGAIN_SECONDS


def cost_key(recipe: Recipe) -> str:
    """What the rates depend on, beside the machine."""
    # A step of a linear head is mostly the step's own cost, so its images count one by one.
    batch = recipe.batch_size
    if recipe.trainable != "head":
        batch = min(batch, LARGEST_BATCH)
    return " ".join(
        (
            recipe.arch,
            recipe.trainable,
            f"{recipe.image_size}px",
            f"batch {batch}",
            f"augment {recipe.augment}",
            recipe.precision,
            f"{recipe.threads or os.cpu_count() or 1} threads",
        )
    )


@functools.cache
def machine() -> str:
    """This machine with its torch: rates of another one are not used."""
    try:
        torch = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        torch = "none"
    return f"{platform.node()} {platform.machine()} {os.cpu_count()} cpu torch {torch}"


def reading_key(fingerprint: str, image_size: int) -> str:
    """Names how long an image of a dataset takes to read; that depends on its files."""
    return f"{fingerprint} {image_size}px"


class RateFile:
    """``<home>/rates.json``: for each machine the costs by key, and seconds to read an image."""

    def __init__(self, home: Path) -> None:
        self._path = home / "rates.json"

    def costs(self) -> dict[str, Rates]:
        """The rates measured on this machine, by cost key."""
        found = {}
        for key, values in self._mine()["costs"].items():
            with contextlib.suppress(TypeError):  # damaged, or of another version
                found[key] = Rates(**values)
        return found

    def reading(self) -> dict[str, float]:
        """Seconds to read and resize an image, by ``reading_key``."""
        return {k: float(v) for k, v in self._mine()["reading"].items() if isinstance(v, float)}

    def keep(self, key: str, rates: Rates) -> None:
        """Store what was measured; it is not waited for any more."""
        self._change({"costs": {key: asdict(rates)}, "asked": {key: None}})

    def keep_reading(self, key: str, seconds: float) -> None:
        """Store how long an image takes to read."""
        self._change({"reading": {key: float(seconds)}})

    def note_asked(self, keys: Iterable[str], ago: float = 0.0) -> None:
        """Leave word that a probe was sent for these, so that no second one is."""
        self._change({"asked": {key: time.time() - ago for key in keys}})

    def forget_asked(self) -> None:
        """A probe goes before its time: what it did not measure may be asked for again."""
        self._change({"asked": dict.fromkeys(self._mine()["asked"])})

    def asked(self, key: str) -> bool:
        """Whether a probe was sent for this a short while ago and has not answered."""
        return self._since(key) < _ASK_AGAIN_SECONDS

    def just_asked(self) -> bool:
        """Whether a probe was sent that may not have come to work yet."""
        return any(self._since(key) < _STARTING_SECONDS for key in self._mine()["asked"])

    def _since(self, key: str) -> float:
        when = self._mine()["asked"].get(key)
        age = time.time() - when if isinstance(when, int | float) else math.inf
        return age if age >= 0 else math.inf  # the clock was set back: nobody knows how long ago

    def _mine(self) -> dict[str, dict[str, Any]]:
        mine = self._read().get(machine())
        kept = mine if isinstance(mine, dict) else {}
        parts = {name: kept.get(name) for name in ("costs", "reading", "asked")}
        return {name: dict(part) if isinstance(part, dict) else {} for name, part in parts.items()}

    def _read(self) -> dict[str, Any]:
        try:
            return dict(storage.read_json(self._path))
        except (DataError, TypeError, ValueError):
            return {}

    def _change(self, values: dict[str, dict[str, Any]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path.with_name(".rates.lock")):
            mine = self._mine()
            for part, new in values.items():
                mine[part] = {k: v for k, v in (mine[part] | new).items() if v is not None}
            storage.write_json(self._path, {**self._read(), machine(): mine})
