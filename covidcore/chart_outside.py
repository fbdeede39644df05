"""Charts of a run beyond its one split: on another dataset, and over folds of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from covidcore.chart_style import PALETTE, QUIET, arms, empty, figure, label
from covidcore.errors import DataError

_INSIDE, _OUTSIDE = PALETTE[0], PALETTE[1]
_APART = 0.16  # of a row, between the two points on it


def inside_and_outside(rows: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Each figure on the run's own test images and elsewhere, with intervals; the first on top.

    Of each row inside, inside_ci, inside_n and the same of outside, as `evaluation.outside.drop`
    has it. A line joins the two.
    """
    if not rows:
        return empty("No images to compare")
    drawn = figure(legend=True)
    for at, one in enumerate(rows.values()):
        ends = [one["inside"], one["outside"]]
        drawn.add_scatter(
            x=ends,
            y=[at - _APART, at + _APART],
            mode="lines",
            line={"color": QUIET, "width": 1, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
        )
    for side, name, colour, shift in (
        ("inside", "Own test images", _INSIDE, -_APART),
        ("outside", "This dataset", _OUTSIDE, _APART),
    ):
        _points(drawn, rows, side, name, colour, shift)
    return _rows(drawn, list(rows)).update_xaxes(
        title="Share right, with 95 % intervals", range=[-0.02, 1.02], tickformat=".0%"
    )


def _points(
    drawn: go.Figure,
    rows: Mapping[str, Mapping[str, Any]],
    side: str,
    name: str,
    colour: str,
    shift: float,
) -> None:
    values = [one[side] for one in rows.values()]
    bounds = [one[f"{side}_ci"] for one in rows.values()]
    drawn.add_scatter(
        x=values,
        y=[at + shift for at in range(len(rows))],
        mode="markers",
        name=name,
        marker={"color": colour, "size": 10},
        error_x=arms(values, bounds, colour),
        hoverinfo="text",
        hovertext=[
            f"{label(title)}<br>{name}: {one[side]:.1%} of {one[f'{side}_n']:,}"
            for title, one in rows.items()
        ],
    )


def _rows(drawn: go.Figure, names: Sequence[str]) -> go.Figure:
    drawn.update_layout(height=110 + 56 * len(names))
    return drawn.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[label(name) for name in names],
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )


def fold_spread(
    ways: Mapping[str, Mapping[str, Any]], singles: Mapping[str, Mapping[str, Any]]
) -> go.Figure:
    """Accuracy of each fold of each way to divide, the mean with its interval, and single splits.

    ``ways``: accuracy, ci and per_fold of each; ``singles``: accuracy and accuracy_ci.
    Raises: DataError where there is nothing to draw.
    """
    if not ways:
        raise DataError("There are no folds to draw.")
    drawn = figure(legend=True)
    folds = [(at, value) for at, one in enumerate(ways.values()) for value in one["per_fold"]]
    drawn.add_scatter(
        x=[value for _, value in folds],
        y=[at + _jitter(number) for number, (at, _) in enumerate(folds)],
        mode="markers",
        name="A fold",
        marker={"color": PALETTE[5], "size": 6, "opacity": 0.7},
        hoverinfo="text",
        hovertext=[f"One fold: {value:.1%}" for _, value in folds],
    )
    _means(drawn, ways, "ci", 0, "Mean of all folds", _INSIDE)
    _means(drawn, singles, "accuracy_ci", len(ways), "One split", _OUTSIDE)
    return _rows(drawn, [*ways, *singles]).update_xaxes(
        title="Accuracy, with 95 % intervals", tickformat=".1%"
    )


def _jitter(number: int) -> float:
    """A height within a row; the same for the same fold each time the chart is drawn."""
    return 0.13 + 0.27 * (number * 0.618034 % 1)


def _means(
    drawn: go.Figure,
    rows: Mapping[str, Mapping[str, Any]],
    bounds: str,
    first: int,
    name: str,
    colour: str,
) -> None:
    values = [one["accuracy"] for one in rows.values()]
    drawn.add_scatter(
        x=values,
        y=[first + at - (0.1 if bounds == "ci" else 0) for at in range(len(rows))],
        mode="markers",
        name=name,
        marker={"color": colour, "size": 10},
        error_x=arms(values, [one[bounds] for one in rows.values()], colour),
        hoverinfo="text",
        hovertext=[
            f"{label(title)}: {one['accuracy']:.1%} ({one[bounds][0]:.1%} to {one[bounds][1]:.1%})"
            for title, one in rows.items()
        ],
    )
