"""Pictures that are no radiographs, drawn or cut out of photographs, for ``benchmarks.gate``.

All grey but where it says so: colour would give them away.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from covidcore.data.phantoms import PhantomSpec, draw

SIDE = 384
_WORDS = ("the", "lungs", "of", "a", "patient", "were", "seen", "clear", "without", "finding")

CHESTS = "this program's chest phantoms"

Maker = Callable[[np.random.Generator, int], Image.Image]


def impostors(each: int, folders: list[Path]) -> Iterator[tuple[str, bytes]]:
    """``each`` pictures a kind as (kind, PNG), and every picture in the folders, also made grey."""
    for kind, make in KINDS.items():
        for number in range(each):
            yield kind, png(make(np.random.default_rng((each, number, len(kind))), number))
    for folder in folders:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            try:
                with Image.open(path) as opened:
                    image = opened.convert("RGB")
            except Exception:  # these folders hold damaged files, too
                continue
            if min(image.size) >= 64 and max(image.size) <= 3000:
                yield f"{folder.name}, as they are", png(image)
                yield f"{folder.name}, made grey", png(image.convert("L"))


def png(image: Image.Image) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _photograph(chance: np.random.Generator, number: int) -> Image.Image:
    """A part of one of the two photographs that scikit-learn ships."""
    from sklearn.datasets import load_sample_images

    whole = load_sample_images().images[number % 2]
    side = int(chance.integers(160, 400))
    y, x = (int(chance.integers(0, length - side)) for length in whole.shape[:2])
    return Image.fromarray(whole[y : y + side, x : x + side])


def _grey_photograph(chance: np.random.Generator, number: int) -> Image.Image:
    return _photograph(chance, number).convert("L")


def _text(chance: np.random.Generator, number: int) -> Image.Image:
    """A page, black on white or white on black."""
    paper = 255 if number % 2 else 0
    page = Image.new("L", (SIDE, SIDE), paper)
    pen, size = ImageDraw.Draw(page), int(chance.integers(9, 28))
    font = ImageFont.load_default(size)
    for y in range(10, SIDE - size, int(size * 1.5)):
        line = " ".join(chance.choice(_WORDS, 12))
        pen.text((12, y), line, fill=255 - paper, font=font)
    return page


def _drawing(chance: np.random.Generator, number: int) -> Image.Image:
    """Lines, ellipses and polygons."""
    page = Image.new("L", (SIDE, SIDE), int(chance.integers(0, 256)))
    pen = ImageDraw.Draw(page)
    for _ in range(int(chance.integers(3, 25))):
        box = chance.integers(0, SIDE, 4)
        corners = [*np.sort(box[::2]), *np.sort(box[1::2])]
        shape = [int(corners[0]), int(corners[2]), int(corners[1]) + 1, int(corners[3]) + 1]
        fill, width = int(chance.integers(0, 256)), int(chance.integers(1, 12))
        kind = chance.integers(0, 3)
        if kind == 0:
            pen.line(shape, fill=fill, width=width)
        elif kind == 1:
            pen.ellipse(shape, fill=fill)
        else:
            pen.polygon(
                [tuple(map(int, point)) for point in chance.integers(0, SIDE, (4, 2))], fill
            )
    return page


def _noise(chance: np.random.Generator, number: int) -> Image.Image:
    """White noise, and clouds of it."""
    page = Image.fromarray(chance.integers(0, 256, (SIDE, SIDE), dtype=np.uint8))
    blurred = page.filter(ImageFilter.GaussianBlur(number % 5 * 8))
    levels = np.asarray(blurred, float)
    levels = (levels - levels.min()) / max(np.ptp(levels), 1) * 255
    return Image.fromarray(levels.astype(np.uint8))


def _gradient(chance: np.random.Generator, number: int) -> Image.Image:
    """From one side to another, or from a point."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    if number % 2:
        levels = np.hypot(y - chance.random(), x - chance.random())
    else:
        turn = chance.random() * 2 * np.pi
        levels = np.cos(turn) * x + np.sin(turn) * y
    levels = (levels - levels.min()) / np.ptp(levels)
    return Image.fromarray((levels ** chance.uniform(0.5, 2) * 255).astype(np.uint8))


def _ellipses(chance: np.random.Generator, number: int) -> Image.Image:
    """Shepp and Logan's head, moved and stretched a little. Source: Shepp & Logan 1974."""
    y, x = np.mgrid[1 : -1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    image = np.zeros((SIDE, SIDE))
    stretch, shift = chance.uniform(0.8, 1.2, 2), chance.uniform(-0.1, 0.1, 2)
    for level, a, b, x0, y0, degrees in _HEAD:
        turn = np.deg2rad(degrees)
        u, v = x * stretch[0] - x0 - shift[0], y * stretch[1] - y0 - shift[1]
        across = (u * np.cos(turn) + v * np.sin(turn)) / a
        along = (v * np.cos(turn) - u * np.sin(turn)) / b
        image[across**2 + along**2 <= 1] += level
    return Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))


def _phantom(chance: np.random.Generator, number: int) -> Image.Image:
    """This program's own: made to look like a chest, and yet none."""
    spec = PhantomSpec(size=SIDE)
    label = spec.classes[number % len(spec.classes)]
    return Image.fromarray(draw(spec, label, number, number, spec.sources[number % 2], False)[0])


_HEAD = (
    (1.0, 0.69, 0.92, 0, 0, 0),
    (-0.8, 0.6624, 0.874, 0, -0.0184, 0),
    (-0.2, 0.11, 0.31, 0.22, 0, -18),
    (-0.2, 0.16, 0.41, -0.22, 0, 18),
    (0.1, 0.21, 0.25, 0, 0.35, 0),
    (0.1, 0.046, 0.046, 0, 0.1, 0),
    (0.1, 0.046, 0.023, -0.08, -0.605, 0),
    (0.1, 0.023, 0.046, 0.06, -0.605, 0),
)

KINDS: dict[str, Maker] = {
    "photographs in colour": _photograph,
    "photographs in grey": _grey_photograph,
    "text pages": _text,
    "drawings": _drawing,
    "noise": _noise,
    "gradients": _gradient,
    "head phantoms": _ellipses,
    CHESTS: _phantom,
}
