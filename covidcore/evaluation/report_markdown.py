"""A report as Markdown (GitHub's), where each number has the command that made it as a footnote."""

import re

from covidcore.evaluation.report import Report, Table
from covidcore.evaluation.report_words import Cell
from covidcore.wording import visible

# Names come from strangers: what they hold is to be read, not rendered.
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|~$&!^]|(?<=\w):(?=//)|(?<=www)\.)", re.IGNORECASE)


def as_markdown(report: Report) -> str:
    """The whole file."""
    numbers = {key: number for number, key in enumerate(report.commands, 1)}
    parts = [f"# {_escaped(report.title)}", _escaped(report.about)]
    for section in report.sections:
        parts.append(f"## {_escaped(section.title)}")
        if section.text:
            parts.append(_escaped(section.text))
        parts.append(_table(section.table, numbers))
    parts.append("## Commands\n\nEach number can be made again by the command of its footnote.")
    parts += [f"[^{numbers[key]}]: {_code(line)}" for key, line in report.commands.items()]
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    return _ACTIVE.sub(r"\\\1", visible(text))


def _code(text: str) -> str:
    """Verbatim, whatever backticks it holds."""
    text = visible(text)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence}{text}{fence}" if fence == "`" else f"{fence} {text} {fence}"


def _table(table: Table, numbers: dict[str, int]) -> str:
    lines = [table.header, ["---"] * len(table.header)]
    rows = [
        "| " + " | ".join(map(_escaped if at == 0 else str, line)) + " |"
        for at, line in enumerate(lines)
    ]
    rows += ["| " + " | ".join(_cell(cell, numbers) for cell in row) + " |" for row in table.rows]
    return "\n".join(rows)


def _cell(cell: Cell, numbers: dict[str, int]) -> str:
    return "<br>".join(
        _escaped(said.text) + (f"[^{numbers[said.command]}]" if said.command else "")
        for said in cell
    )
