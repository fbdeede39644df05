"""Rows of what was asked and measured, as a table for docs/reliability.md and as JSON."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from covidcore import storage


class Row(NamedTuple):
    """One target."""

    what: str
    asked: str
    measured: str
    holds: bool | None
    """None: nothing was asked."""
    figures: Mapping[str, float] = MappingProxyType({})
    """What was measured, in numbers: seconds, MB, counts."""


def table(rows: Sequence[Row]) -> str:
    """In Markdown."""
    lines = ["| what | asked | measured | holds |", "|---|---|---|---|"]
    for row in rows:
        holds = {True: "yes", False: "**no**", None: ""}[row.holds]
        lines.append(f"| {row.what} | {row.asked} | {row.measured} | {holds} |")
    return "\n".join(lines)


def plain(part: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For JSON: NaN, of which it knows nothing, becomes None."""
    return [
        storage.plain({"part": part, **row._asdict(), "figures": dict(row.figures)}) for row in rows
    ]


class Spread(NamedTuple):
    """Of times in seconds."""

    count: int
    half: float
    """The median."""
    most: float
    """The 95th percentile."""
    worst: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        """NaN where there are none."""
        if not seconds:
            return cls(0, *(float("nan"),) * 3)
        half, most = np.percentile(seconds, (50, 95)).tolist()
        return cls(len(seconds), half, most, max(seconds))

    @property
    def figures(self) -> dict[str, float]:
        """Seconds, by name."""
        return {"p50": self.half, "p95": self.most, "worst": self.worst}

    def __str__(self) -> str:
        """In words."""
        return f"p50 {self.half:.2f} s, p95 {self.most:.2f} s, worst {self.worst:.2f} s"
