"""Curves over epochs: one run's training beside its validation, and several runs compared."""

from collections.abc import Mapping
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from covidcore.chart_style import PALETTE, empty, figure, label
from covidcore.errors import DataError

Metric = Literal["loss", "accuracy"]

MOST_RUNS = len(PALETTE)
"""How many runs one chart compares: beyond that, colours would stand for two runs."""

_NOTHING = "No finished epoch yet"


def learning_curves(history: pd.DataFrame, metric: Metric) -> go.Figure:
    """Training and validation curves; columns epoch, train_<metric> and val_<metric>."""
    _check(metric)
    if history.empty:
        return empty(_NOTHING)
    drawn = figure(legend=True)
    parts = (("train", "Training", PALETTE[0], "dot"), ("val", "Validation", PALETTE[1], "solid"))
    for part, name, colour, dash in parts:
        drawn.add_scatter(
            x=history["epoch"],
            y=history[f"{part}_{metric}"],
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            hoverinfo="text",
            hovertext=_hovers(history, part, metric),
        )
    return _over_epochs(drawn, metric, len(history))


def compare_curves(histories: Mapping[str, pd.DataFrame], metric: Metric) -> go.Figure:
    """Curves of several runs, by name: validation solid, training dotted, thinner and paler.

    Each run has the colour of its place, also while others have no epoch yet. The legend shows
    and hides both curves of a run at once.
    Raises: DataError where there are more runs than ``MOST_RUNS``.
    """
    _check(metric)
    if len(histories) > MOST_RUNS:
        raise DataError(
            f"{len(histories)} runs can not be told apart on one chart: choose {MOST_RUNS} or less."
        )
    if all(history.empty for history in histories.values()):
        return empty(_NOTHING)
    drawn = figure(legend=True)
    for at, (name, history) in enumerate(histories.items()):
        for part in () if history.empty else ("train", "val"):
            validates = part == "val"
            drawn.add_scatter(
                x=history["epoch"],
                y=history[f"{part}_{metric}"],
                name=label(name),
                legendgroup=str(at),  # names may be alike once they are cut short
                showlegend=validates,
                mode="lines+markers",
                marker={"size": 6 if validates else 3},
                line={
                    "color": PALETTE[at],
                    "dash": "solid" if validates else "dot",
                    "width": 2 if validates else 1,
                },
                opacity=1 if validates else 0.7,
                hoverinfo="text",
                hovertext=[f"{label(name)}<br>{text}" for text in _hovers(history, part, metric)],
            )
    _over_epochs(drawn, metric, max(map(len, histories.values())))
    return drawn.update_xaxes(title="Epoch (solid: validation, dotted: training)")


def _check(metric: str) -> None:
    if metric not in ("loss", "accuracy"):
        raise DataError(f"{metric!r} is not drawn; choose 'loss' or 'accuracy'.")


def _hovers(history: pd.DataFrame, part: str, metric: Metric) -> list[str]:
    """What each point of a curve is, in words."""
    noun = {"train": "training", "val": "validation"}[part]
    return [
        f"Epoch {epoch}: {noun} {metric} "
        + (f"{value:.1%}" if metric == "accuracy" else f"{value:.4f}")
        for epoch, value in zip(history["epoch"], history[f"{part}_{metric}"], strict=True)
    ]


def _over_epochs(drawn: go.Figure, metric: Metric, epochs: int) -> go.Figure:
    drawn.update_xaxes(title="Epoch", tickformat="d", dtick=1 if epochs < 12 else None)
    if metric == "accuracy":
        return drawn.update_yaxes(title="Accuracy", tickformat=".0%")
    return drawn.update_yaxes(title="Loss (cross-entropy, nats)")
