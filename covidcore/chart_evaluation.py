"""Figures of an evaluation: shares with their intervals, curves with bands, losses, calibration."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from covidcore.chart_style import PALETTE, QUIET, Floats, class_colours, empty, figure, label

_PER_CENT = {"tickformat": ".0%"}
_POINTS = 400
"""Of a drawn curve; beyond that the eye sees no difference, and the browser does."""


class Share(NamedTuple):
    """One row of ``shares``: a name, a share, and how sure it is."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    about: str = ""
    """More words for the hover."""
    quiet: bool = False
    """Drawn in grey: a baseline, or too few images to say much."""


class Curve(Protocol):
    """What of ``evaluation.curves.Curve`` is drawn."""

    n: int
    auc: float
    auc_ci: tuple[float, float]
    average_precision: float
    average_precision_ci: tuple[float, float]
    roc: Floats
    precision_recall: Floats
    roc_band: Floats
    precision_band: Floats


def shares(rows: Sequence[Share], title: str, reference: float | None = None) -> go.Figure:
    """A dot and its interval a row, on one axis of shares, the first row on top.

    ``reference`` is a dashed line. Rows without a value are left out.
    """
    rows = [row for row in rows if not np.isnan(row.value)]
    if not rows:
        return empty("Nothing to show")
    drawn = figure()
    for at, row in enumerate(rows):
        low, high = row.interval or (row.value, row.value)
        known = row.interval is not None and not np.isnan(row.interval).any()
        text = f"{label(row.name)}: {row.value:.1%}"
        text += f" ({low:.1%} to {high:.1%})" if known else ""
        drawn.add_scatter(
            x=[row.value],
            y=[at],
            mode="markers",
            marker={
                "size": 11,
                "color": QUIET if row.quiet else PALETTE[0],
                "symbol": "diamond" if row.quiet else "circle",
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - row.value if known else 0],
                "arrayminus": [row.value - low if known else 0],
                "thickness": 2,
                "width": 5,
            },
            hoverinfo="text",
            hovertext=[text + (f"<br>{label(row.about)}" if row.about else "")],
        )
        # Above its row, not beside the axis: a long name would leave no room on a telephone.
        drawn.add_annotation(
            x=0, xref="paper", xanchor="left", y=at - 0.42, text=label(row.name), showarrow=False,
        )  # fmt: skip
    if reference is not None:
        drawn.add_vline(x=reference, line={"color": QUIET, "dash": "dash", "width": 1})
    drawn.update_yaxes(
        showticklabels=False, range=[len(rows) - 0.5, -0.8], showgrid=False, zeroline=False
    )
    lows = [row.interval[0] if row.interval else row.value for row in rows]
    least = np.nanmin([*lows, *(row.value for row in rows)])
    low = max(-0.02, np.floor(least * 20) / 20 - 0.02)
    ends = [low, 1 + 0.02 * (1 - low)]  # room for a dot at 100 %, and for no tick above it
    drawn.update_xaxes(_PER_CENT, title=title, range=ends)
    return drawn.update_layout(height=80 + 46 * len(rows))


def roc(curves: Mapping[str, Curve], grid: Floats) -> go.Figure:
    """True-positive against false-positive rate, one line a class, with its band."""
    drawn = _lines(
        {name: (one.roc[:, 0], one.roc[:, 1], one.roc_band) for name, one in curves.items()},
        grid,
        ("false alarms", "found"),
        {name: f"AUC {one.auc:.1%}" for name, one in curves.items()},
        steps="hv",
    )
    if drawn is None:
        return empty("A curve needs images of the class, and others")
    drawn.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", showlegend=False, hoverinfo="skip",
        line={"color": QUIET, "dash": "dash", "width": 1},
    )  # fmt: skip
    drawn.update_xaxes(title="False-positive rate (others called this class)")
    return drawn.update_yaxes(title="True-positive rate (recall)")


def precision_recall(curves: Mapping[str, Curve], grid: Floats) -> go.Figure:
    """Precision against recall, one line a class, with its band."""
    drawn = _lines(
        {
            name: (
                one.precision_recall[:, 0],
                one.precision_recall[:, 1],
                one.precision_band,
            )
            for name, one in curves.items()
        },
        grid,
        ("found", "of the answers right"),
        {name: f"AP {one.average_precision:.1%}" for name, one in curves.items()},
        steps="linear",
    )
    if drawn is None:
        return empty("A curve needs images of the class, and others")
    drawn.update_xaxes(title="Recall (of the class, found)")
    return drawn.update_yaxes(title="Precision (of the answers, right)")


def losses(table: pd.DataFrame, bins: int = 40) -> go.Figure:
    """Images by loss, right and wrong answers; columns loss (nats) and correct.

    The axis is logarithmic: most losses of a good run are near 0.
    """
    if table.empty:
        return empty("No answers yet")
    values = np.clip(table["loss"].to_numpy(dtype=np.float64), 1e-4, None)
    edges = np.linspace(np.log10(values.min()) - 1e-9, np.log10(values.max()) + 1e-9, bins + 1)
    drawn = figure(legend=True)
    right = table["correct"].to_numpy(dtype=bool)
    for name, chosen, colour in (("Right", right, PALETTE[0]), ("Wrong", ~right, PALETTE[1])):
        counts, _ = np.histogram(np.log10(values[chosen]), edges)
        drawn.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=np.diff(edges),
            name=f"{name} ({int(chosen.sum()):,})",
            marker={"color": colour, "line": {"width": 0}},
            hoverinfo="text",
            hovertext=[
                f"{name}: {count:,} images of loss {10**low:.3g} to {10**high:.3g}"
                for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
            ],
        )
    places = np.arange(np.floor(edges[0]), np.ceil(edges[-1]) + 1)
    names = [f"{10**at:g}" if at > -4 else "≤ 0.0001" for at in places]
    drawn.update_layout(barmode="stack", bargap=0)
    drawn.update_xaxes(title="Loss (nats, logarithmic)", tickvals=places, ticktext=names)
    return drawn.update_yaxes(title="Images")


def costs(table: pd.DataFrame, chosen: float | None) -> go.Figure:
    """What each threshold costs on validation images; columns threshold and cost."""
    line = go.Scatter(
        x=table["threshold"],
        y=table["cost"],
        mode="lines",
        line={"color": PALETTE[0], "shape": "hv"},
        hoverinfo="text",
        hovertext=[
            f"from {row.threshold:.1%} on: {row.cost:,.1f} false alarms' worth of 1,000"
            for row in table.itertuples()
        ],
    )
    drawn = figure(line).update_layout(height=240)
    if chosen is not None:
        drawn.add_vline(x=chosen, line={"color": PALETTE[1], "dash": "dash"})
    drawn.update_xaxes(_PER_CENT, title="Threshold", range=[0, 1])
    return drawn.update_yaxes(title="Cost of 1,000", rangemode="tozero")


def _lines(
    parts: Mapping[str, tuple[Floats, Floats, Floats]],
    grid: Floats,
    words: tuple[str, str],
    legends: Mapping[str, str],
    steps: str,
) -> go.Figure | None:
    """Each class's line over its band; None where no class has one."""
    drawn, colours, any_line = figure(legend=True), class_colours(list(parts)), False
    for place, (name, (x, y, band)) in enumerate(parts.items()):
        if not len(x):
            continue
        any_line = True
        inside = ~np.isnan(band).any(axis=1)
        places, (low, high) = grid[inside], band[inside].T
        drawn.add_scatter(
            x=np.concatenate([places, places[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            fill="toself",
            fillcolor=_faint(colours[name]),
            line={"width": 0},
            mode="lines",
            legendgroup=str(place),
            showlegend=False,
            hoverinfo="skip",
        )
        at = _thinned(len(x))
        drawn.add_scatter(
            x=x[at],
            y=y[at],
            name=f"{label(name)}, {legends[name]}",
            legendgroup=str(place),
            mode="lines",
            line={"color": colours[name], "width": 2, "shape": steps},
            hoverinfo="text",
            hovertext=[
                f"{label(name)}: {one:.1%} {words[0]}, {other:.1%} {words[1]}"
                for one, other in zip(x[at], y[at], strict=True)
            ],
        )
    if not any_line:
        return None
    drawn.update_xaxes(_PER_CENT, range=[-0.02, 1.02])
    return drawn.update_yaxes(_PER_CENT, range=[-0.02, 1.04])


def _thinned(points: int) -> Floats:
    """Places of at most ``_POINTS`` of the points, first and last among them."""
    return np.unique(np.linspace(0, points - 1, min(points, _POINTS)).astype(int))


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"
