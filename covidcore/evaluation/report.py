"""The report of a run as sections of tables, whatever the kind of file that is made of them.

Facts in, rows out: reads no files, measures nothing and assumes nothing.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from covidcore.config import DISCLAIMER
from covidcore.evaluation.report_answers import NOT_REPORTED, Row, cell, checklists, facts
from covidcore.evaluation.report_checks import baselines
from covidcore.evaluation.report_commands import commands
from covidcore.evaluation.report_words import Cell, Document, Said
from covidcore.wording import interval, percent


class Table(NamedTuple):
    """A header and rows of as many cells."""

    header: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


class Bar(NamedTuple):
    """An accuracy on the axis that all of them share, with its interval."""

    name: str
    value: float
    interval: tuple[float, float] | None
    quiet: bool
    """A rule to compare with, not the run."""


class Section(NamedTuple):
    """A heading and what stands below it."""

    title: str
    text: str
    table: Table
    drawing: str = ""
    """"bars" or "matrix" where it has a drawing."""


class Report(NamedTuple):
    """Everything that is shown, in order, whatever the kind of file."""

    title: str
    about: str
    sections: list[Section]
    commands: dict[str, str]
    """Those that the cells refer to, by key, in order of their first appearance."""
    bars: list[Bar]
    confusion: list[list[int]]
    classes: list[str]


def compose(document: Document) -> Report:
    """The whole report of ``document``, which `jobs.report.gather` made."""
    known = facts(document)
    evaluation = document["evaluation"]
    sections = [
        *((_in_short(document),) if evaluation else ()),
        Section("Model card", "", _card(known)),
        *((_matrix(document),) if evaluation else ()),
        *(
            Section(
                name,
                f"{sum(bool(row.said) for row in rows)} of {len(rows)} items are answered, in part "
                "at least, by stored facts; whether an answer suffices is for a reader to judge. "
                "Titles are ours: the checklist itself has the full wording.",
                _items(rows),
            )
            for name, rows in checklists(document).items()
        ),
    ]
    every = commands(document)
    used = [
        said.command
        for section in sections
        for row in section.table.rows
        for cell in row
        for said in cell
        if said.command
    ]
    return Report(
        f"Report of “{document['name']}”",
        f"Run {document['run']}. {DISCLAIMER} Made on {document['made'][:10]} from stored facts "
        f"alone; what no fact answers is marked {NOT_REPORTED}.",
        sections,
        {key: every[key] for key in dict.fromkeys(used)},
        _bars(document) if evaluation else [],
        evaluation["confusion"] if evaluation else [],
        evaluation["classes"] if evaluation else [],
    )


def as_json(document: Document) -> dict[str, Any]:
    """The document of ``report --json``: the facts, the items, the commands, and what is stored."""
    return {
        "run": document["run"],
        "name": document["name"],
        "disclaimer": DISCLAIMER,
        "facts": {
            name: [said._asdict() for said in cell] for name, cell in facts(document).items()
        },
        "checklists": {
            name: [
                {
                    "item": row.number,
                    "title": row.title,
                    "reported": bool(row.said),
                    "text": " ".join(said.text for said in row.said) or NOT_REPORTED,
                    "to_do": row.to_do,
                }
                for row in rows
            ]
            for name, rows in checklists(document).items()
        },
        "commands": commands(document),
        "stored": dict(document),
    }


def _plain(*texts: str) -> tuple[Cell, ...]:
    return tuple((Said(text),) for text in texts)


_CARD = {
    "Model": ("model", "weights", "checkpoint"),
    "Input": ("preprocessing",),
    "Output": ("answering", "operating"),
    "Data": ("dataset", "sources", "left_out", "unknown"),
    "Sets": ("split", "grouping", "set_counts", "leaks"),
    "Training": ("training", "imbalance", "selection"),
    "Figures": ("accuracy", "averages", "calibration"),
    "Parts of the test images": ("subgroups",),
    "Rules without lungs": ("baselines",),
    "On another dataset": ("outside",),
    "Stress tests": ("stress", "attention", "leave_one_source_out"),
    "Other splits": ("folds",),
    "Audit of the dataset": ("warnings",),
    "Looks at the test set": ("opened",),
    "Software": ("software",),
}


def _card(known: Mapping[str, Cell]) -> Table:
    rows: list[tuple[Cell, ...]] = [(*_plain("Intended use"), (Said(DISCLAIMER),))]
    for name, wanted in _CARD.items():
        said = cell(known, wanted)
        rows.append((*_plain(name), said or (Said(NOT_REPORTED),)))
    return Table(("", "What is stored"), rows)


def _items(rows: list[Row]) -> Table:
    return Table(
        ("item", "about", "what is stored", "what is lacking"),
        [
            (*_plain(row.number, row.title), row.said or (Said(NOT_REPORTED),), *_plain(row.to_do))
            for row in rows
        ],
    )


def _in_short(document: Document) -> Section:
    one = document["evaluation"]
    names = {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced accuracy",
        "macro_f1": "macro F1",
        "auc_macro": "macro AUC",
    }
    rows = [
        (
            *_plain(said),
            (Said(percent(one[name]), "evaluate"),),
            *_plain(interval(one.get(f"{name}_ci"))),
        )
        for name, said in names.items()
    ]
    rows += [
        (
            *_plain(bar.name),
            (Said(percent(bar.value), _maker(bar)),),
            *_plain(interval(bar.interval)),
        )
        for bar in _bars(document)
        if bar.quiet
    ]
    text = f"On {one['n']:,} test images; intervals are of 95 %."
    return Section("In short", text, Table(("figure", "value", "95 %"), rows), "bars")


def _maker(bar: Bar) -> str:
    return "audit" if bar.interval else "evaluate"


def _bars(document: Document) -> list[Bar]:
    one = document["evaluation"]
    own = Bar("this run", one["accuracy"], tuple(one["accuracy_ci"]), False)
    rules = [
        Bar(name, value, tuple(ends) if ends else None, True)
        for name, value, ends in baselines(document)
    ]
    return [own, *rules]


def _matrix(document: Document) -> Section:
    one = document["evaluation"]
    rows = [
        ((Said(name, "evaluate"),), *_plain(*(f"{count:,}" for count in row)))
        for name, row in zip(one["classes"], one["confusion"], strict=True)
    ]
    text = "Rows are the truth, columns the answer."
    return Section(
        "Confusion matrix", text, Table(("truth \\ answer", *one["classes"]), rows), "matrix"
    )
