"""Pictures of the view Audit: copies side by side, and images that are out of the ordinary."""

from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from covidcore.data.audit_pictures import RULES
from covidcore.data.audit_tables import Pair, by_rule, pairs
from covidcore.data.index import Dataset
from covidcore.wording import markdown, visible
from pages import shared

PAIRS_SHOWN, SHOWN = 6, 24
_GAP, _GREY = 6, 128
"""Pixels between two pictures, and their grey."""
KINDS = {
    "exact": "Exact copies",
    "near": "Near copies",
    "conflicts": "One picture, two labels",
}

Document = dict[str, Any]


def copies(dataset: Dataset, document: Document) -> None:
    """Exact copies, near copies and label conflicts, as pairs side by side, some at a time."""
    st.subheader("Copies", anchor=False)
    labels = dict(zip(dataset.index["file"], dataset.index["label"], strict=True))
    found = {kind: some for kind, some in pairs(document, labels).items() if some}
    if not found:
        st.markdown("No picture is there twice: not to the pixel, not nearly, not mirrored.")
        return
    _pairs(dataset.fingerprint, shared.settings().home, found)


@st.fragment
def _pairs(fingerprint: str, home: Path, found: dict[str, list[Pair]]) -> None:
    kind = _chosen("Kind of copy", found, KINDS, "audit_copies")
    dataset = shared.open_dataset(fingerprint, home)
    pixels, rows = shared.pixels(dataset), _rows(dataset)
    place = st.container()
    page = _pager(len(found[kind]), PAIRS_SHOWN, f"audit_copies_{kind}")
    with place.grid(3, min_column_width=300):
        for pair in found[kind][(page - 1) * PAIRS_SHOWN : page * PAIRS_SHOWN]:
            with st.container(border=True):
                _pair(pixels, dataset, rows[pair.first], rows[pair.second])
                st.caption(pair.how)


def outliers(dataset: Dataset, document: Document) -> None:
    """The images that a rule lists, by rule, some at a time."""
    st.subheader("Out of the ordinary", anchor=False)
    found = by_rule(document["outliers"])
    if not found:
        st.markdown("No image is blank, too dark or bright, a negative, turned, coloured or small.")
        return
    _gallery(dataset.fingerprint, shared.settings().home, found)


@st.fragment
def _gallery(fingerprint: str, home: Path, found: dict[str, list[Document]]) -> None:
    titles = {rule: rule.replace("_", " ").capitalize() for rule in found}
    rule = _chosen("Rule", found, titles, "audit_rule")
    listed = found[rule]
    st.markdown(f"{'These' if len(listed) > 1 else 'This'} {RULES[rule][len(listed) > 1]}.")
    dataset = shared.open_dataset(fingerprint, home)
    pixels, rows = shared.pixels(dataset), _rows(dataset)
    place = st.container()
    page = _pager(len(listed), SHOWN, f"audit_outliers_{rule}")
    with place.grid("auto", min_column_width=120, gap="small"):
        for one in listed[(page - 1) * SHOWN : page * SHOWN]:
            _picture(pixels, dataset, rows[one["file"]])


def _pair(pixels: Any, dataset: Dataset, first: int, second: int) -> None:
    """Both in one picture, so that they stay side by side on a phone; what differs is named."""
    between = np.full((pixels.shape[1], _GAP), _GREY, np.uint8)
    both = dataset.index.iloc[[first, second]]
    names = [file.rpartition("/")[2] for file in both["file"]]
    lines = [f"{name} · {label}" for name, label in zip(names, both["label"], strict=True)]
    sources = [source for source in dict.fromkeys(both["source"]) if source]
    st.image(
        np.hstack([pixels[first], between, pixels[second]]),
        caption="  \n".join(markdown(line) for line in (*lines, " and ".join(sources)) if line),
        width="stretch",
        alt=visible(" and ".join(both["file"])),
    )


def _rows(dataset: Dataset) -> dict[str, int]:
    return {file: row for row, file in enumerate(dataset.index["file"])}


def _picture(pixels: Any, dataset: Dataset, row: int) -> None:
    one = dataset.index.iloc[row]
    shared.thumbnail(pixels[row], one["file"], one["label"], one["source"])


def _chosen(title: str, found: Mapping[str, Sized], titles: Mapping[str, str], key: str) -> str:
    """The kind of finding to show; each says how many there are."""
    first = next(iter(found))
    kind = st.segmented_control(
        title,
        list(found),
        default=first,
        required=True,
        format_func=lambda kind: f"{titles[kind]} ({len(found[kind]):,})",
        key=key,
        label_visibility="collapsed",
    )
    return kind if kind in found else first


def _pager(count: int, shown: int, key: str) -> int:
    """The page asked for; a single page needs no control."""
    pages = -(-count // shown)
    return st.pagination(pages, key=key) if pages > 1 else 1
