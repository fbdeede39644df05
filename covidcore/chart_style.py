"""The look that all charts share: colours, escaped names, bare figures, bars.

Names come from files, and plotly renders a subset of HTML: each goes through ``label`` first.
"""

import html
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

Floats = npt.NDArray[np.float64]

PALETTE = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#009E73",  # green
    "#CC79A7",  # purple
    "#E69F00",  # orange
    "#56B4E9",  # sky
    "#999999",  # grey
    "#F0E442",  # yellow
)
"""Safe for colour-blind eyes. Source: Okabe & Ito 2008, grey for black, best contrast first."""

CLEAR = "rgba(0,0,0,0)"
QUIET = "#7a7a7a"
"""A grey for lines and marks that can be seen on white and on near-black; words take the page's."""

_GRID = "rgba(128,128,128,0.25)"
_LONGEST = 60


def ramp(dark: bool = False) -> tuple[Floats, Floats]:
    """Colours (0-255) of a cell that counts none, near the page's, and of one that counts most."""
    ends = ((28.0, 42.0, 56.0), (120.0, 186.0, 232.0)) if dark else ((239, 243, 255), (8, 48, 107))
    return np.array(ends[0], np.float64), np.array(ends[1], np.float64)


def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """One colour a class, by its position; from the ninth class on they repeat."""
    return {name: PALETTE[at % len(PALETTE)] for at, name in enumerate(classes)}


def label(name: object) -> str:
    """Make a name fit for a chart: no markup, no invisible characters, at most 60 long."""
    seen = "".join(c for c in str(name) if not unicodedata.category(c).startswith("C"))
    short = seen if len(seen) <= _LONGEST else seen[: _LONGEST - 1] + "…"
    return html.escape(short, quote=False)  # plotly would show &quot; as it is written


def ink(rgb: Floats) -> str:
    """Black or white on this colour (0-255): at least 4.5 to 1. Source: WCAG 2.2, luminance."""
    part = np.asarray(rgb) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return "#000000" if float(linear @ [0.2126, 0.7152, 0.0722]) > 0.179 else "#ffffff"


def figure(*traces: object, legend: bool = False) -> go.Figure:
    """A figure on a transparent ground; its text takes the page's colour."""
    result = go.Figure(list(traces))
    result.update_layout(
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        hovermode="closest",
        showlegend=legend,
        margin={"l": 10, "r": 10, "t": 30 if legend else 10, "b": 10},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
    )
    result.update_xaxes(automargin=True, gridcolor=_GRID, zerolinecolor=_GRID)
    return result.update_yaxes(automargin=True, gridcolor=_GRID, zerolinecolor=_GRID)


def empty(text: str) -> go.Figure:
    """A figure that says quietly why there is nothing to see."""
    result = figure().update_layout(height=180)
    result.add_annotation(
        text=text,
        showarrow=False,
        x=0.5,
        y=0.5,
        xref="paper",
        yref="paper",
        font={"size": 14},
    )
    return result.update_xaxes(visible=False).update_yaxes(visible=False)


def arms(
    values: Sequence[float], bounds: Sequence[Sequence[float]], colour: str
) -> dict[str, object]:
    """Error bars from each value to the bounds of its interval."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, (_, high) in zip(values, bounds, strict=True)],
        "arrayminus": [value - low for value, (low, _) in zip(values, bounds, strict=True)],
        "color": colour,
        "thickness": 2,
        "width": 5,
    }


def bars(
    names: Sequence[str], values: Sequence[float], texts: Sequence[str], hovers: Sequence[str]
) -> go.Figure:
    """Lying bars, one a class, the first on top, each with its text beside it."""
    places = list(range(len(names)))
    bar = go.Bar(
        x=list(values),
        y=places,
        orientation="h",
        text=list(texts),
        textposition="outside",
        cliponaxis=False,
        marker={"color": list(class_colours(names).values())},
        hoverinfo="text",
        hovertext=list(hovers),
    )
    result = figure(bar).update_layout(height=90 + 44 * len(names), bargap=0.35)
    return result.update_yaxes(
        tickvals=places,
        ticktext=[label(name) for name in names],
        showgrid=False,
        zeroline=False,
        range=[len(names) - 0.5, -0.5],
    )
