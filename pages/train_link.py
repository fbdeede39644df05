"""What a link brings to the train page's fields: a split that was chosen on the explore page."""

from dataclasses import dataclass, field

import streamlit as st

from covidcore.data.index import Dataset
from covidcore.training.recipe import CHOICES

FIELDS = ("split", "group_by", "seed", "exclude_sources")
_TAKEN = "_split_of_link"


@dataclass(frozen=True)
class Carried:
    """Fields that a link fills in for every preset."""

    fields: dict[str, str] = field(default_factory=dict)
    """Name -> text, as it would be typed; the field itself refuses what is no value of it."""
    sources: tuple[str, ...] = ()
    """To leave out."""
    mark: str = ""
    """Goes into the keys of these fields: they are not those that were drawn before."""


def carried(dataset: Dataset) -> Carried:
    """What the last link of this session carried; the address no longer has it then.

    For what is changed from now on is not what the link says.
    """
    query, state = st.query_params, st.session_state
    given = {name: query[name] for name in FIELDS[:-1] if name in query}
    without = query.get_all("exclude_sources")
    if given or without:
        if given.get("group_by") not in CHOICES["group_by"]:
            given.pop("group_by", None)
        mark = state.get(_TAKEN, Carried()).mark + "'"
        state[_TAKEN] = Carried(given, tuple(without), mark)
        for name in FIELDS:
            query.pop(name, None)
    last: Carried = state.get(_TAKEN, Carried())
    present = set(dataset.index["source"]) - {""}
    return Carried(last.fields, tuple(sorted(present & set(last.sources))), last.mark)
