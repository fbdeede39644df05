"""What the parts of a report share: how shares and counts are said, and what a fact is."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from covidcore.wording import interval, percent

Document = Mapping[str, Any]
"""What `jobs.report.gather` returns: plain JSON values, None for what is not known."""


class Said(NamedTuple):
    """Words, and the key of the command that makes the numbers in them (empty: there are none)."""

    text: str
    command: str = ""


Cell = tuple[Said, ...]
"""What stands in a cell of a table: sentences, each with its command."""

Words = str | list[Said]
"""What a fact says; empty where nothing is stored of it."""

Rule = tuple[str, Callable[[Document], Words]]
"""The key of the command that makes a fact's numbers, where the words do not bring their own; and
what says the fact."""


def share(value: float | None, bounds: Any = None) -> str:
    """``94.7 % (92.5 to 96.2 %)``, without the bracket where there is no interval."""
    ends = interval(bounds)
    return percent(value) + (f" ({ends})" if bounds and ends[0].isdigit() else "")


def counts(values: Mapping[str, int]) -> str:
    """``a 3, b 1,204``."""
    return ", ".join(f"{name} {count:,}" for name, count in values.items())
