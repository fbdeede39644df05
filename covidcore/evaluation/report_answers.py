"""The checklists, item by item, answered as far as facts are stored.

An item that no stored fact answers is ``NOT_REPORTED``, with what would answer it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from covidcore.evaluation import report_checks, report_facts, report_figures, report_imported
from covidcore.evaluation.report_checks import TO_MEASURE
from covidcore.evaluation.report_commands import commands
from covidcore.evaluation.report_items import CHECKLISTS, Item
from covidcore.evaluation.report_words import Cell, Document, Said

NOT_REPORTED = "NOT REPORTED"


class Row(NamedTuple):
    """One item of a checklist, answered as far as facts are stored."""

    number: str
    title: str
    said: Cell
    """Empty: not reported."""
    to_do: str
    """What is lacking and how it comes about; empty where nothing is known to lack."""


def facts(document: Document) -> dict[str, Cell]:
    """Name -> what is stored of it; names without a stored fact are left out."""
    found: dict[str, Cell] = {}
    own = (report_facts.RULES, report_figures.RULES, report_checks.RULES)
    for rules in (report_imported.RULES,) if document.get("imported") else own:
        for name, (key, say) in rules.items():
            if words := say(document):
                found[name] = (Said(words, key),) if isinstance(words, str) else tuple(words)
    return found


def cell(known: Mapping[str, Cell], names: Iterable[str]) -> Cell:
    """Those of the named facts that are known, one after the other."""
    return tuple(said for name in names for said in known.get(name, ()))


def checklists(document: Document) -> dict[str, list[Row]]:
    """Name of a checklist -> its items, in order."""
    known, known_commands = facts(document), commands(document)
    return {
        name: [_row(item, known, known_commands) for item in items]
        for name, items in CHECKLISTS.items()
    }


def _row(item: Item, known: Mapping[str, Cell], known_commands: Mapping[str, str]) -> Row:
    said = cell(known, item.facts)
    absent = [TO_MEASURE[name] for name in item.facts if name not in known and name in TO_MEASURE]
    possible = [key for key in dict.fromkeys(absent) if key in known_commands]
    to_do = [f"To measure: {known_commands[key]}" for key in possible]
    if item.yours:
        to_do.append(f"To write: {item.yours}")
    if not said and not to_do:
        to_do.append("Nothing is stored of it with this run")
    return Row(item.number, item.title, said, "".join(f"{one}. " for one in to_do).strip())
