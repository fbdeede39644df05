"""The view Stress tests of the evaluate page: what altered images and left-out sources tell."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from covidcore import chart_stress
from covidcore.data import lungs, pixels
from covidcore.evaluation.corruptions import CORRUPTIONS, corrupt
from covidcore.evaluation.stress import FALL
from covidcore.jobs.stress import stress_study
from covidcore.wording import duration, interval, markdown, percent, visible
from pages import shared, shared_notes, shared_tasks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from covidcore.jobs.info import RunInfo

_BARE = {"displayModeBar": False}
_SIGNS = {
    "good": ":green[:material/check:]",
    "bad": ":orange[:material/warning:]",
    "none": ":blue[:material/info:]",
}
ABOUT = """
Asks what the run's answers rest on: test images with the lungs blacked, or all but the lungs; heads
that have never seen a source; images that were made darker, noisier, turned, marked; and where the
network looks. About a minute; it goes on when this page is closed, and is kept.
"""
SEEN = {"whole": "as it is", "lungs_out": "lungs out", "lungs_only": "lungs only"}


def draw(run: "RunInfo") -> None:
    """What was found before, else the way to it, or how far it is."""
    study = stress_study(shared.store(), run.run)
    found = study.stored()
    if found is None:
        shared_tasks.ask(study, ABOUT, "Run the stress tests", "stress")
        return
    _lungs(found)
    _examples(run, found["examples"])
    _attention(found)
    _sources(found["leave_one_source_out"])
    _ladder(run, found)
    st.caption(
        f"Took {duration(found['seconds'])}, on {found['n']:,} of {found['of']:,} test images. "
        f"The same from a shell: `{found['command']}`"
    )


def _verdict(title: str, sign: str, text: str, *terms: str) -> None:
    shared_notes.heading(title, *terms)
    st.markdown(f"{_SIGNS[sign]} {markdown(text)}")


def _praise(found: dict[str, Any]) -> str:
    """The sign of what speaks for a run; of a box in place of lungs nothing does."""
    return "none" if found["lungs"]["boxes"] else "good"


def _lungs(found: dict[str, Any]) -> None:
    """Both tests in words, and their figures beside those of whole images and of chance."""
    out, only = found["lungs_out"], found["lungs_only"]
    signs = {"untested": "none", "above_chance": "bad", "at_chance": "none"}
    _verdict("Lungs out", signs[out["finding"]], out["verdict"], "lungs_out", "shortcut")
    signs = {"untested": "none", "above_chance": _praise(found), "at_chance": "bad"}
    _verdict("Lungs only", signs[only["finding"]], only["verdict"], "lungs_out")
    st.plotly_chart(
        chart_stress.parts(
            {"Whole images": found, "Lungs out": out, "Lungs only": only}, found["chance"]
        ),
        config=_BARE,
        key="stress_parts",
        alt="Accuracy on whole images, with lungs out and with lungs only, against chance",
    )
    st.caption(
        "Blacked as in Maguolo & Nanni 2021, who trained anew on such images; here the finished "
        "run looks at them, so a fall may also come of the black shape being new to it."
    )


@st.cache_data(max_entries=8, show_spinner="Reading images")
def _pictures(dataset: str, files: tuple[str, ...], home: Path) -> "dict[str, NDArray[np.uint8]]":
    """Of each file that can be read, three squares: as it is, lungs out, lungs only."""
    import numpy as np

    opened = shared.open_dataset(dataset, home)
    rows = [int(row) for row in opened.index.index[opened.index["file"].isin(files)]]
    found = {}
    for row, square in zip(rows, pixels.squares(opened, rows, shared.THUMBNAIL, home), strict=True):
        if square is not None:
            areas, one = lungs.lungs_of(opened, [row], shared.THUMBNAIL).areas, square[None]
            seen = np.concatenate([one, lungs.without(one, areas), lungs.only(one, areas)])
            found[str(opened.index.at[row, "file"])] = seen
    return found


def _examples(run: "RunInfo", examples: list[dict[str, Any]]) -> None:
    """A row of squares an image: what the model saw, and what it answered."""
    with st.expander("What the run saw, and what it answered"):
        files = tuple(one["file"] for one in examples)
        found = _pictures(run.dataset, files, shared.settings().home)
        for one in (one for one in examples if one["file"] in found):
            kind = "its mask" if one["masked"] else "no mask, so a box"
            st.markdown(f"{markdown(one['label'])}: {markdown(one['file'])} ({kind})")
            with st.grid("auto", min_column_width=150):
                for square, (name, title) in zip(found[one["file"]], SEEN.items(), strict=True):
                    shared.thumbnail(square, title, f"answered {one[name]}")


def _attention(document: dict[str, Any]) -> None:
    found = document["attention"]
    signs = {"inside": _praise(document), "outside": "bad", "even": "bad", "untested": "none"}
    _verdict("Attention in lungs", signs[found["finding"]], found["verdict"], "heatmap")


def _sources(found: dict[str, Any]) -> None:
    """The verdict, and a row for each source."""
    signs = {"falls": "bad", "unlearnable": "bad", "holds": "good", "untested": "none"}
    _verdict("Leave one source out", signs[found["finding"]], found["verdict"], "source_out")
    if not found["sources"]:
        return
    st.dataframe(
        pd.DataFrame(
            {
                "source left out": visible(one["source"]),
                "n": one["n"],
                "classes": ", ".join(f"{n:,} {name}" for name, n in one["classes"].items()),
                "accuracy": percent(one["accuracy"]),
                "95 %": interval(one["accuracy_ci"]),
                "with all sources": percent(one["reference"]["accuracy"]),
                "95 % with all": interval(one["reference"]["accuracy_ci"]),
                "can not be learnt without it": ", ".join(one["unlearnable"]),
            }
            for one in found["sources"]
        ),
        hide_index=True,
        alt="Accuracy on the images of each source by a head that has not seen it",
    )
    st.caption(
        "A linear head on the features of the frozen backbone, which know no labels of these "
        "images. With all sources: the same head, leaving out a fold of patients and pictures."
    )


def _ladder(run: "RunInfo", found: dict[str, Any]) -> None:
    """The verdict, a small chart of each corruption, and pictures of one of them."""
    sign = {"falls": "bad", "holds": "good", "untested": "none"}[found["ladder"]["finding"]]
    _verdict("Corruptions", sign, found["corruptions_verdict"], "corruptions")
    with st.grid(3, min_column_width=260):
        for one in found["corruptions"]:
            with st.container(gap="xsmall"):
                st.markdown(f"**{markdown(one['kind'])}**")
                st.plotly_chart(
                    chart_stress.corruption(one, found["ladder"]["accuracy"], FALL),
                    config=_BARE,
                    key=f"stress-{one['kind']}",
                    alt=f"Accuracy by level of {one['kind']}",
                )
    st.caption(
        f":material/info: {found['ladder']['n']:,} images, with 95 % intervals. Below the dotted "
        "line 5 points of accuracy or more are lost; such levels are orange diamonds."
    )
    kind = st.selectbox("Look at", list(CORRUPTIONS), key="stress_kind", width=200)
    files = tuple(one["file"] for one in found["examples"])
    pictures = _pictures(run.dataset, files, shared.settings().home)
    if pictures:
        file, squares = next(iter(pictures.items()))
        with st.grid("auto", min_column_width=150):
            shared.thumbnail(squares[0], file, "unaltered")
            for level in CORRUPTIONS[kind].levels:
                said = f"{level:g} " * (len(CORRUPTIONS[kind].levels) > 1) + CORRUPTIONS[kind].unit
                shared.thumbnail(corrupt(squares[:1], kind, level)[0], file, said)
