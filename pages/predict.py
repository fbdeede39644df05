"""Upload images, get answers, or refusals with a reason; of each, what it is worth."""

from typing import Any

import streamlit as st

from covidcore.data.decode import Limits
from covidcore.data.filenames import KINDS_READ, is_hidden
from covidcore.jobs.info import RunInfo
from covidcore.wording import markdown
from pages import (
    predict_answers,
    predict_card,
    predict_models,
    predict_sample,
    predict_table,
    shared,
    shared_choice,
    shared_demo,
)

MOST_FILES = 200
LIMITS = Limits()


def draw() -> None:
    """Uploads, and what the run says to them."""
    with shared.frame("Predict", "Let a run answer about images of your own. They are not stored."):
        run = shared_choice.pick_finished_run(own=True)
        if run is None:
            predict_models.draw(None)
            return
        files, anyway = ask(run)
        point = shared.store().operating(run.run)
        asked = predict_answers.answers(run.run, files, point, anyway)
        if not asked and point and point.thresholds:
            st.caption(f":material/tune: {predict_card.by_thresholds(point)}")
        if asked:
            shared.note_seen("an answer")
            about = predict_card.About.of(run, point)
            one = asked[predict_table.draw(asked, about) if len(asked) > 1 else 0]
            predict_card.draw(one, about)
            if isinstance(one.file, predict_sample.Sample):
                predict_sample.say_truth(one.file, one.said["answer"])
            st.caption(
                f"“{markdown(run.name)}” chooses among its classes only; it has no answer "
                "for anything else, and a probability is not how sure a physician would be."
            )
        predict_models.draw(run)


def ask(run: RunInfo) -> tuple[list[Any], bool]:
    """The files, and whether those that the gate refuses are answered as well.

    A test image stands for the files where none was sent.
    """
    most = shared_demo.at_once(MOST_FILES)
    place = st.container()
    controls = st.container(horizontal=True, vertical_alignment="center")
    with controls:
        folder = st.toggle(
            "Browse for a folder",
            key="folder",
            help="All files of a folder and of those in it; what is no image is refused by name.",
        )
        anyway = st.toggle(
            "Answer anyway where the gate refuses",
            key="anyway",
            help="The refusal stays beside the answer. What a network says to an image unlike "
            "those it was trained on means nothing; it can be worth seeing once.",
        )
    uploads = place.file_uploader(
        f"Radiographs: {KINDS_READ}, {LIMITS.in_words()}; {most} at once",
        accept_multiple_files="directory" if folder else True,
        key="uploads",
    )
    files = [one for one in uploads if not is_hidden(one.name.rpartition("/")[2])]
    if len(files) > most:
        st.error(f"These are {len(files)} files; only the first {most} are answered.")
    if not files:
        with controls:
            files = predict_sample.draw(run)
    return files[:most], anyway


shared.page(draw)
