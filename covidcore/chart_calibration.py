"""Reliability diagrams: stated confidence against how often it was right, over counts of images."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from covidcore.chart_style import PALETTE, QUIET, empty, figure
from covidcore.proportions import wilson


def reliability(table: pd.DataFrame, uncorrected: pd.DataFrame | None = None) -> go.Figure:
    """Accuracy against confidence, a point a bin with its interval; on the line is right.

    Below: how many images each bin holds. Tables are what ``evaluation.calibration.reliability``
    returns; ``uncorrected`` is of the probabilities before the temperature.
    """
    if not (table["n"] > 0).any():
        return empty("No answers to compare")
    drawn = figure(legend=True).add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="Calibrated",
        hoverinfo="skip",
        line={"color": QUIET, "dash": "dash"},
    )
    if uncorrected is not None:
        _add(drawn, uncorrected, "Before the temperature", PALETTE[1], "square-open", "dot")
    _add(drawn, table, "Model", PALETTE[0], "circle", "solid")
    drawn.update_layout(
        height=460,
        barmode="group",
        xaxis={
            "range": [0, 1.02],
            "tickformat": ".0%",
            "title": "Confidence (probability of the answer)",
            "anchor": "y2",
        },
        yaxis={
            "range": [0, 1.04],
            "tickformat": ".0%",
            "title": "Accuracy (share right)",
            "domain": [0.3, 1],
        },
        yaxis2={"domain": [0, 0.22], "title": "Images", "automargin": True},
    )
    return drawn.update_layout(yaxis2={"gridcolor": "rgba(128,128,128,0.25)", "nticks": 3})


def _add(
    drawn: go.Figure, table: pd.DataFrame, name: str, colour: str, symbol: str, dash: str
) -> None:
    filled = table[table["n"] > 0]
    n = filled["n"].to_numpy()
    right = np.rint(filled["accuracy"] * n).astype(int)
    ends = np.array([wilson(int(k), int(of)) for k, of in zip(right, n, strict=True)])
    about = [
        f"{name}<br>{images:,} images: {sure:.1%} sure on average, {share:.1%} right "
        f"({low:.1%} to {high:.1%})"
        for images, sure, share, (low, high) in zip(
            n, filled["confidence"], filled["accuracy"], ends, strict=True
        )
    ]
    drawn.add_scatter(
        x=filled["confidence"],
        y=filled["accuracy"],
        mode="lines+markers",
        name=name,
        legendgroup=name,
        marker={"size": 9, "color": colour, "symbol": symbol},
        line={"color": colour, "width": 1, "dash": dash},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": ends[:, 1] - filled["accuracy"],
            "arrayminus": filled["accuracy"] - ends[:, 0],
            "thickness": 1,
            "width": 3,
        },
        hoverinfo="text",
        hovertext=about,
    )
    drawn.add_bar(
        x=(table["bin_low"] + table["bin_high"]) / 2,
        y=table["n"],
        yaxis="y2",
        name=name,
        legendgroup=name,
        showlegend=False,
        marker={"color": colour, "line": {"width": 0}},
        hoverinfo="text",
        hovertext=[
            f"{name}<br>{row.n:,} images are {row.bin_low:.0%} to {row.bin_high:.0%} sure"
            for row in table.itertuples()
        ],
    )
