"""Curves over epochs: of one run, its training beside its validation."""

from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from covidcore.chart_style import PALETTE, empty, figure
from covidcore.errors import DataError


def learning_curves(history: pd.DataFrame, metric: Literal["loss", "accuracy"]) -> go.Figure:
    """Training and validation curves; columns epoch, train_<metric> and val_<metric>."""
    if metric not in ("loss", "accuracy"):
        raise DataError(f"{metric!r} is not drawn; choose 'loss' or 'accuracy'.")
    if history.empty:
        return empty("No finished epoch yet")
    drawn = figure(legend=True)
    parts = (("train", "Training", PALETTE[0], "dot"), ("val", "Validation", PALETTE[1], "solid"))
    for part, name, colour, dash in parts:
        values = history[f"{part}_{metric}"]
        drawn.add_scatter(
            x=history["epoch"],
            y=values,
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            hoverinfo="text",
            hovertext=[
                f"Epoch {epoch}: {name.lower()} {metric} "
                + (f"{value:.1%}" if metric == "accuracy" else f"{value:.4f}")
                for epoch, value in zip(history["epoch"], values, strict=True)
            ],
        )
    drawn.update_xaxes(title="Epoch", tickformat="d", dtick=1 if len(history) < 12 else None)
    if metric == "accuracy":
        return drawn.update_yaxes(title="Accuracy", tickformat=".0%")
    return drawn.update_yaxes(title="Loss (cross-entropy, nats)")
