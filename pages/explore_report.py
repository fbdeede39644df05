"""What came of the import: counts a class, what they mean, and a button that joins spellings."""

from typing import TYPE_CHECKING

import streamlit as st

from covidcore.data.report import Report, report
from covidcore.data.spellings import mend
from covidcore.wording import markdown, visible
from pages import shared

if TYPE_CHECKING:
    from covidcore.data.index import Dataset

_HEADS = {
    "class": "Class",
    "found": "Files found",
    "read": "Images read",
    "unreadable": "Unreadable",
    "ignored": "Ignored",
    "masks": "Masks linked",
    "published": "Published",
}


def draw(dataset: "Dataset") -> None:
    """The report, as ``scan`` prints it."""
    said = report(dataset)
    st.subheader("Import report", anchor=False)
    table = said.table.dropna(axis="columns", how="all")
    table["class"] = table["class"].map(lambda name: visible(name) or "in no class folder")
    st.dataframe(
        table.rename(columns=_HEADS), hide_index=True, alt="Files of each class: read, left out",
        placeholder="\N{EN DASH}", column_config=dict.fromkeys(
            list(_HEADS.values())[1:], st.column_config.NumberColumn(format="localized")
        ),
    )  # fmt: skip
    st.markdown("\n".join(f"- {markdown(sentence)}" for sentence in said.sentences))
    if said.spellings:
        _offer_joining(dataset, said)


def _offer_joining(dataset: "Dataset", said: Report) -> None:
    st.warning("One class under several names is learnt as several classes.")
    st.code(visible(said.command), language="sh", wrap_lines=True)
    if st.button("Join the spellings as a new dataset", key="join_spellings"):
        with shared.told():
            with shared.progress_bar("Joining") as progress:
                joined = mend(dataset, shared.settings(), progress)
            shared.choose("dataset", joined.fingerprint)
