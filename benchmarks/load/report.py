"""Rows of what was asked and measured, as the table of docs/performance.md."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """One target."""

    what: str
    asked: str
    measured: str
    holds: bool | None
    """None: nothing was asked."""


def table(rows: Sequence[Row]) -> str:
    """In Markdown."""
    lines = ["| what | asked | measured | holds |", "|---|---|---|---|"]
    for row in rows:
        holds = {True: "yes", False: "**no**", None: ""}[row.holds]
        lines.append(f"| {row.what} | {row.asked} | {row.measured} | {holds} |")
    return "\n".join(lines)


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

    def __str__(self) -> str:
        """In words."""
        return f"p50 {self.half:.2f} s, p95 {self.most:.2f} s, worst {self.worst:.2f} s"
