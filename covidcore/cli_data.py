"""The verbs about datasets: scan, import, audit."""

import argparse
from typing import TYPE_CHECKING, Any

from covidcore.config import Settings
from covidcore.show import Answer, Line, table
from covidcore.wording import visible

if TYPE_CHECKING:
    from covidcore.data.report import Report


def scan(options: argparse.Namespace, settings: Settings) -> Answer:
    """Index a dataset and say what is in it."""
    from covidcore.data.sources import resolve

    with Line() as line:
        progress = line.progress("scanning", "images")
        found = resolve(options.dataset, settings, progress, line.moving())
    return _described(found)


def bring_in(options: argparse.Namespace, settings: Settings) -> Answer:
    """Bring datasets in; several are joined."""
    from covidcore.data.joining import parse_mapping
    from covidcore.data.sources import import_datasets

    mapping = parse_mapping(options.map)
    with Line() as line:
        progress = line.progress("importing", "images")
        found = import_datasets(
            options.source, settings, mapping, options.to, progress, line.moving()
        )
    return _described(found)


def _described(found: Any) -> Answer:
    from covidcore.data.report import report

    said = report(found)
    document = {**found.to_json(), "report": said.to_json()}
    lines = [
        visible(found.root),
        f"{document['images']} images, layout {found.layout}, fingerprint {found.fingerprint}",
        _report_table(said),
        f"duplicates: {found.duplicates['exact']} exact, {found.duplicates['near']} near",
        *(visible(sentence) for sentence in said.sentences),
    ]
    if said.command:
        lines.append(f"To join them: {said.command}")
    lines += [f"unreadable: {visible(file)}: {reason}" for file, reason in found.unreadable]
    return document, "\n".join(lines), 0


def _cell(count: int | None) -> str:
    return "" if count is None else str(count)


def _report_table(said: "Report") -> str:
    """Columns that hold nothing but zeros are left out, and so is what was never published."""
    counts = said.to_json()["classes"]
    names = [name for name in counts[0] if name != "class"]
    kept = [name for name in names if name in ("found", "read") or any(row[name] for row in counts)]
    rows = [(row["class"] or "elsewhere", *(_cell(row[name]) for name in kept)) for row in counts]
    return table(("class", *kept), rows)


def audit(options: argparse.Namespace, settings: Settings) -> Answer:
    """What could make a model of a dataset look better than it is."""
    from covidcore.data.audit import SplitSettings
    from covidcore.data.audit import audit as examine
    from covidcore.data.sources import resolve
    from covidcore.show_audit import described

    chosen = SplitSettings(
        options.split, options.seed, options.group_by, tuple(options.exclude_source)
    )
    with Line() as line:
        progress = line.progress("scanning", "images")
        found = resolve(options.dataset, settings, progress, line.moving())
        document = examine(found, settings.home, chosen, line.progress("auditing", "steps"))
    return document, described(document), 0
