"""Plotly figures: a table in, a figure out. Pages, the report and notebooks draw with these.

No titles inside (the page has headings), units on the axes, plain words on hover.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from covidcore.chart_calibration import reliability as reliability
from covidcore.chart_curves import MOST_RUNS as MOST_RUNS  # offered to pages from here
from covidcore.chart_curves import compare_curves as compare_curves
from covidcore.chart_curves import learning_curves as learning_curves
from covidcore.chart_images import difference as difference
from covidcore.chart_images import grey_levels as grey_levels
from covidcore.chart_images import stacked as stacked
from covidcore.chart_style import CLEAR, Floats, bars, empty, figure, ink, ramp
from covidcore.chart_style import PALETTE as PALETTE
from covidcore.chart_style import class_colours as class_colours
from covidcore.chart_style import label as label
from covidcore.errors import DataError

Normalise = Literal["counts", "rows", "columns"]


def class_counts(index: pd.DataFrame, classes: Sequence[str] | None = None) -> go.Figure:
    """Images of each class, as bars; ``index`` has the column label."""
    if index.empty:
        return empty("No images yet")
    names = _names(index, classes)
    counts = [int((index["label"] == name).sum()) for name in names]
    hovers = [
        f"{label(name)}: {count:,} images ({count / len(index):.1%})"
        for name, count in zip(names, counts, strict=True)
    ]
    drawn = bars(names, counts, [f"{count:,}" for count in counts], hovers)
    # Room for the text beside the longest bar, which would be cut off at the end of the axis.
    return drawn.update_xaxes(title="Images", range=[0, 1.2 * max(counts, default=1) or 1])


def matrix(
    confusion: npt.ArrayLike,
    classes: Sequence[str],
    normalise: Normalise = "counts",
    hide_diagonal: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Confusion matrix ``(C, C)``, rows the truth, first class on top.

    Each cell carries a clear marker with ``customdata=(truth, predicted)``, in class order: a
    heatmap alone gives Streamlit no selection. ``hide_diagonal`` blanks the right answers and
    scales the colour to the largest error. A share of nothing is shown as a dash. On a dark page
    (``dark``) few is dark and many is light.
    """
    if normalise not in ("counts", "rows", "columns"):
        raise DataError(f"{normalise!r} is not drawn; choose 'counts', 'rows' or 'columns'.")
    counts = np.asarray(confusion, dtype=np.float64)
    if counts.sum() == 0:
        return empty("No answers to count")
    shown = counts.copy() if normalise == "counts" else _shares(counts, normalise)
    hidden = np.eye(len(classes), dtype=bool) & hide_diagonal
    visible = shown[~hidden & ~np.isnan(shown)]
    top = float(visible.max(initial=0)) if hide_diagonal or normalise == "counts" else 1.0
    heat = go.Heatmap(
        z=np.where(hidden, np.nan, shown),
        zmin=0,
        zmax=top or 1.0,
        colorscale=[[at, f"rgb({r:g},{g:g},{b:g})"] for at, (r, g, b) in enumerate(ramp(dark))],
        showscale=False,
        hoverinfo="skip",
        xgap=2,
        ygap=2,
    )
    drawn = figure(heat, _cell_markers(counts, classes))
    drawn.update_layout(
        annotations=list(_cell_texts(shown, hidden, top or 1.0, normalise, ramp(dark))),
        hoverdistance=-1,  # without a limit, a click anywhere in a cell finds that cell's marker
        height=min(900, 140 + 90 * len(classes)),
    )
    names, ends = [label(name) for name in classes], [-0.5, len(classes) - 0.5]
    for axis, title, limits in (("x", "Predicted", ends), ("y", "Truth", ends[::-1])):
        drawn.update_layout({f"{axis}axis": {"title": title, "range": limits}})
    cells = {"tickvals": list(range(len(names))), "showgrid": False, "zeroline": False}
    # Beside controls the columns are narrow, and a name that has no room would be left out.
    below = [name.replace(" ", "<br>", 1) for name in names]
    return drawn.update_xaxes(cells, ticktext=below).update_yaxes(cells, ticktext=names)


def sizes(index: pd.DataFrame, classes: Sequence[str] | None = None) -> go.Figure:
    """Share of each class's images by longer side; columns label, width, height (pixels)."""
    if index.empty:
        return empty("No images yet")
    longer = index[["width", "height"]].max(axis=1)
    low, high = float(longer.min()), float(longer.max())
    edges = np.linspace(np.floor(low), np.floor(high) + 1, 31 if high > low else 2)
    values = {n: longer[index["label"] == n].tolist() for n in _names(index, classes)}
    return _outlines(values, edges, "pixels").update_xaxes(title="Longer side (pixels)")


def brightness(values: Mapping[str, Sequence[float]]) -> go.Figure:
    """Share of each class's images by mean grey value (0 black, 255 white): class -> means."""
    drawn = _outlines(values, np.linspace(0, 256, 33), "grey levels")
    return drawn.update_xaxes(title="Mean brightness (grey level, 0-255)")


def probability_bars(probabilities: Mapping[str, float]) -> go.Figure:
    """The model's probability of each class, in the order given."""
    if not probabilities:
        return empty("No probabilities")
    texts = [f"{value:.1%}" for value in probabilities.values()]
    hovers = [
        f"{label(name)}: probability {text}"
        for name, text in zip(probabilities, texts, strict=True)
    ]
    drawn = bars(list(probabilities), list(probabilities.values()), texts, hovers)
    # The numbers stand right of the bars, also where a card is as narrow as a telephone.
    ticks = [0, 0.25, 0.5, 0.75, 1]
    return drawn.update_xaxes(title="Probability", range=[0, 1.3], tickformat=".0%", tickvals=ticks)


def _names(index: pd.DataFrame, classes: Sequence[str] | None) -> list[str]:
    return list(classes) if classes is not None else sorted(set(index["label"]))


def _shares(counts: Floats, of: Normalise) -> Floats:
    """Share of each row or column, NaN where it is empty."""
    whole = counts.sum(axis=1 if of == "rows" else 0, keepdims=True)
    return counts / np.where(whole > 0, whole, np.nan)


def _cell_markers(counts: Floats, classes: Sequence[str]) -> go.Scatter:
    """Clear squares over the cells: what a pointer hovers over and clicks."""
    cells = [(row, column) for row in range(len(classes)) for column in range(len(classes))]
    of_truth = np.nan_to_num(_shares(counts, "rows"))
    return go.Scatter(
        x=[column for _, column in cells],
        y=[row for row, _ in cells],
        mode="markers",
        marker={"symbol": "square", "size": 40, "color": CLEAR, "line": {"width": 0}},
        selected={"marker": {"color": "rgba(230,159,0,0.45)"}},
        unselected={"marker": {"color": CLEAR}},
        customdata=[(classes[row], classes[column]) for row, column in cells],
        hoverinfo="text",
        hovertext=[
            f"{label(classes[row])} answered {label(classes[column])}: {counts[row, column]:,.0f} "
            f"images<br>{of_truth[row, column]:.1%} of the images that are {label(classes[row])}"
            for row, column in cells
        ],
    )


def _cell_texts(
    shown: Floats,
    hidden: npt.NDArray[np.bool_],
    top: float,
    normalise: Normalise,
    ends: tuple[Floats, Floats],
) -> Iterator[dict[str, Any]]:
    """The figure in each cell, in black or white, whichever reads better on the cell's colour."""
    for row, column in zip(*np.nonzero(~hidden), strict=True):
        value = float(shown[row, column])
        if np.isnan(value):
            text, colour = "-", None
        else:
            text = f"{value:,.0f}" if normalise == "counts" else f"{value:.1%}"
            colour = ink(ends[0] + (ends[1] - ends[0]) * value / top)
        yield {
            "x": int(column),
            "y": int(row),
            "text": text,
            "showarrow": False,
            "font": {"color": colour, "size": 15},
        }


def _outlines(values: Mapping[str, Sequence[float]], edges: Floats, unit: str) -> go.Figure:
    """One stepped outline a class, each summing to 100 %, so that rare classes show too."""
    if not any(len(numbers) for numbers in values.values()):
        return empty("No images yet")
    drawn, colours = figure(legend=True), class_colours(list(values))
    for name, numbers in values.items():
        counts, _ = np.histogram(np.asarray(numbers, dtype=np.float64), edges)
        hovers = [
            f"{label(name)}: {count:,} images from {low:.0f} to {high:.0f} {unit}"
            for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
        ]
        drawn.add_scatter(
            x=np.repeat(edges, 2)[1:-1],
            y=np.repeat(counts / max(len(numbers), 1), 2),
            name=label(name),
            mode="lines",
            line={"color": colours[name]},
            hoverinfo="text",
            hovertext=np.repeat(hovers, 2),
        )
    return drawn.update_yaxes(
        title="Share of the class's images", tickformat=".0%", rangemode="tozero"
    )
