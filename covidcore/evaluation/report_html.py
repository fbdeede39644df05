"""A report as one HTML file that needs nothing else: no script, no font, no address outside it."""

import html
import re

from covidcore.chart_files import matrix_svg
from covidcore.evaluation.report import Report, Section, Table
from covidcore.evaluation.report_answers import NOT_REPORTED
from covidcore.evaluation.report_words import Cell
from covidcore.wording import interval, percent, visible

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6472; --line: #d5dae2; --back: #fff;
  --run: #1f6feb; --quiet: #7d8590; --lack: #9a3412; --lack-back: #fff4ec; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #a0a9b8; --line: #353c49;
  --back: #12161d; --run: #6ea8fe; --quiet: #8b93a1; --lack: #fdba74; --lack-back: #2b1d12; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 68rem; color: var(--ink);
  background: var(--back); font: 15px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p { margin: .25rem 0 1rem; max-width: 50rem; color: var(--soft); }
nav { margin: 1rem 0; } nav a { margin-right: 1rem; white-space: nowrap; }
a { color: var(--run); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid
  var(--line); }
th { font-weight: 600; color: var(--soft); }
td.long { min-width: 14rem; overflow-wrap: anywhere; } code { overflow-wrap: anywhere; }
table.card td:first-child { min-width: 7rem; }
td div + div { margin-top: .3rem; }
sup a { text-decoration: none; padding: 0 .1rem; }
.lack { color: var(--lack); background: var(--lack-back); font-weight: 600; padding: 0 .3rem;
  border-radius: 3px; }
svg { max-width: 100%; height: auto; display: block; margin: .5rem 0 1rem; }
svg text { fill: var(--ink); } svg.matrix text { fill: revert-layer; }
ol { padding-left: 1.6rem; } li:target { outline: 2px solid var(--run); outline-offset: 3px; }
code { font: 13px/1.5 ui-monospace, monospace; }
@media print { nav { display: none; } body { max-width: none; } }
"""
_LONG = 40  # characters from which a cell is given room

_WIDTH, _LEFT, _ROW = 480, 168, 28


def as_html(report: Report) -> str:
    """The whole file."""
    numbers = {key: number for number, key in enumerate(report.commands, 1)}
    links = [(f"s{at}", section.title) for at, section in enumerate(report.sections)]
    title = _escaped(report.title)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            # Should a name ever get past the escaping, a browser still fetches and runs nothing.
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            f"<h1>{title}</h1>",
            f"<p>{_escaped(report.about)}</p>",
            "<nav>",
            *(f'<a href="#{key}">{_escaped(name)}</a>' for key, name in links),
            '<a href="#commands">Commands</a>',
            "</nav>",
            *(_section(report, at, section, numbers) for at, section in enumerate(report.sections)),
            '<section id="commands">',
            "<h2>Commands</h2>",
            "<p>Each number in the tables can be made again by the command that it links to.</p>",
            "<ol>",
            *(
                f'<li id="c{numbers[key]}"><code>{_escaped(line)}</code></li>'
                for key, line in report.commands.items()
            ),
            "</ol>",
            "</section>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _escaped(text: str) -> str:
    return html.escape(visible(text))


def _section(report: Report, at: int, section: Section, numbers: dict[str, int]) -> str:
    drawing = {"bars": _bars, "matrix": _matrix}.get(section.drawing)
    text = f"<p>{_escaped(section.text)}</p>" if section.text else ""
    return (
        f'<section id="s{at}">\n<h2>{_escaped(section.title)}</h2>\n{text}\n'
        f"{drawing(report) if drawing else ''}\n{_table(section.table, numbers)}\n</section>"
    )


def _table(table: Table, numbers: dict[str, int]) -> str:
    head = "".join(f'<th scope="col">{_escaped(name)}</th>' for name in table.header)
    kind = ' class="card"' if len(table.header) == 2 else ""
    rows = "\n".join(
        "<tr>" + "".join(_cell(cell, numbers) for cell in row) + "</tr>" for row in table.rows
    )
    return (
        f'<div class="wide"><table{kind}>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def _cell(cell: Cell, numbers: dict[str, int]) -> str:
    words = []
    for said in cell:
        text = _escaped(said.text)
        if said.text == NOT_REPORTED:
            text = f'<span class="lack">{text}</span>'
        if said.command:
            number = numbers[said.command]
            text += f'<sup><a href="#c{number}" title="the command">{number}</a></sup>'
        words.append(f"<div>{text}</div>" if len(cell) > 1 else text)
    wide = ' class="long"' if sum(len(said.text) for said in cell) > _LONG else ""
    return f"<td{wide}>{''.join(words)}</td>"


def _matrix(report: Report) -> str:
    """The matrix as on the page; within HTML an SVG needs no address to say what it is."""
    drawing = re.sub(r' xmlns="[^"]*"', "", matrix_svg(report.confusion, report.classes))
    return drawing.replace("<svg", '<svg class="matrix" role="img"', 1)


def _bars(report: Report) -> str:
    """The accuracy and the rules without lungs on one axis, from 0 to 100 %."""
    height = _ROW * len(report.bars) + 34
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img" '
        'font-family="sans-serif" font-size="13">',
        "<title>Accuracy, and that of rules that see no lungs</title>",
    ]
    for tenth in range(0, 11, 2):
        x = _place(tenth / 10)
        parts.append(
            f'<path d="M{x} 4V{height - 24}" stroke="var(--line)"/>'
            f'<text x="{x}" y="{height - 8}" text-anchor="middle">{tenth * 10} %</text>'
        )
    for at, bar in enumerate(report.bars):
        y, colour = 4 + _ROW * (at + 0.5), "var(--quiet)" if bar.quiet else "var(--run)"
        ends = f" ({interval(bar.interval)})" if bar.interval else ""
        parts.append(
            f'<text x="{_LEFT - 10}" y="{y}" text-anchor="end" dominant-baseline="central">'
            f"{_escaped(bar.name)}</text>"
        )
        if bar.interval:
            low, high = map(_place, bar.interval)
            parts.append(f'<path d="M{low} {y}H{high}" stroke="{colour}" stroke-width="3"/>')
        parts.append(
            f'<circle cx="{_place(bar.value)}" cy="{y}" r="5" fill="{colour}">'
            f"<title>{_escaped(bar.name)}: {percent(bar.value)}{ends}</title></circle>"
        )
    return "\n".join([*parts, "</svg>"])


def _place(share: float) -> float:
    return round(_LEFT + share * (_WIDTH - _LEFT - 30), 1)
