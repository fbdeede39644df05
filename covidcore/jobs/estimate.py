"""What a run will take, told before it starts. Knows no torch.

``estimate`` is a pure sum of rates times counts, less what is on disk already. ``forecast`` finds
the rates: a finished run's where there is one like it, else a probe's.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from covidcore.config import Settings, child_environment
from covidcore.data.index import Dataset
from covidcore.data.pixels import is_stored
from covidcore.data.split import parse_fractions
from covidcore.errors import DataError
from covidcore.jobs.learned import learned
from covidcore.jobs.rates import RateFile, Rates, cost_key, reading_key
from covidcore.model.at_hand import at_hand
from covidcore.model.preprocess import Preprocessing
from covidcore.model.weights import Weights
from covidcore.training.recipe import VARIANTS, Recipe
from covidcore.training.sizes import image_sizes
from covidcore.training.stored import FrozenName, is_whole
from covidcore.wording import duration

PROBE_SECONDS = 120.0
"""Longest time that is waited for a probe; it takes about ten seconds for a recipe."""

# Shortest and longest time as shares of the estimate; docs/performance.md has what was found.
_BOUNDS = {"probe": (0.7, 1.8), "run": (0.8, 1.5)}


@dataclass(frozen=True)
class Estimate:
    """Seconds a run will take on this machine while nothing else runs on it."""

    seconds: float
    low: float
    high: float
    parts: dict[str, float]
    """What the seconds are for; they sum to ``seconds``."""
    origin: str
    """``probe``, or ``run``: learnt from a finished one."""

    def __str__(self) -> str:
        """In words, no more exact than it is."""
        low, high = _round(self.low), _round(self.high)
        if low == high:
            return f"about {duration(low)}"
        return f"about {duration(_round(self.seconds))} ({duration(low)} to {duration(high)})"


def estimate(
    recipe: Recipe,
    dataset: Dataset,
    home: Path,
    rates: Rates,
    *,
    weights: Weights | None = None,
    reading: float | None = None,
) -> Estimate | None:
    """The time of a run that begins from nothing, given what its parts take.

    ``reading``: seconds to read an image. ``weights``: where it is known which they will be; else
    nothing counts as computed before. None where a rate that is needed was not measured, and for
    several workers, whose speed together nobody has measured.
    """
    if getattr(recipe, "workers", 1) > 1:
        return None
    images, train, val, test = _counts(recipe, dataset)
    seconds_to_read = 0.0 if is_stored(dataset, recipe.image_size, home) else reading
    plain, varied = _to_compute(recipe, dataset, home, rates.precision, weights)
    if (
        seconds_to_read is None
        or (plain and rates.plain is None)
        or (varied and rates.varied is None)
    ):
        return None
    shares = [
        (size / recipe.image_size) ** 2
        for size in image_sizes(recipe.image_size, recipe.epochs, recipe.progressive)
    ]
    parts = {
        "starting": rates.start,
        "reading images": images * seconds_to_read,
        "features": images * (plain * (rates.plain or 0) + varied * (rates.varied or 0)),
        "training": sum(shares) * train * rates.train + recipe.epochs * rates.save,
        "validation": recipe.epochs * val * rates.validate,
        "evaluation": (val + test) * rates.validate + rates.finish,
    }
    total = sum(parts.values())
    low, high = _BOUNDS[rates.origin]
    shortest = total * low / rates.crowding
    if 0 < recipe.patience < recipe.epochs - 1:
        epochs = parts["training"] + parts["validation"]
        shortest -= low / rates.crowding * epochs * (1 - (recipe.patience + 1) / recipe.epochs)
    return Estimate(total, shortest, total * high, parts, rates.origin)


class Forecaster:
    """Estimates for a home, with what its finished runs and its probe say."""

    def __init__(self, settings: Settings, finished: Iterable[Path] = ()) -> None:
        """``finished``: folders of finished runs, the newest first."""
        self._settings = settings
        file = RateFile(settings.home)
        self._reading, self._probed, self._learned = file.reading(), file.costs(), learned(finished)

    def estimate(self, recipe: Recipe, dataset: Dataset) -> Estimate | None:
        """What a run of ``recipe`` would take here; None where that is not known (yet)."""
        if self._settings.runner != "local":
            return None  # another machine does the work
        rates = _merged(self._learned.get(cost_key(recipe)), self._probed.get(cost_key(recipe)))
        if rates is None:
            return None
        return estimate(
            recipe,
            dataset,
            self._settings.home,
            rates,
            weights=at_hand(recipe.weights, recipe.arch, self._settings),
            reading=self._reading.get(reading_key(dataset.fingerprint, recipe.image_size)),
        )


def to_probe(settings: Settings, dataset: Dataset, recipes: Sequence[Recipe]) -> list[Recipe]:
    """Those of ``recipes`` that a probe could tell more about, one of each cost."""
    file = RateFile(settings.home)
    measured, reading = file.costs(), file.reading()
    found: dict[str, Recipe] = {}
    for recipe in recipes:
        key = cost_key(recipe)
        unread = reading_key(dataset.fingerprint, recipe.image_size) not in reading and (
            not is_stored(dataset, recipe.image_size, settings.home)
        )
        if (key not in measured or measured[key].passing or unread) and not file.asked(key):
            found.setdefault(key, recipe)
    return list(found.values()) if settings.runner == "local" else []


def start_probe(
    settings: Settings, dataset: Dataset, recipes: Sequence[Recipe]
) -> "subprocess.Popen[bytes] | None":
    """Measure ``recipes`` in a process of its own; None where one is at work already.

    In a public demo nothing is measured: a finished run tells enough; nor where the home can only
    be read, or its disk is full, for nothing could be kept of it.
    """
    if settings.demo or not recipes or probing(settings):
        return None
    try:
        RateFile(settings.home).note_asked(map(cost_key, recipes))
    except (OSError, DataError):
        return None
    home = str(settings.home)
    asked = [json.dumps(recipe.to_json()) for recipe in recipes]
    return subprocess.Popen(
        [sys.executable, "-m", "covidcore.jobs.probe", home, dataset.fingerprint, *asked],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=child_environment(),
    )


def probing(settings: Settings) -> bool:
    """Whether a probe is at work for this home, or about to be."""
    if RateFile(settings.home).just_asked():
        return True
    path = probe_lock(settings.home)
    if not path.is_file():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def probe_lock(home: Path) -> Path:
    """The file whose lock a probe holds while it is at work."""
    return home / ".probe.lock"


def _counts(recipe: Recipe, dataset: Dataset) -> tuple[int, float, float, float]:
    """Images in all, and about how many are in each set (groups may move a few)."""
    kept = int((~dataset.index["source"].isin(recipe.exclude_sources)).sum())
    train, val, test = (share * kept for share in parse_fractions(recipe.split))
    return len(dataset.index), train, val, test


def _to_compute(
    recipe: Recipe, dataset: Dataset, home: Path, precision: str, weights: Weights | None
) -> tuple[int, int]:
    """How many passes over all images the frozen part still has to do: plain, and varied."""
    if recipe.trainable == "all":
        return 0, 0
    variants = range(VARIANTS if recipe.augment != "none" else 1)
    missing = list(variants)
    if weights is not None:
        mean, std = (tuple(map(float, three)) for three in (weights.mean, weights.std))
        spec = Preprocessing(recipe.image_size, mean, std)  # type: ignore[arg-type]
        name = FrozenName(recipe.arch, recipe.trainable, weights.id, spec, precision)
        missing = [
            variant
            for variant in variants
            if not is_whole(name.path(variant, dataset.fingerprint, home))
        ]
    plain = int(0 in missing)
    return plain, len(missing) - plain


def _merged(run: Rates | None, probe: Rates | None) -> Rates | None:
    """A run's rates, with a probe's for what the run found on disk."""
    if run is None or probe is None:
        return run or probe
    plain = probe.plain if run.plain is None else run.plain
    varied = probe.varied if run.varied is None else run.varied
    return replace(run, plain=plain, varied=varied)


def _round(seconds: float) -> float:
    """To a step that fits the size: 5 s below two minutes, then 10 s, then minutes."""
    step = 5 if seconds < 120 else 10 if seconds < 600 else 60
    return max(step, round(seconds / step) * step)


def parts_in_words(parts: Mapping[str, float]) -> str:
    """The parts worth naming, the longest first: ``training 40 s, features 12 s``."""
    worth = sorted(((s, name) for name, s in parts.items() if s >= 1), reverse=True)
    return ", ".join(f"{name} {duration(seconds)}" for seconds, name in worth)
