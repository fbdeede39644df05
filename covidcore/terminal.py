"""What a terminal gets and a file does not: colours, and bars for work that is under way.

A colour only repeats what a word says. ``NO_COLOR`` (no-color.org) and ``TERM=dumb`` are obeyed.
"""

import os
from typing import TextIO

STYLES = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "bold": 1, "faint": 2}
"""Names of styles, with their codes. Source: ECMA-48, SGR."""
_WIDTH = 24


def has_colours(stream: TextIO) -> bool:
    """Whether what is written there is seen by a person who wants colours."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and stream.isatty()


def paint(text: str, style: str, stream: TextIO) -> str:
    """``text`` in a style where the stream has any, else as it is."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if has_colours(stream) else text


def bar(done: int, total: int) -> str:
    """How much of ``total`` is done, as 24 characters and per cent."""
    share = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
    full = int(share * _WIDTH)
    return f"{'━' * full}{'─' * (_WIDTH - full)} {share:4.0%}".replace("%", " %")
