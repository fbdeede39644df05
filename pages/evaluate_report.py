"""The report of a run to take away, and what it can not report yet."""

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from covidcore.evaluation.report import Report, compose
from covidcore.evaluation.report_answers import NOT_REPORTED, checklists
from covidcore.evaluation.report_html import as_html
from covidcore.evaluation.report_markdown import as_markdown
from covidcore.jobs.info import RunInfo
from covidcore.jobs.report import gather, stamp
from pages import shared


def draw(run: RunInfo) -> None:
    """Two files, and the items without a stored fact, with what to do about each."""
    st.subheader("Report", anchor=False)
    st.markdown(
        "One file that needs nothing else: a model card, and the reporting items of CLAIM 2024 and "
        "TRIPOD+AI, filled from stored facts alone. Every number names the command that made it."
    )
    document = _gathered(run.run, shared.settings().home, stamp(shared.store(), run.run))
    _files(run, compose(document))
    rows = checklists(document)
    names = st.segmented_control(
        "Checklist", list(rows), default=next(iter(rows)), required=True, key="checklist",
        label_visibility="collapsed",
    )  # fmt: skip
    chosen = rows[names]
    absent = [row for row in chosen if not row.said]
    st.markdown(
        f"**{len(chosen) - len(absent)}** of {len(chosen)} items are answered, in part at least; "
        f"**{len(absent)}** are {NOT_REPORTED}."
    )
    st.dataframe(
        pd.DataFrame(
            {
                "item": row.number,
                "about": row.title,
                "stored": " ".join(said.text for said in row.said) or NOT_REPORTED,
                "what to do": row.to_do,
            }
            for row in sorted(chosen, key=lambda row: bool(row.said))
        ),
        hide_index=True,
        alt=f"Items of {names}; those that are {NOT_REPORTED} first",
        column_config={"about": st.column_config.TextColumn(width="medium")},
    )
    st.caption(
        "What is to be measured is a command, or a view of this page. What is to be written no "
        "program can know: where labels come from, who paid, what it means for patients."
    )


@st.cache_data(max_entries=8, show_spinner="Gathering what is stored")
def _gathered(run: str, home: Path, stamp: str) -> dict[str, Any]:
    return gather(shared.store(), run)


def _files(run: RunInfo, report: Report) -> None:
    kinds: tuple[tuple[str, str, str, str, Any], ...] = (
        ("HTML", "html", "text/html", "primary", as_html),
        ("Markdown", "md", "text/markdown", "secondary", as_markdown),
    )
    with st.container(horizontal=True):
        for name, ending, kind, emphasis, made in kinds:
            st.download_button(
                f"Report as {name}", lambda made=made: made(report),
                f"report-{run.run[:8]}.{ending}", kind, type=emphasis,
                icon=":material/description:", on_click="ignore", key=f"report-{ending}",
            )  # fmt: skip
