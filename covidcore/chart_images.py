"""Charts about images before any model: counts in two ways, grey levels, differences of means."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from covidcore.chart_style import PALETTE, class_colours, empty, figure, ink, label

_STEP = 4  # grey levels a step: 64 steps are as many as a chart of this size can show
_LARGEST_SIDE = 112  # cells; twice as many are more than a screen has pixels for


def stacked(counts: pd.DataFrame, unit: str = "images") -> go.Figure:
    """Lying bars, one a row of ``counts`` (the first on top), a part a column, in class colours."""
    if counts.empty or not counts.to_numpy().sum():
        return empty("No images yet")
    places, drawn = list(range(len(counts))), figure(legend=True)
    colours = class_colours(list(counts.columns))
    totals = counts.sum(axis=1).tolist()
    for name in counts.columns:
        values = counts[name].tolist()
        rgb = np.array([int(colours[name][at : at + 2], 16) for at in (1, 3, 5)], dtype=float)
        drawn.add_bar(
            x=values,
            y=places,
            orientation="h",
            name=label(name),
            marker={"color": colours[name]},
            text=[f"{value:,}" if value else "" for value in values],
            textposition="inside",
            insidetextanchor="middle",
            insidetextfont={"color": ink(rgb)},
            textangle=0,
            constraintext="inside",
            hoverinfo="text",
            hovertext=[
                f"{label(row)}, {label(name)}: {value:,} {unit} "
                f"({value / max(total, 1):.1%} of {total:,})"
                for row, value, total in zip(counts.index, values, totals, strict=True)
            ],
        )
    drawn.update_layout(barmode="stack", height=110 + 44 * len(counts), bargap=0.35)
    # A figure that would not fit its part of the bar is told on hover, and not drawn at 4 pixels.
    drawn.update_layout(
        legend={"traceorder": "normal"}, uniformtext={"minsize": 10, "mode": "hide"}
    )
    drawn.update_xaxes(title=unit.capitalize(), rangemode="tozero")
    return drawn.update_yaxes(
        tickvals=places,
        ticktext=[label(name) for name in counts.index],
        showgrid=False,
        zeroline=False,
        range=[len(counts) - 0.5, -0.5],
    )


def grey_levels(counts: Mapping[str, npt.ArrayLike]) -> go.Figure:
    """Share of the pixels by grey level: name -> how often each of 256 occurs."""
    values = {name: np.asarray(part, dtype=np.float64) for name, part in counts.items()}
    if not any(part.sum() for part in values.values()):
        return empty("No pixels yet")
    several = len(values) > 1
    drawn, colours = figure(legend=several), class_colours(list(values))
    edges = np.arange(0, 257, _STEP)
    for name, part in values.items():
        shares = part.reshape(-1, _STEP).sum(axis=1) / max(part.sum(), 1)
        who = f"{label(name)}: " if several else ""
        hovers = [
            f"{who}{share:.1%} of the pixels from {low} to {high - 1}"
            for share, low, high in zip(shares, edges[:-1], edges[1:], strict=True)
        ]
        drawn.add_scatter(
            x=np.repeat(edges, 2)[1:-1],
            y=np.repeat(shares, 2),
            name=label(name),
            mode="lines",
            fill=None if several else "tozeroy",
            line={"color": colours[name]},
            hoverinfo="text",
            hovertext=np.repeat(hovers, 2),
        )
    drawn.update_xaxes(title="Grey level (0 black, 255 white)", range=[0, 256], dtick=64)
    return drawn.update_yaxes(title="Share of the pixels", tickformat=".1~%", rangemode="tozero")


def difference(values: npt.ArrayLike, unit: str, more: str, less: str) -> go.Figure:
    """A signed picture ``(S, S)``, upright: by how much ``more`` is brighter than ``less``.

    The scale is symmetrical and reaches to the largest value, so white is no difference.
    """
    grid = _averaged(np.asarray(values, dtype=np.float64))
    top = float(np.abs(grid).max()) or 1.0
    title = f"{label(more)} brighter than {label(less)}, {unit}"
    heat = go.Heatmap(
        z=grid.astype(np.float32),
        zmin=-top,
        zmax=top,
        colorscale=[[0, PALETTE[0]], [0.5, "#f7f7f7"], [1, PALETTE[1]]],
        colorbar={
            "orientation": "h",
            "y": 0,
            "yanchor": "top",
            "thickness": 12,
            "tickvals": [-0.99 * top, 0, 0.99 * top],  # a tick at the very end may not be drawn
            "ticktext": [f"{-top:.2g}", "0", f"+{top:.2g}"],
            "title": {"text": title, "side": "bottom"},
        },
        hovertemplate=f"%{{z:.2f}} {unit}<extra></extra>",
    )
    drawn = figure(heat).update_layout(height=480)
    drawn.update_xaxes(visible=False, constrain="domain")
    return drawn.update_yaxes(visible=False, autorange="reversed", scaleanchor="x")


def _averaged(grid: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means of blocks, so that a picture has at most 112 cells a side."""
    side = len(grid)
    step = -(-side // _LARGEST_SIDE)
    if step == 1 or side % step:
        return grid
    blocks: Sequence[int] = (side // step, step, side // step, step)
    return np.asarray(grid.reshape(blocks).mean(axis=(1, 3)))
