"""All answers at a glance: thumbnails, a filter, a file to take away; a row opens its card."""

import hashlib

import streamlit as st

from covidcore.inference.table import as_csv, as_table, outcome
from covidcore.wording import markdown, visible
from pages.predict_answers import Asked, kept
from pages.predict_card import About

ROW = 56
"""Pixels of height: a thumbnail of which something can be seen."""
MOST_ROWS = 8
"""Rows that are seen without scrolling in the table."""
_PER_CENT = "%.1f %%"


def draw(asked: list[Asked], about: About) -> int:
    """The table; returns the place in ``asked`` of the one to show, the first one at first."""
    outcomes = [outcome(one.said) for one in asked]
    shown = _filter(outcomes)
    table = as_table(
        [one.said for one in asked], about.classes, about.meant, about.run.run, about.point
    )
    rows = table.assign(
        file=table["file"].map(visible),
        image=[look.thumbnail if (look := kept().look(one.upload)) else None for one in asked],
        outcome=[_in_words(one, what) for one, what in zip(asked, outcomes, strict=True)],
    ).iloc[shown]
    shares = [name for name in table if name.startswith("p:")]
    # The table by itself gives per cent one decimal here and two there.
    rows = rows.assign(**{name: 100 * rows[name] for name in ("probability", *shares)})
    picked = st.dataframe(
        rows,
        hide_index=True,
        key=_key(asked, shown),
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        row_height=ROW,
        height=ROW * min(len(rows), MOST_ROWS) + 38,
        alt="Answers",
        column_order=[
            *("image", "file", "outcome", "probability", *shares),
            *(n for n in ("reason", "near_training_image", "warnings") if rows[n].any()),
        ],
        column_config={
            "image": st.column_config.ImageColumn("Image", width="small"),
            "file": st.column_config.TextColumn("File", width="medium"),
            "outcome": st.column_config.TextColumn("Answer", width=180),
            "probability": st.column_config.NumberColumn("Probability", format=_PER_CENT),
            "reason": st.column_config.TextColumn("Why not", width="medium"),
            "near_training_image": st.column_config.TextColumn("Copy of"),
            "warnings": st.column_config.TextColumn("Warnings"),
            **dict.fromkeys(shares, st.column_config.NumberColumn(format=_PER_CENT)),
        },
        placeholder="",
    )
    st.download_button(
        "Download all as CSV", as_csv(table), "answers.csv", "text/csv", on_click="ignore",
        icon=":material/download:",
    )  # fmt: skip
    selection = picked.selection
    chosen = [*selection.rows, *(row for row, _ in selection.get("cells", []))]
    st.caption("A click on a row opens it below. Headings sort.")
    return shown[chosen[0]] if chosen and chosen[0] < len(shown) else shown[0]


def _filter(outcomes: list[str]) -> list[int]:
    """The places of the answers and refusals that are to be seen; all where none is chosen."""
    counts = {name: outcomes.count(name) for name in sorted(set(outcomes))}
    st.session_state["shown"] = [
        name for name in st.session_state.get("shown") or [] if name in counts
    ]
    wanted = st.pills(
        "Show only",
        list(counts),
        selection_mode="multi",
        format_func=lambda name: f"{markdown(name)} ({counts[name]})",
        key="shown",
    )
    return [at for at, name in enumerate(outcomes) if not wanted or name in wanted]


def _in_words(one: Asked, what: str) -> str:
    """The answer, and whether the gate stood in its way."""
    said = one.said
    return visible(f"{said['answer']} ({what})" if said["refused"] and said["answer"] else what)


def _key(asked: list[Asked], shown: list[int]) -> str:
    """A row that is selected belongs to the list in which it was selected."""
    keys = " ".join(asked[at].upload.key for at in shown)
    return f"answers-{hashlib.sha256(keys.encode()).hexdigest()[:16]}"
