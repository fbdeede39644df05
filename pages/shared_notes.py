"""A heading with the way to what the figures below it are, for who does not know them yet."""

import streamlit as st

from covidcore.glossary import TERMS
from covidcore.wording import markdown


def heading(title: str, *terms: str) -> None:
    """A subheading (plain text) with a note beside it on each of these terms."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(markdown(title), anchor=False, width="content")
        what_is(*terms)


def what_is(*terms: str) -> None:
    """A small button that opens what these terms of the glossary are, each with its source."""
    with st.popover("What is this?", icon=":material/help:", type="tertiary"):
        for name in terms:
            term = TERMS[name]
            st.markdown(f"**{markdown(term.title)}.** {markdown(term.text)}")
            st.caption(f"Source: {markdown(term.source)}")
