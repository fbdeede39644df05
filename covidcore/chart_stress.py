"""Charts of stress tests: accuracy on parts of the picture, and down the ladder of corruptions."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from covidcore.chart_style import PALETTE, QUIET, arms, empty, figure, label, styled

_LINE, _FALLEN = PALETTE[0], PALETTE[1]
_COLUMNS = 3
_ROW_HEIGHT = 200


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
        annotation={"text": f"chance {chance:.0%}", "font": {"color": QUIET}},
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


def ladder(kinds: Sequence[Mapping[str, Any]], whole: float, fall: float) -> go.Figure:
    """A small chart of each corruption: accuracy by level, the unaltered images first.

    ``kinds``: kind, unit, levels (level, accuracy, accuracy_ci). Levels at which ``fall`` or more
    of the accuracy ``whole`` is lost, below the dotted line, have another colour and shape.
    """
    if not kinds:
        return empty("No corruptions were tried")
    from plotly.subplots import make_subplots

    rows = -(-len(kinds) // _COLUMNS)
    grid = make_subplots(
        rows,
        _COLUMNS,
        subplot_titles=[label(one["kind"]) for one in kinds],
        shared_yaxes=True,
        vertical_spacing=0.4 / rows,
        horizontal_spacing=0.04,
    )
    drawn = styled(grid)
    for at, one in enumerate(kinds):
        _panel(drawn, one, whole, fall, at // _COLUMNS + 1, at % _COLUMNS + 1)
    drawn.update_layout(height=60 + _ROW_HEIGHT * rows, margin={"t": 30})
    return drawn.update_yaxes(range=[-0.03, 1.05], tickformat=".0%")


def _panel(
    drawn: go.Figure, one: Mapping[str, Any], whole: float, fall: float, row: int, column: int
) -> None:
    levels = one["levels"]
    values = [level["accuracy"] for level in levels]
    names = [f"{level['level']:g}" for level in levels]
    fallen = [whole - value >= fall - 1e-9 for value in values]
    colours = [_FALLEN if lost else _LINE for lost in fallen]
    drawn.add_scatter(
        x=["none", *names],
        y=[whole, *values],
        mode="lines+markers",
        line={"color": QUIET, "width": 1},
        marker={
            "color": [_LINE, *colours],
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
        row=row,
        col=column,
    )
    drawn.add_hline(
        y=whole - fall, line={"color": QUIET, "dash": "dot", "width": 1}, row=row, col=column
    )
    drawn.update_xaxes(
        title={"text": label(one["unit"]), "font": {"size": 11}, "standoff": 4},
        type="category",
        showgrid=False,
        row=row,
        col=column,
    )
