"""The confusion matrix as a file to take away: SVG or PNG, black on white, without a browser.

For a paper or a slide: what the page draws follows the page's theme, and plotly needs a browser
of its own to write a file.
"""

import html
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from covidcore.chart_style import Floats, ink, ramp
from covidcore.wording import visible

_PALE, _DEEP = ramp()
_CELL, _LEFT, _TOP, _EDGE = 120, 190, 34, 16
_FONT = 15
_LONGEST = 22
_SCALE = 2  # of the PNG: sharp in print


class _Text(NamedTuple):
    x: float
    y: float
    words: str
    anchor: str
    """"middle" or "end"."""
    colour: str = "#000000"


class _Cell(NamedTuple):
    x: float
    y: float
    colour: str


def matrix_svg(confusion: npt.ArrayLike, classes: Sequence[str], share: str = "counts") -> str:
    """A confusion matrix ``(C, C)`` as an SVG document.

    ``share``: "counts", or "rows" or "columns" for shares of the truth or of the answer.
    """
    width, height = _size(classes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="{_FONT}">',
        "<title>Confusion matrix</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for item in _layout(confusion, classes, share):
        if isinstance(item, _Cell):
            parts.append(
                f'<rect x="{item.x}" y="{item.y}" width="{_CELL}" height="{_CELL}" '
                f'fill="{item.colour}" stroke="#ffffff" stroke-width="2"/>'
            )
        else:
            parts.append(
                f'<text x="{item.x}" y="{item.y}" text-anchor="{item.anchor}" '
                f'dominant-baseline="central" fill="{item.colour}">{html.escape(item.words)}</text>'
            )
    return "\n".join([*parts, "</svg>", ""])


def matrix_png(confusion: npt.ArrayLike, classes: Sequence[str], share: str = "counts") -> bytes:
    """The same as a PNG file of twice the size."""
    size = tuple(side * _SCALE for side in _size(classes))
    picture = Image.new("RGB", (size[0], size[1]), "#ffffff")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_FONT * _SCALE)
    for item in _layout(confusion, classes, share):
        x, y = item.x * _SCALE, item.y * _SCALE
        if isinstance(item, _Cell):
            end = _CELL * _SCALE
            pen.rectangle((x, y, x + end, y + end), item.colour, "#ffffff", 2 * _SCALE)
        else:
            anchor = "mm" if item.anchor == "middle" else "rm"
            pen.text((x, y), item.words, item.colour, font, anchor)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _size(classes: Sequence[str]) -> tuple[int, int]:
    side = _CELL * len(classes)
    return _LEFT + side + _EDGE, _TOP + side + 2 * _TOP


def _layout(
    confusion: npt.ArrayLike, classes: Sequence[str], share: str
) -> Iterator[_Cell | _Text]:
    """Everything that is drawn, in order."""
    counts = np.asarray(confusion, dtype=np.float64)
    values = counts if share == "counts" else _shares(counts, share)
    top = float(np.nanmax(values, initial=0)) if share == "counts" else 1.0
    names = [_short(name) for name in classes]
    bottom = _TOP + _CELL * len(names)
    yield _Text(_LEFT - 10, _TOP / 2, "Truth", "end")
    for row, name in enumerate(names):
        middle = _TOP + _CELL * (row + 0.5)
        yield _Text(_LEFT - 10, middle, name, "end")
        for column in range(len(names)):
            value = float(values[row, column])
            colour = _PALE + (_DEEP - _PALE) * (0 if np.isnan(value) or not top else value / top)
            x = _LEFT + _CELL * column
            yield _Cell(x, _TOP + _CELL * row, _hex(colour))
            yield _Text(x + _CELL / 2, middle, _number(value, share), "middle", ink(colour))
    for column, name in enumerate(names):
        yield _Text(_LEFT + _CELL * (column + 0.5), bottom + _TOP / 2, name, "middle")
    yield _Text(_LEFT + _CELL * len(names) / 2, bottom + 1.4 * _TOP, "Answer", "middle")


def _shares(counts: Floats, of: str) -> Floats:
    whole = counts.sum(axis=1 if of == "rows" else 0, keepdims=True)
    return counts / np.where(whole > 0, whole, np.nan)


def _number(value: float, share: str) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:,.0f}" if share == "counts" else f"{value:.1%}"


def _short(name: str) -> str:
    seen = visible(name)
    return seen if len(seen) <= _LONGEST else seen[: _LONGEST - 1] + "…"


def _hex(rgb: Floats) -> str:
    return "#" + "".join(f"{round(float(part)):02x}" for part in rgb)
