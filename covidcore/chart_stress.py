"""Charts of stress tests: accuracy on parts of the picture, and by level of a corruption."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from covidcore.chart_style import PALETTE, QUIET, arms, empty, figure, label

_LINE, _FALLEN = PALETTE[0], PALETTE[1]
_HEIGHT = 210


def parts(rows: Mapping[str, Mapping[str, Any]], chance: float) -> go.Figure:
    """Accuracy with its interval of each row, the first on top; a line where chance is.

    Of each row accuracy and accuracy_ci.
    """
    if not rows:
        return empty("No images to look at")
    names, figures = list(rows), list(rows.values())
    values = [one["accuracy"] for one in figures]
    drawn = figure()
    drawn.add_scatter(
        x=values,
        y=list(range(len(names))),
        mode="markers",
        marker={"color": _LINE, "size": 11},
        error_x=arms(values, [one["accuracy_ci"] for one in figures], _LINE),
        hoverinfo="text",
        hovertext=[
            f"{label(name)}: {one['accuracy']:.1%} "
            f"({one['accuracy_ci'][0]:.1%} to {one['accuracy_ci'][1]:.1%})"
            for name, one in rows.items()
        ],
    )
    drawn.add_vline(
        x=chance,
        line={"color": QUIET, "dash": "dash", "width": 1},
        annotation={"text": f"chance {chance:.0%}"},
    )
    drawn.update_layout(height=100 + 46 * len(names), margin={"t": 30})
    drawn.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[label(name) for name in names],
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    return drawn.update_xaxes(
        title="Accuracy, with 95 % intervals", range=[-0.02, 1.02], tickformat=".0%"
    )


def corruption(one: Mapping[str, Any], whole: float, fall: float) -> go.Figure:
    """Accuracy of one corruption by level, the unaltered images first.

    ``one``: kind, unit, levels (level, accuracy, accuracy_ci). Levels at which ``fall`` or more of
    the accuracy ``whole`` is lost, below the dotted line, have another colour and shape.
    """
    levels = one["levels"]
    values = [level["accuracy"] for level in levels]
    names = [f"{level['level']:g}" for level in levels]
    fallen = [whole - value >= fall - 1e-9 for value in values]
    drawn = figure()
    drawn.add_scatter(
        x=["none", *names],
        y=[whole, *values],
        mode="lines+markers",
        line={"color": QUIET, "width": 1},
        marker={
            "color": [_LINE, *(_FALLEN if lost else _LINE for lost in fallen)],
            "symbol": ["circle", *("diamond" if lost else "circle" for lost in fallen)],
            "size": 9,
        },
        error_y=arms(
            [whole, *values], [(whole, whole), *(at["accuracy_ci"] for at in levels)], QUIET
        ),
        hoverinfo="text",
        hovertext=[
            f"unaltered: {whole:.1%}",
            *(
                f"{label(one['kind'])} {name} {label(one['unit'])}: {value:.1%}"
                for name, value in zip(names, values, strict=True)
            ),
        ],
    )
    drawn.add_hline(y=whole - fall, line={"color": QUIET, "dash": "dot", "width": 1})
    drawn.update_layout(height=_HEIGHT, margin={"t": 10})
    drawn.update_xaxes(title=label(one["unit"]), type="category", showgrid=False)
    return drawn.update_yaxes(range=[-0.03, 1.05], tickformat=".0%")
