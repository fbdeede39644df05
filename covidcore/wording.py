"""Text for people: names made harmless, lengths of time and shares in words.

Names of files and classes come from strangers, and Streamlit renders captions and labels as
Markdown: what a name holds must be seen, not rendered.
"""

import math
import re
import unicodedata
from collections.abc import Sequence

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&=])")
# Streamlit's Markdown still finds these after the escapes are taken off: links in bare text,
# :shortcodes: and arrows. An invisible word joiner inside parts them.
_FOUND_ANYWAY = re.compile(
    r"(:)(?=\S)|(@)(?=\S)|(www)(?=\.)|([-<=>])(?=[-<=>])", flags=re.IGNORECASE
)
_JOINER = "\N{WORD JOINER}"
_FOLDERS = re.compile(r"(?<![\w.:/\\<…])(?:[A-Za-z]:)?(?:[/\\][^\s/\\“”\"'<>]+)*[/\\](?=[^\s/\\])")
_DASH = "\N{EN DASH}"  # stands for a figure that does not exist


def visible(text: object) -> str:
    """One line without control, bidirectional and zero-width characters, else as it is."""
    kept = "".join(c for c in str(text) if not unicodedata.category(c).startswith("C"))
    return " ".join(kept.split())


def brief(text: object, most: int = 60) -> str:
    """What somebody typed, as it is quoted in a sentence: one line, and not all of a long one."""
    shown = visible(text)
    return shown if len(shown) <= most else f"{shown[:most]}…"


def markdown(text: object) -> str:
    """Text that Markdown shows letter by letter: no link, image, icon, formula or emphasis."""
    parted = _FOUND_ANYWAY.sub(lambda match: match[0] + _JOINER, visible(text))
    return _MARKDOWN.sub(r"\\\1", parted)


def answered(images: int, truth: object, answer: object) -> str:
    """The heading, as Markdown, of the images behind one cell of a matrix."""
    names = f"{markdown(truth)} {'is' if images == 1 else 'are'} answered {markdown(answer)}"
    if images < 2:
        return f"**{images}** image{'' if images == 1 else 's'} of {names}."
    return f"**{images:,}** images of {names}, the most surprising first."


def without_folders(text: object, *known: object) -> str:
    """The same sentence, with every file by its name alone: where it lies is left out.

    ``known`` are folders that are left out first, as one whose name holds a blank can not be told.
    """
    told = str(text)
    for folder in sorted((str(one) for one in known if one), key=len, reverse=True):
        told = told.replace(f"{folder}/", "…/").replace(f"{folder}\\", "…/").replace(folder, "…")
    return _FOLDERS.sub("…/", told)


def duration(seconds: float | None) -> str:
    """A length of time in the two units that matter: ``41 s``, ``2 min 5 s``, ``1 h 12 min``."""
    if seconds is None or not math.isfinite(seconds):
        return _DASH
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{rest} s"


def percent(value: float | None) -> str:
    """A share with one decimal, ``94.7 %``; a dash where it could not be computed."""
    return _DASH if value is None or not math.isfinite(value) else f"{value:.1%}".replace("%", " %")


def interval(bounds: Sequence[float | None] | None) -> str:
    """Both ends of an interval of shares: ``92.5 to 96.2 %``; a dash where there is none."""
    if not bounds or any(end is None or not math.isfinite(end) for end in bounds):
        return _DASH
    low, high = (f"{100 * float(end or 0):.1f}" for end in bounds)
    return f"{low} to {high} %"


def points(*values: float | None) -> str:
    """Differences of shares in percentage points, ``+1.2 to +3.4``; a dash where there is none."""
    if any(value is None or not math.isfinite(value) for value in values):
        return _DASH
    # Adding 0 makes a rounded -0.0 a plain 0.
    return " to ".join(f"{round(100 * float(value or 0), 1) + 0.0:+.1f}" for value in values)
