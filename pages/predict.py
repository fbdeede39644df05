"""Upload images, get answers, or refusals with a reason."""

from typing import Any

import streamlit as st

from covidcore import charts
from covidcore.data.decode import decode
from covidcore.data.pixels import resize
from covidcore.evaluation.operating import OperatingPoint
from covidcore.inference.table import as_csv, as_table
from covidcore.jobs.folder import State
from covidcore.wording import markdown, percent, visible
from pages import shared, shared_demo

MOST_FILES = 50


def answers(
    run: str, uploads: list[Any], point: OperatingPoint | None = None
) -> list[dict[str, Any]]:
    """What the run says to each upload, asked once a file and kept while the file is there."""
    known, rule = st.session_state.get("answers", {}), (run, str(point or ""))
    new = [file for file in uploads if (rule, file.file_id) not in known]
    if new:
        model = shared.predictor(run, shared.settings().home)
        with st.spinner("Looking at the images"):
            items = [(file.name, file.getvalue()) for file in new]
            said = shared_demo.in_turn(items, lambda part: model.predict(part, point))
        known = known | {(rule, file.file_id): one for file, one in zip(new, said, strict=True)}
    kept = {(rule, file.file_id): known[rule, file.file_id] for file in uploads}
    st.session_state["answers"] = kept
    return list(kept.values())


def card(key: str, data: bytes, said: dict[str, Any]) -> None:
    """One file: how it looks, and the answer or the reason why there is none."""
    with st.container(border=True):
        picture, words = st.columns([1, 3])
        with words:
            st.text(visible(said["file"]))
            if said["refused"]:
                st.warning(f"No answer. {markdown(said['reason'])}", icon=":material/block:")
            else:
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
                st.caption(
                    ":material/content_copy: The training data holds this image or one very like "
                    f"it: {markdown(said['near_training_image'])}. The answer proves nothing."
                )
        if said["refused"] not in ("unreadable", "unsupported_format", "too_large", "too_small",
                                   "too_many_pixels"):  # fmt: skip
            name = visible(said["file"])
            picture.image(resize(decode(data).pixels, shared.THUMBNAIL), width="stretch", alt=name)


shared.ensure_router()
with shared.frame("Predict", "Let a run answer about images of your own. They are not stored."):
    run = shared.pick_run([run for run in shared.store().list() if run.state is State.DONE])
    if run is None:
        st.info("There is no finished run yet: train one first.")
        st.page_link(shared.TRAIN, label="Train a model", icon=":material/model_training:")
        st.stop()
    uploads = st.file_uploader(
        "Radiographs: PNG, JPEG or DICOM, 32 to 12,000 pixels a side, 25 MB each, "
        f"{MOST_FILES} at once",
        accept_multiple_files=True,
        key="uploads",
    )
    if len(uploads) > MOST_FILES:
        st.error(f"These are {len(uploads)} files; only the first {MOST_FILES} are answered.")
        uploads = uploads[:MOST_FILES]
    point = shared.store().operating(run.run)
    if point and point.thresholds:
        st.caption(
            f":material/tune: This run answers by thresholds that were saved with it: "
            f"{markdown(point)}. They are chosen under Evaluate, “Operating point”."
        )
    said = answers(run.run, uploads, point)
    if len(said) > 1:
        table = as_table(said, shared.store().job(run.run)["classes"])
        table["file"] = table["file"].map(visible)
        shares = [name for name in table if name.startswith("p:")]
        st.dataframe(
            table,
            hide_index=True,
            alt="Answers",
            column_order=["file", "answer", *shares, "reason"],
            column_config=dict.fromkeys(shares, st.column_config.NumberColumn(format="percent")),
            placeholder="",
        )
        st.download_button(
            "Download as CSV", as_csv(table), "answers.csv", "text/csv", on_click="ignore",
            icon=":material/download:",
        )  # fmt: skip
    for file, one in zip(uploads, said, strict=True):
        card(file.file_id, file.getvalue(), one)
    if said:
        st.caption(
            f"The run {markdown(run.name)} chooses among its classes only; it has no answer for "
            "anything else, and a probability is not how sure a physician would be."
        )
