"""Upload images, get answers, or refusals with a reason."""

from functools import partial
from typing import Any

import streamlit as st

from covidcore import charts
from covidcore.data.decode import Limits, decode
from covidcore.data.filenames import KINDS_READ
from covidcore.data.pixels import resize
from covidcore.evaluation.operating import OperatingPoint
from covidcore.inference.gate import NEGATIVE
from covidcore.inference.table import as_csv, as_table
from covidcore.show import memory
from covidcore.wording import markdown, percent, visible
from pages import shared, shared_choice, shared_demo, shared_model

MOST_FILES = 50
LIMITS = Limits()


def answers(
    run: str, uploads: list[Any], point: OperatingPoint | None, anyway: bool
) -> list[dict[str, Any]]:
    """What the run says to each upload, asked once a file and kept while the file is there."""
    known, model = (
        st.session_state.get("answers", {}),
        shared_model.predictor(run, shared.settings().home),
    )
    if model.missing:
        st.caption(f":material/info: {markdown(model.missing)}")

    def key(file: Any) -> tuple[Any, ...]:
        return run, str(point or ""), anyway, is_turned(file.file_id), file.file_id

    for inverted in (False, True):
        new = [
            file
            for file in uploads
            if key(file) not in known and is_turned(file.file_id) == inverted
        ]
        if new:
            with st.spinner("Looking at the images"):
                items = [(file.name, file.getvalue()) for file in new]
                ask = partial(model.predict, point=point, anyway=anyway, invert=inverted)
                said = shared_demo.in_turn(items, ask)
            known = known | {key(file): one for file, one in zip(new, said, strict=True)}
    kept = {key(file): known[key(file)] for file in uploads}
    st.session_state["answers"] = kept
    return list(kept.values())


def is_turned(key: str) -> bool:
    """Whether a person said that this file is a negative."""
    return bool(st.session_state.get(f"turn-{key}", False))


def card(key: str, data: bytes, said: dict[str, Any]) -> None:
    """One file: how it looks, and the answer or the reason why there is none."""
    with st.container(border=True):
        picture, words = st.columns([1, 3])
        with words:
            st.text(visible(said["file"]))
            if said["refused"]:
                lead = "No answer." if said["answer"] is None else "The gate refused this image:"
                st.warning(f"{lead} {markdown(said['reason'])}", icon=":material/block:")
            if is_turned(key) or said["reason"] == NEGATIVE.reason:
                st.toggle("Turn black and white round", key=f"turn-{key}")
            if said["answer"] is not None:
                if said["refused"]:
                    st.caption(":material/warning: Answered anyway, as asked for above.")
                top = said["probabilities"][said["answer"]]
                st.subheader(f"{markdown(said['answer'])}, {percent(top)}", anchor=False)
                st.plotly_chart(
                    charts.probability_bars(said["probabilities"]),
                    key=key,
                    config={"displayModeBar": False},
                    alt="Probability of each class",
                )
            for warning in said["warnings"]:
                st.caption(f":material/warning: {markdown(warning)}")
            if said["near_training_image"]:
                st.info(
                    markdown(memory(visible(said["near_training_image"]))),
                    icon=":material/content_copy:",
                )
        if said["refused"] not in ("unreadable", "unsupported_format", "too_large", "too_small",
                                   "too_many_pixels"):  # fmt: skip
            name = visible(said["file"])
            pixels = resize(decode(data).pixels, shared.THUMBNAIL)
            picture.image(255 - pixels if is_turned(key) else pixels, width="stretch", alt=name)


def draw() -> None:
    """Uploads, and what the run says to them."""
    with shared.frame("Predict", "Let a run answer about images of your own. They are not stored."):
        run = shared_choice.pick_finished_run()
        if run is None:
            return
        uploads, anyway = ask()
        point = shared.store().operating(run.run)
        if point and point.thresholds:
            st.caption(
                f":material/tune: This run answers by thresholds that were saved with it: "
                f"{markdown(point)}. They are chosen under Evaluate, “Operating point”."
            )
        said = answers(run.run, uploads, point, anyway) if uploads else []
        if len(said) > 1:
            table(said, shared.store().job(run.run)["classes"])
        for file, one in zip(uploads, said, strict=True):
            card(file.file_id, file.getvalue(), one)
        if said:
            st.caption(
                f"The run {markdown(run.name)} chooses among its classes only; it has no answer "
                "for anything else, and a probability is not how sure a physician would be."
            )


def ask() -> tuple[list[Any], bool]:
    """The files, and whether those that the gate refuses are answered as well."""
    most = shared_demo.at_once(MOST_FILES)
    uploads = st.file_uploader(
        f"Radiographs: {KINDS_READ}, {LIMITS.in_words()}; {most} at once",
        accept_multiple_files=True,
        key="uploads",
    )
    if len(uploads) > most:
        st.error(f"These are {len(uploads)} files; only the first {most} are answered.")
    anyway = st.toggle(
        "Answer anyway where the gate refuses",
        key="anyway",
        help="The refusal stays beside the answer. What a network says to an image unlike those "
        "it was trained on means nothing; it can be worth seeing once.",
    )
    return uploads[:most], anyway


def table(said: list[dict[str, Any]], classes: list[str]) -> None:
    """All answers at a glance, and as CSV."""
    rows = as_table(said, classes)
    rows["file"] = rows["file"].map(visible)
    shares = [name for name in rows if name.startswith("p:")]
    st.dataframe(
        rows,
        hide_index=True,
        alt="Answers",
        column_order=["file", "answer", *shares, "reason"],
        column_config=dict.fromkeys(shares, st.column_config.NumberColumn(format="percent")),
        placeholder="",
    )
    st.download_button(
        "Download as CSV", as_csv(rows), "answers.csv", "text/csv", on_click="ignore",
        icon=":material/download:",
    )  # fmt: skip


shared.page(draw)
