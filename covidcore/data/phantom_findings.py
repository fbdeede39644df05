"""What disease adds to the lungs of a synthetic radiograph, and which class gets which pattern.

Every pattern is a field of about 0 to 1 that the caller multiplies by the lungs' air, so that
nothing is ever added outside of the lungs.
"""

import itertools
from collections.abc import Callable

import numpy as np

from covidcore.data.phantom_canvas import Field, View, bump, clouds, ellipse, lines, step
from covidcore.data.phantom_drawing import Anatomy, branches

Pattern = Callable[[View, Anatomy, np.random.Generator], Field]


def patterns(classes: tuple[str, ...]) -> dict[str, Pattern | None]:
    """A pattern of its own for each class, in attenuation; None leaves the lungs healthy.

    Normal lungs, COVID-19 and viral pneumonia are known by name (the first class of each); any
    other class gets dense shadows in lung zones that no other class has.
    """
    known: dict[str, Pattern | None] = {
        "normal": None,
        "covid": lambda *drawn: 0.24 * patches(*drawn),
        "viral": lambda *drawn: 0.25 * streaks(*drawn),
    }
    # 63 sets of zones: first single ones, then pairs, and so on.
    sets = (zones for n in range(1, 7) for zones in itertools.combinations(range(6), n))
    chosen: dict[str, Pattern | None] = {}
    for name in classes:
        kind = next((key for key in known if name.casefold().startswith(key)), None)
        chosen[name] = known.pop(kind) if kind else _shadows(next(sets))
    return chosen


def _shadows(zones: tuple[int, ...]) -> Pattern:
    return lambda view, anatomy, rng: 0.30 * consolidation(view, anatomy, rng, zones)


def patches(view: View, anatomy: Anatomy, rng: np.random.Generator) -> Field:
    """Hazy patches on both sides, near the ribs and low: ground glass. About 0 to 1."""
    haze = np.zeros_like(view.x)
    for side in (-1, 1):
        for _ in range(rng.integers(2, 5)):
            y = rng.uniform(-0.10, 0.50)
            at = (side * anatomy.across(y, rng.uniform(0.62, 0.95)), y)
            half = (rng.uniform(0.06, 0.11), rng.uniform(0.08, 0.15))
            haze += rng.uniform(0.7, 1.2) * bump(view.x, view.y, at, half)
    ragged = np.clip(0.85 + 0.30 * clouds(view.size, 14, rng), 0.2, 1.6)
    drawn: Field = (1 - np.exp(-1.2 * haze)) * ragged
    return drawn


def streaks(view: View, anatomy: Anatomy, rng: np.random.Generator) -> Field:
    """Thickened strands from the lung roots and a net between them: interstitial. About 0 to 1."""
    near = bump(np.abs(view.x), view.y, (0.30, 0.08), (0.20, 0.34))
    paths, weights = branches(rng, 17, 0.75)
    strands = np.minimum(lines(view, paths, np.sqrt(weights), 0.008), 1.3)
    net = np.clip(1 - 2.0 * np.abs(clouds(view.size, 30, rng)), 0, 1)
    return near * (0.28 + 0.40 * net + 0.45 * strands)


def consolidation(
    view: View, anatomy: Anatomy, rng: np.random.Generator, zones: tuple[int, ...]
) -> Field:
    """Dense shadows of whole zones, 0 to 5: upper, middle, lower on the right, then on the left."""
    dense = np.zeros_like(view.x)
    for zone in zones:
        y = (-0.38, 0.02, 0.38)[zone % 3] + rng.uniform(-0.05, 0.05)
        at = ((-1, 1)[zone // 3] * anatomy.across(y, rng.uniform(0.45, 0.65)), y)
        dense += 1.5 * bump(view.x, view.y, at, (rng.uniform(0.12, 0.16), rng.uniform(0.10, 0.14)))
    ragged = 1 + 0.2 * clouds(view.size, 10, rng)
    drawn: Field = (1 - np.exp(-1.5 * dense)) * np.clip(ragged, 0.3, 1.5)
    return drawn


def sign(view: View, anatomy: Anatomy) -> Field:
    """The planted cue in the lungs: a round, dense disc high in the right one. 0 to 1."""
    at = (-anatomy.across(-0.22, 0.6), -0.22)
    return step(ellipse(view.x, view.y, at, (0.075, 0.075)), 0.02)
