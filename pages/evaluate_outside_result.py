"""What was found of a run on another dataset: figures, the drop, the images behind each cell."""

from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from covidcore import chart_outside, charts
from covidcore.data.decode import decode
from covidcore.errors import DataError, DecodeError
from covidcore.evaluation.outside import SPLIT
from covidcore.evaluation.predictions import cell
from covidcore.inference.table import as_csv
from covidcore.jobs.outside import outside_predictions
from covidcore.show_outside import NO_DROP, aside_in_words
from covidcore.wording import answered, interval, markdown, percent, points, visible
from pages import shared

if TYPE_CHECKING:
    from covidcore.data.index import Dataset
    from covidcore.jobs.info import RunInfo

SHOWN = 12
_BARE = {"displayModeBar": False}


def draw(run: "RunInfo", results: list[dict[str, Any]]) -> None:
    """One of the results, the newest at first."""
    by_key = {one["key"]: one for one in results}
    key = st.selectbox(
        "Result",
        list(by_key),
        format_func=lambda key: _title(by_key.get(key)),
        key=f"outside-result-{run.run}",
        label_visibility="collapsed" if len(by_key) == 1 else "visible",
    )
    found = by_key[key]
    _figures(found)
    left, right = st.columns(2, gap="large")
    with left:
        st.plotly_chart(
            charts.matrix(found["confusion"], found["classes"], dark=shared.is_dark()),
            config=_BARE,
            key=f"outside-matrix-{key}",
            alt="Confusion matrix on the other dataset, rows the truth",
        )
    with right:
        if found["drop"] is None:
            st.info(NO_DROP, icon=":material/info:")
        else:
            _compared(found, key)
    _not_scored(found)
    _behind(run, found)


def _compared(found: dict[str, Any], key: str) -> None:
    """The run's own test images beside these."""
    st.plotly_chart(
        chart_outside.inside_and_outside(_rows(found["drop"])),
        config=_BARE,
        key=f"outside-drop-{key}",
        alt="Share right on the run's own test images and on this dataset, with intervals",
    )
    st.caption(
        "Mean recall weights the classes that are here alike. Intervals take images as "
        "independent and are too narrow where a patient has many."
    )


def _title(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    meant = ", ".join(f"{theirs} as {ours}" for theirs, ours in found["mapping"].items())
    return visible(f"{found['on']['name']} · {meant} · {found['n']:,} images")


def _figures(found: dict[str, Any]) -> None:
    if found["drop"] is None:
        with st.grid(4, min_column_width=150):
            here, ends = percent(found["accuracy"]), interval(found["accuracy_ci"])
            st.metric("Accuracy here", here, ends, delta_color="off", delta_arrow="off")
            st.metric("Images scored", f"{found['n']:,}")
        return
    drop = found["drop"]["accuracy"]
    low, high = drop["ci"]
    alike = found["drop"]["mean_recall"]
    with st.grid(4, min_column_width=150):
        for title, value, below in (
            ("Accuracy here", percent(drop["outside"]), interval(drop["outside_ci"])),
            ("Own test images", percent(drop["inside"]), interval(drop["inside_ci"])),
            (
                "Lower here by",
                f"{100 * drop['difference']:.1f} points",
                points(low, high),
            ),
            ("Images scored", f"{found['n']:,}", f"of {found['on']['images']:,}"),
        ):
            st.metric(title, value, below, delta_color="off", delta_arrow="off")
    if low > 0:
        text = "The run is right **less often here** than its own test images promise"
    elif high < 0:
        text = "The run is right **more often here** than on its own test images"
    else:
        text = "The two figures are **not distinguishable**: the interval of the drop holds 0"
    st.markdown(
        f"{text}. Like for like, with the classes that are here weighted alike: "
        f"{percent(alike['inside'])} of its own test images, {percent(alike['outside'])} here; "
        f"lower by **{points(alike['difference'])}** points ({points(*alike['ci'])}). Intervals "
        "are of 95 %."
    )


def _rows(drop: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the chart shows; of a single class its recall is all there is."""
    recalls = {f"Recall of {name}": one for name, one in drop["per_class"].items()}
    if len(recalls) == 1:
        return recalls
    return {"All images": drop["accuracy"], "Mean recall": drop["mean_recall"], **recalls}


def _not_scored(found: dict[str, Any]) -> None:
    """What was set aside, with what it is like, and what was left out."""
    aside, left = found["set_aside"], found["left_out"]
    said = [markdown(aside_in_words(aside))]
    if left:
        names = ", ".join(f"{count:,} {markdown(name)}" for name, count in left.items())
        said.append(f"Left out, as their classes are not mapped: {names}.")
    if found["unreadable"]:
        said.append(f"{found['unreadable']:,} files could not be read.")
    st.markdown(" ".join(said))
    if not aside["images"]:
        return
    with st.expander("Images set aside"):
        table = pd.DataFrame(aside["files"]).rename(columns={"like": "as the run's image"})
        st.dataframe(
            table.map(visible), hide_index=True, alt="Images set aside and what they are like"
        )
        st.download_button(
            "Download as CSV", as_csv(table), "set-aside.csv", "text/csv", on_click="ignore",
            icon=":material/download:", key=f"aside-{found['key']}",
        )  # fmt: skip


def _behind(run: "RunInfo", found: dict[str, Any]) -> None:
    """The images of one cell, the most surprising first."""
    table = outside_predictions(shared.store(), run.run, found["key"])
    classes, confusion = found["classes"], found["confusion"]
    there = [name for name, row in zip(classes, confusion, strict=True) if sum(row)]
    truth, answer = _largest_error(classes, confusion)
    st.markdown("##### Images behind a cell")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        truth = st.selectbox(
            "Truth", there, there.index(truth), key=f"outside-truth-{found['key']}", width=260
        )
        answer = st.selectbox(
            "Answer",
            classes,
            classes.index(answer),
            key=f"outside-answer-{found['key']}",
            width=260,
        )
        images = cell(table, truth, answer, SPLIT)
        st.download_button(
            "Download as CSV", as_csv(images), "cell.csv", "text/csv", disabled=images.empty,
            icon=":material/download:", on_click="ignore", key=f"outside-csv-{found['key']}",
        )  # fmt: skip
    st.markdown(answered(len(images), truth, answer))
    with shared.told():
        dataset = shared.open_dataset(found["dataset"], shared.settings().home)
        with st.grid("auto", min_column_width=150):
            for row in images.head(SHOWN).itertuples():
                _image(dataset, row)


def _largest_error(classes: list[str], confusion: list[list[int]]) -> tuple[str, str]:
    """Truth and answer of the cell with most wrong answers."""
    cells = [
        (count if row != column else -1, row, column)
        for row, counts in enumerate(confusion)
        for column, count in enumerate(counts)
        if sum(counts)
    ]
    _, row, column = max(cells)
    return classes[row], classes[column]


def _image(dataset: "Dataset", row: Any) -> None:
    try:
        pixels = decode(dataset.root / row.file).pixels
    except (OSError, DecodeError) as error:
        raise DataError(f"{row.file} can not be read any more: {error}") from error
    shared.thumbnail(
        pixels,
        row.file,
        f"P(truth) {percent(row.p_true)}",
        f"P(answer) {percent(row.p_predicted)}",
        f"loss {row.loss:.2f}",
        row.source,
    )
