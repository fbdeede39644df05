"""The verb that reports a run: as a file to hand on, as Markdown, or as JSON."""

import argparse

from covidcore.config import Settings
from covidcore.show import Answer
from covidcore.wording import visible


def report(options: argparse.Namespace, settings: Settings) -> Answer:
    """Everything that is stored of a run, item by item of CLAIM 2024 and TRIPOD+AI.

    It shows test figures, so it counts as a look at them.
    """
    from covidcore.evaluation.report import as_json, compose
    from covidcore.evaluation.report_answers import checklists
    from covidcore.evaluation.report_markdown import as_markdown
    from covidcore.jobs.openings import note_opened
    from covidcore.jobs.report import check_name, gather, write
    from covidcore.jobs.store import RunStore

    if options.out:
        check_name(options.out)
    store = RunStore(settings)
    run = store.find(options.run_id)
    if not store.info(run).imported:  # which has no test figures to look at
        store.evaluation(run)  # a run without results is refused before a look at them is counted
        note_opened(store.path(run))
    document = gather(store, run)
    if not options.out:
        return as_json(document), as_markdown(compose(document)), 0
    write(options.out, document)
    lines = [f"The report of run {run} is in {visible(options.out)}."]
    for name, rows in checklists(document).items():
        absent = [row.number for row in rows if not row.said]
        lines.append(
            f"{name}: {len(absent)} of {len(rows)} items NOT REPORTED: {', '.join(absent)}"
        )
    return as_json(document), "\n".join(lines), 0
