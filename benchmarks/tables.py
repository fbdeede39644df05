"""What the benchmarks print: a Markdown table of seconds, on standard error."""

import sys
from collections.abc import Mapping, Sequence

Seconds = Mapping[str, tuple[float, float]]
"""Case -> seconds that passed, and seconds of processor, which another's load changes less."""


def print_seconds(columns: Sequence[str], measured: Sequence[Seconds]) -> None:
    """A row for each case, a column for each of ``measured``."""
    rows = [["seconds (of processor)", *columns], ["---"] * (len(columns) + 1)]
    for case in measured[0]:
        times = [seconds[case] for seconds in measured]
        rows.append([case, *(f"{wall:.3f} ({processor:.3f})" for wall, processor in times)])
    for row in rows:
        print("|", " | ".join(row), "|", file=sys.stderr)
