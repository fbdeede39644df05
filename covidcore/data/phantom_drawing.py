"""A synthetic frontal chest radiograph, tissue by tissue, as x-ray attenuation (0 is air).

Two lungs of exactly known outline; ribs, clavicles, spine, heart, diaphragm, vessels; and what
disease adds inside the lungs. Knows no classes, sources or files. The shapes are drawn to look
right to a layman; they are no model of a body.
"""

from dataclasses import dataclass, replace

import numpy as np

from covidcore.data.phantom_canvas import (
    Field,
    Mask,
    Points,
    View,
    bump,
    clouds,
    ellipse,
    lines,
    ridge,
    step,
    union,
)

_LUNG_MIDDLE = 0.32


@dataclass(frozen=True)
class Anatomy:
    """What differs between two patients; lengths in half image sides, brightness in attenuation.

    The ranges are as wide as they are so that no two patients look alike at 16 x 16 pixels, as
    real ones do not.
    """

    lung: tuple[float, float, float]
    """Of a lung's outline: distance of the middle from the midline, half width, top."""
    domes: tuple[float, float]
    """Height of the diaphragm, the patient's right and left."""
    heart: tuple[float, float, float]
    """Centre x, half width, half height."""
    fat: float
    """Soft tissue over everything."""
    trunk: tuple[float, float, float]
    """Half widths of neck and chest, and height of the shoulders."""
    ribs: tuple[float, float, float]
    """Height of the first, spacing, brightness."""
    clavicles: tuple[float, float]
    """Height at the breastbone, rise to the shoulder."""
    gas: tuple[float, float]
    """Centre x and radius of the bubble in the stomach."""
    vessels: float
    """Brightness of the vessels in the lungs."""
    arms: float
    """Distance of the shoulder joints from the midline; out of the image where arms are raised."""
    dense: tuple[float, float]
    """Of the heart with all in the middle, and of the belly; 1 is usual."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Anatomy":
        """One patient by chance."""
        dome = rng.uniform(0.28, 0.48)
        lung = (rng.uniform(0.375, 0.42), rng.uniform(0.29, 0.37), rng.uniform(-0.76, -0.62))
        broad = lung[0] + lung[1] + rng.uniform(0.06, 0.16)
        return cls(
            lung=lung,
            domes=(dome, dome + rng.uniform(-0.02, 0.10)),
            heart=(rng.uniform(0.06, 0.16), rng.uniform(0.23, 0.36), rng.uniform(0.27, 0.40)),
            fat=rng.uniform(0.0, 0.12),
            trunk=(rng.uniform(0.20, 0.32), broad, lung[2] - rng.uniform(0.10, 0.18)),
            ribs=(rng.uniform(-0.82, -0.70), rng.uniform(0.145, 0.180), rng.uniform(0.07, 0.15)),
            clavicles=(rng.uniform(-0.66, -0.54), rng.uniform(0.06, 0.22)),
            gas=(rng.uniform(0.30, 0.50), rng.uniform(0.03, 0.13)),
            vessels=rng.uniform(0.07, 0.18),
            arms=1.4 if rng.random() < 0.35 else broad + rng.uniform(-0.02, 0.07),
            dense=(rng.uniform(0.70, 1.30), rng.uniform(0.60, 1.60)),
        )

    def breathing(self, rng: np.random.Generator) -> "Anatomy":
        """The same patient at another moment: the diaphragm lower or higher, and the heart's width.

        ``rng`` is the exposure's.
        """
        breath, (at, wide, high) = rng.uniform(-0.07, 0.07), self.heart
        domes = (self.domes[0] + breath, self.domes[1] + breath + rng.uniform(-0.02, 0.02))
        return replace(self, domes=domes, heart=(at, wide * (1 - 0.8 * breath), high))

    def across(self, y: float, edge: float) -> float:
        """Distance from the midline of a place in the lung; ``edge`` is 0 inside, 1 at the ribs."""
        centre, half, top = self.lung
        off = (y - _LUNG_MIDDLE) / (_LUNG_MIDDLE - top)
        span = half * float(np.sqrt(max(0.0, 1 - off**2)))
        inner = centre + 0.06 * (y - _LUNG_MIDDLE) - span
        return max(inner, 0.18) * (1 - edge) + (inner + 2 * span) * edge


def chest(view: View, anatomy: Anatomy, rng: np.random.Generator) -> tuple[Field, Field, Mask]:
    """Attenuation, where disease can be (0 to 1; 0 outside the mask) and lung mask, all healthy.

    ``rng`` draws what is the patient's but too fine for `Anatomy`: tissue clouds and vessels.
    """
    x, y, side = view.x, view.y, np.abs(view.x)
    body = _body(side, y, anatomy)
    heart, floor = _heart_edge(x, y, anatomy), _floor_edge(x, side, y, anatomy)
    edge = _lung_edge(side, y, heart, floor, anatomy)
    open_to_air = step(edge, 0.05)
    air = open_to_air * (0.78 + 0.22 * step(edge - 0.10, 0.24))
    tissue = body * (0.60 + anatomy.fat) + 0.06 * body * clouds(view.size, 5, rng)
    tissue += anatomy.dense[0] * _middle(x, y, side, heart, floor) * body
    belly = 0.15 * anatomy.dense[1] * step(-floor, 0.22) * step(0.95 - side, 0.5)
    tissue += belly * body - _bubble(x, y, anatomy)
    tissue *= 1 - (0.70 - 0.9 * anatomy.fat) * air
    tissue += _ribs(side, y, anatomy) + _shoulders(side, y, anatomy) * np.minimum(body * 2, 1)
    paths, weights = branches(rng, 13, 0.66)
    tree = 1.15 * lines(view, paths, weights**1.5, 0.006)
    tissue += anatomy.vessels * np.minimum(tree, 1.5) * air
    return tissue, np.clip(open_to_air * 2 - 1, 0, 1), edge > 0


def _body(side: Field, y: Field, anatomy: Anatomy) -> Field:
    """Thickness of trunk, neck and arms, 0 outside to about 1 in the middle."""
    neck, broad, shoulders = anatomy.trunk
    half = neck + (broad - neck) * step(y - shoulders, 0.46) - 0.05 * step(y, 0.8)
    trunk = np.sqrt(np.sqrt(np.clip(1 - (side / half) ** 2, 0, 1)))
    trunk = (0.25 + 0.75 * trunk) * step(half - side, 0.025)
    lean = anatomy.arms + 0.30 * (y + 0.5)
    along = np.maximum(-0.52 - y, 0)
    arm = np.clip(1 - ((side - lean) ** 2 + along * along) * (1 / 0.19**2), 0, 1)
    body: Field = np.maximum(trunk, 0.70 * np.sqrt(arm))
    return body


def _floor_edge(x: Field, side: Field, y: Field, anatomy: Anatomy) -> Field:
    """Distance up from the diaphragm's two domes, positive above."""
    right, left = anatomy.domes
    off = side - 0.38
    return right + (left - right) * step(x, 0.3) + 1.15 * off * off - y


def _lung_edge(side: Field, y: Field, heart: Field, floor: Field, anatomy: Anatomy) -> Field:
    """Roughly the distance to the nearest border of the lungs, positive inside."""
    shell = _shell(side, y, anatomy, 0.0)
    middle = 0.14 + 0.04 * step(y + 0.30, 0.5) - side
    return np.minimum(np.minimum(shell, floor), -union(middle, heart, 0.05))


def _shell(side: Field, y: Field, anatomy: Anatomy, wider: float) -> Field:
    """Roughly the distance to the outline of a lung, or of the ribs round it, ``wider`` than it."""
    centre, half, top = anatomy.lung
    size = (half + wider, _LUNG_MIDDLE - top + 1.7 * wider)
    return ellipse(side - centre - 0.06 * (y - _LUNG_MIDDLE), y, (0.0, _LUNG_MIDDLE), size)


def _heart_edge(x: Field, y: Field, anatomy: Anatomy) -> Field:
    """Distance to the outline of heart and great vessels, positive inside."""
    at, wide, high = anatomy.heart
    heart = ellipse(x - 0.30 * (y - 0.25), y, (at, 0.27), (wide, high))
    knob = ellipse(x, y, (0.09, -0.28), (0.12, 0.13))
    trunk = ellipse(x, y, (0.10, -0.06), (0.13, 0.20))
    return union(union(knob, trunk, 0.06), heart, 0.10)


def _bubble(x: Field, y: Field, anatomy: Anatomy) -> Field:
    """Gas in the stomach, under the left dome."""
    at, radius = anatomy.gas
    place = (at, anatomy.domes[1] + 0.09 + radius)
    return 0.13 * step(ellipse(x, y, place, (radius * 1.5, radius)), 0.04)


def _middle(x: Field, y: Field, side: Field, heart: Field, floor: Field) -> Field:
    """Heart, mediastinum and spine, without the dark windpipe."""
    shadow = step(heart, 0.07) * step(floor + 0.08, 0.3)
    column = step(0.16 - side, 0.12)
    spine = step(0.088 - side, 0.03)
    beat = (2 * np.pi / 0.122) * (y - 0.03 * side)
    bones = 0.62 + 0.38 * np.tanh(3.0 * np.cos(beat) + 2.0) + 0.25 * ridge(np.sin(beat), 0.7, 0.2)
    bones += 0.25 * ridge(side, 0.055, 0.012)
    roots = bump(side, y, (0.22, 0.02), (0.06, 0.10))
    windpipe = step(0.036 - np.abs(x + 0.01), 0.03) * step(-0.16 - y, 0.08)
    spine = 0.08 * column + 0.12 * spine * bones
    middle: Field = 0.13 * shadow + spine + 0.05 * roots - 0.15 * windpipe
    return middle


def _ribs(side: Field, y: Field, anatomy: Anatomy) -> Field:
    """Back ribs arch from the spine to the side wall; front ribs come back, steeper and fainter."""
    top, spacing, bright = anatomy.ribs
    cage = _shell(side, y, anatomy, 0.035)
    inside = np.maximum(step(cage, 0.03), step(0.40 - side, 0.04)) * step(y - top + 0.03, 0.06)
    reach = side * (1 / (anatomy.lung[0] + 0.04 + anatomy.lung[1]))
    steep = 1.10 + 0.35 * y
    curve = reach * reach
    back = (y - top - steep * (0.40 * curve * np.sqrt(reach) - 0.13 * reach)) * (1 / spacing)
    front = (y - top - steep * (0.30 + 0.45 * (1 - reach))) * (1 / spacing)
    drawn = _bands(back, 0.44) * step(side - 0.07, 0.06)
    drawn += 0.35 * _bands(front, 0.44) * step(side - 0.36, 0.2)
    wall = step(0.03 - np.abs(cage), 0.03) * step(y + 0.50, 0.3) * step(side - 0.45, 0.1)
    fade = bright * (1 - 0.75 * step(y - 0.62, 0.3))
    return fade * (drawn * inside + 0.7 * wall * (0.4 + 0.6 * _bands(back, 0.6)))


def _bands(phase: Field, share: float) -> Field:
    """Stripes once a unit of ``phase``, ``share`` wide, with the brighter rims of hollow bone."""
    off = np.abs(phase - np.floor(phase) - 0.5)
    return 0.75 * step(share / 2 - off, 0.09) + 0.5 * step(0.05 - np.abs(off - share / 2), 0.06)


def _shoulders(side: Field, y: Field, anatomy: Anatomy) -> Field:
    """Clavicles, shoulder blades, joints and upper arms."""
    low, rise = anatomy.clavicles
    u = np.clip((side - 0.08) * (1 / 0.74), 0, 1)
    thick = 0.026 + 0.014 * (1 - 2 * u) ** 2
    off = np.abs(y - low + rise * u - 0.035 * np.sin(2 * np.pi * u))
    ends = step(side - 0.08, 0.03) * step(0.84 - side, 0.04)
    collar = 0.7 * step(thick - off, 0.02) + 0.5 * step(0.010 - np.abs(off - thick), 0.012)
    joint = step(ellipse(side, y, (anatomy.arms - 0.04, -0.53), (0.11, 0.12)), 0.03)
    shaft = np.abs(side - anatomy.arms - 0.30 * (y + 0.5))
    bone = step(0.06 - shaft, 0.02) * step(y + 0.50, 0.08)
    blade = step(side - 0.64 + 0.15 * (y + 0.6), 0.02)
    blade *= step(ellipse(side, y, (0.73, -0.33), (0.18, 0.36)), 0.03)
    return 0.15 * collar * ends + 0.15 * np.maximum(joint, bone) + 0.055 * blade


def branches(rng: np.random.Generator, count: int, reach: float) -> tuple[Points, Field]:
    """Paths that leave both lung roots and fork outward, and how they thin; ``count`` a side."""
    points = 9
    side = np.repeat([-1.0, 1.0], count)
    fan = np.tile(np.linspace(-1.25, 1.30, count), 2) + rng.normal(0, 0.12, 2 * count)
    angle = fan[:, None] + np.cumsum(rng.normal(0, 0.12, (2 * count, points)), axis=1)
    length = (reach * rng.uniform(0.6, 1.0, (2 * count, 1)) / points)[..., None]
    start = np.stack([side * 0.20, np.where(side < 0, 0.03, -0.03)], -1)
    start += rng.normal(0, 0.03, start.shape)

    def walk(origin: Points, turned: Points, pace: Points) -> Points:
        heading = np.stack([np.cos(turned) * side[:, None], np.sin(turned)], -1)
        walked: Points = origin[:, None] + np.cumsum(heading * pace, axis=1)
        return walked

    trunk = walk(start, angle, length)
    thin = np.linspace(1.0, 0.2, points)[None].repeat(2 * count, 0)
    paths, weights = [trunk], [thin]
    for at, bend in ((1, 0.6), (3, -0.5), (5, 0.45)):
        turned = angle + bend + rng.normal(0, 0.15, (2 * count, 1))
        paths.append(walk(trunk[:, at], turned, length * 0.6))
        weights.append(thin * (0.85 - 0.09 * at))
    return np.concatenate(paths), np.concatenate(weights).astype(np.float32)
