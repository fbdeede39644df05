"""Plotly figures of an audit: sources against classes, rules without lungs, children."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from covidcore.chart_style import CLEAR, PALETTE, QUIET, empty, figure, ink, label, ramp

Interval = tuple[float | None, float | None]

MOST_SOURCES = 40
_RIGHT = 0.8
"""From here on a share is written on the left of its point: the axis ends on the right."""


def contingency(counts: pd.DataFrame, dark: bool = False) -> go.Figure:
    """Images of each source (rows) and class (columns).

    A cell's colour is its share of the source's images: one full cell in a row means that whoever
    knows the source knows the class. Of more than 40 sources the largest are drawn. ``dark`` is
    the ground of the page.
    """
    if counts.empty:
        return empty("No images yet")
    order = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index
    shown = counts.loc[order[:MOST_SOURCES]]
    table = shown.to_numpy(dtype=np.float64)
    shares = table / table.sum(axis=1, keepdims=True)
    names = [label(name) for name in shown.index]
    classes = [label(name) for name in shown.columns]
    ticks = [name.replace(" ", "<br>") for name in classes]  # on a phone they would overlap
    ends = ramp(dark)
    heat = go.Heatmap(
        z=shares,
        zmin=0,
        zmax=1,
        colorscale=[[at, f"rgb({r:g},{g:g},{b:g})"] for at, (r, g, b) in enumerate(ends)],
        showscale=False,
        xgap=2,
        ygap=2,
        hoverinfo="text",
        hovertext=[
            [
                f"{source}: {count:,.0f} images of {name}<br>{share:.1%} of the source's"
                for name, count, share in zip(classes, row, of_row, strict=True)
            ]
            for source, row, of_row in zip(names, table, shares, strict=True)
        ],
    )
    drawn = figure(heat).update_layout(height=80 + 44 * len(names))
    for row, column in np.ndindex(*table.shape):
        colour = ink(ends[0] + (ends[1] - ends[0]) * shares[row, column])
        drawn.add_annotation(
            x=column,
            y=row,
            text=f"{table[row, column]:,.0f}",
            showarrow=False,
            font={"color": colour, "size": 14},
        )
    drawn.update_xaxes(
        tickvals=list(range(len(classes))), ticktext=ticks, showgrid=False, zeroline=False
    )
    return drawn.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=names,
        showgrid=False,
        zeroline=False,
        range=[len(names) - 0.5, -0.5],
    )


def rules(
    names: Sequence[str],
    shares: Sequence[float | None],
    intervals: Sequence[Interval],
    usual: float,
) -> go.Figure:
    """How often rules are right that see no lungs, on one axis, with their 95 % intervals.

    ``usual``, a dashed line, is the share of the largest class. A rule without a share is left out.
    """
    rows = [
        (label(name), float(share), *ends)
        for name, share, ends in zip(names, shares, intervals, strict=True)
        if share is not None
    ]
    if not rows:
        return empty("Nothing to compare")
    drawn = figure()
    drawn.add_vline(x=usual, line={"color": QUIET, "dash": "dash"})
    drawn.add_scatter(
        x=[share for _, share, *_ in rows],
        y=list(range(len(rows))),
        mode="markers",
        marker={"size": 7, "color": [QUIET if low is None else PALETTE[0] for *_, low, _ in rows]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [None if high is None else high - share for _, share, _, high in rows],
            "arrayminus": [None if low is None else share - low for _, share, low, _ in rows],
            "color": PALETTE[0],
            "thickness": 2,
            "width": 8,
        },
        hoverinfo="text",
        hovertext=[
            f"{name}: {share:.1%}"
            + ("" if low is None or high is None else f" (95 %: {low:.1%} to {high:.1%})")
            for name, share, low, high in rows
        ],
    )
    on_the_right = [share <= _RIGHT for _, share, *_ in rows]
    drawn.add_scatter(  # beyond the interval, which would cross the figure out
        x=[
            (high if right else low) if low is not None else share
            for (_, share, low, high), right in zip(rows, on_the_right, strict=True)
        ],
        y=list(range(len(rows))),
        mode="text",
        text=[f"  {share:.1%}  " for _, share, *_ in rows],
        textposition=["middle right" if right else "middle left" for right in on_the_right],
        cliponaxis=False,
        hoverinfo="skip",
    )
    drawn.update_layout(height=90 + 58 * len(rows))
    drawn.update_xaxes(title="Images told right", range=[0, 1.03], tickformat=".0%", dtick=0.25)
    return drawn.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[name for name, *_ in rows],
        range=[len(rows) - 0.5, -0.7],
        showgrid=False,
        zeroline=False,
    )


def children(parts: Mapping[str, Mapping[str, int]]) -> go.Figure:
    """Images that are proven to be of children, and of unknown age, of each source or class.

    ``parts``: name -> ``{"children": images, "unknown": images}``.
    """
    if not parts:
        return empty("No images yet")
    names = [label(name) for name in parts]
    drawn = figure(legend=True)
    for kind, title, colour in (
        ("children", "of children, proven", PALETTE[1]),
        ("unknown", "age not known", "rgba(128,128,128,0.45)"),
    ):
        counts = [part[kind] for part in parts.values()]
        drawn.add_bar(
            x=counts,
            y=list(range(len(names))),
            orientation="h",
            name=title,
            marker={"color": colour, "line": {"color": CLEAR}},
            hoverinfo="text",
            hovertext=[
                f"{name}: {count:,} images {title}"
                for name, count in zip(names, counts, strict=True)
            ],
        )
    drawn.update_layout(barmode="stack", height=110 + 44 * len(names), bargap=0.35)
    drawn.update_xaxes(title="Images", rangemode="tozero")
    return drawn.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=names,
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
