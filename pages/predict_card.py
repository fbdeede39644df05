"""One upload: how it looks, the answer or why there is none, and what the answer is worth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from covidcore import charts
from covidcore.errors import RunError
from covidcore.evaluation.metrics import IntArray
from covidcore.evaluation.operating import OperatingPoint, screening
from covidcore.evaluation.predictive import PREVALENCES
from covidcore.inference.gate import NEGATIVE
from covidcore.inference.meaning import Meaning, matrix_of_test, meanings
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.info import RunInfo
from covidcore.jobs.models import stated_figures
from covidcore.show_predict import memory
from covidcore.wording import interval, markdown, percent, visible
from pages import predict_alike, predict_heat, shared, shared_notes
from pages.predict_answers import Asked, kept, turn_key

AS_HERE = "as here"


@dataclass(frozen=True, eq=False)
class About:
    """The run that answers, and how it fared on its test images."""

    run: RunInfo
    point: OperatingPoint | None
    classes: list[str]
    matrix: IntArray | None
    """Of its test images, at its operating point; None where its results are not known."""
    meant: dict[str, Meaning]

    @classmethod
    def of(cls, run: RunInfo, point: OperatingPoint | None) -> "About":
        """Read what is stored of a run."""
        classes = list(shared.store().job(run.run)["classes"])
        if run.imported:
            stated = stated_figures(RunFolder(shared.store().path(run.run)))
            if stated.get("classes") != classes:
                return cls(run, point, classes, None, {})
            matrix = np.array(stated["confusion"], dtype=np.int64)
            return cls(run, point, classes, matrix, meanings(matrix, classes))
        try:
            _, table = shared.results(run.run, shared.settings().home)
        except RunError:  # the model may still answer
            return cls(run, point, classes, None, {})
        matrix = matrix_of_test(table, classes, point)
        return cls(run, point, classes, matrix, meanings(matrix, classes))


def draw(one: Asked, about: About) -> None:
    """All of one upload."""
    said = one.said
    with st.container(border=True):
        picture, words = st.columns([2, 3], gap="medium")
        with words:
            st.text(visible(said["file"]))
            _refusal(one)
            if said["answer"] is not None:
                _answer(said, about)
            for warning in said["warnings"]:
                st.caption(f":material/warning: {markdown(warning)}")
            if said["near_training_image"]:
                st.info(
                    markdown(memory(visible(said["near_training_image"]))),
                    icon=":material/content_copy:",
                )
        with picture:
            _picture(one, about)
        if said["answer"] is not None:
            _worth(said["answer"], about)
            if not about.run.imported:  # whose validation images nobody has
                predict_alike.draw(one, about.run)


def _refusal(one: Asked) -> None:
    """Why there is no answer, and what can be done about it."""
    said = one.said
    if said["refused"]:
        lead = "No answer." if said["answer"] is None else "The gate refused this image:"
        st.warning(f"{lead} {markdown(said['reason'])}", icon=":material/block:")
        shared_notes.what_is("novelty")
    if one.upload.inverted or said["reason"] == NEGATIVE.reason:
        st.toggle(
            "Turn black and white round",
            key=turn_key(one.upload.content),
            persist_state="session",  # also while the card of another upload is open
        )


def _picture(one: Asked, about: About) -> None:
    look = kept().look(one.upload)
    if look is None:
        st.caption(":material/broken_image: It could not be opened.")
        return
    name = visible(one.said["file"])
    if one.said["answer"] is None or not predict_heat.draw(one, look, about.run):
        st.image(look.preview, width="stretch", alt=name)


def _answer(said: dict[str, Any], about: About) -> None:
    """The class, the probability of each, and by what rule that is the answer."""
    if said["refused"]:
        st.caption(":material/warning: Answered anyway, as asked for above.")
    top = said["probabilities"][said["answer"]]
    st.subheader(f"{markdown(said['answer'])}, {percent(top)}", anchor=False)
    st.plotly_chart(
        charts.probability_bars(said["probabilities"]),
        key="probabilities",
        config={"displayModeBar": False},
        alt="Calibrated probability of each class",
    )
    point = about.point
    if point and point.thresholds:
        st.caption(f":material/tune: {by_thresholds(point)}")
    else:
        st.caption(
            ":material/tune: The probabilities are calibrated on validation images; the answer is "
            "the most probable class."
        )


def by_thresholds(point: OperatingPoint) -> str:
    """That answers are not simply the most probable class, in Markdown."""
    return (
        f"This run answers by thresholds that were saved with it: {markdown(point)}. They are "
        "chosen under Evaluate, “Operating point”."
    )


def _worth(answer: str, about: About) -> None:
    """How often such an answer is right: on test images, and where the class is rarer or not."""
    shared_notes.heading(
        "What such an answer is worth", "predictive", "prevalence", "recall", "precision"
    )
    if about.matrix is None:
        st.caption(
            "This model was brought in, and does not say how it fared on test images."
            if about.run.imported
            else "The run's results are damaged: open it under Evaluate to have them made anew."
        )
        return
    meant, at = about.meant[answer], about.classes.index(answer)
    prevalence = _prevalence(answer, about, at)
    found = screening(about.matrix, at, prevalence)
    name = markdown(answer)
    shown = (
        ("Recall", meant.recall, meant.recall_ci,
         f"Of {meant.cases:,} test images of {name}, {meant.found:,} were answered so."),
        ("Precision", meant.precision, meant.precision_ci,
         f"Of {meant.answers:,} test images answered {name}, {meant.found:,} were."),
        ("PPV", found["ppv"], found["ppv_ci"],
         f"Of the answers {name}, how many are right, at this prevalence."),
        ("NPV", found["npv"], found["npv_ci"],
         f"Of the other answers, how many are right in that it is not {name}, at this prevalence."),
    )  # fmt: skip
    with st.grid(4, min_column_width=110):
        for title, value, ends, text in shown:
            st.metric(
                title, percent(value), interval(ends), delta_color="off", delta_arrow="off",
                help=text,
            )  # fmt: skip
    st.markdown(
        f"Where **{percent(found['prevalence'])}** of the people who are asked about are {name}, "
        f"of 1,000 such answers about **{_thousand(found['ppv'])}** are right, and of 1,000 other "
        f"answers **{_thousand(found['npv'])}**."
    )
    st.caption(
        f"Recall and precision: {int(about.matrix.sum()):,} test images "
        f"{'as its contract states' if about.run.imported else 'of the run'}, Wilson's "
        "intervals of 95 %. PPV and NPV: those of Mercaldo, Lau and Zhou. They hold for images "
        "like the test images, and for this one only as one of many."
    )


def _prevalence(answer: str, about: About, at: int) -> float | None:
    """How common a person says that the class is; None: as among the test images."""
    options = [AS_HERE, *(percent(value) for value in PREVALENCES)]
    point = about.point
    saved = percent(point.prevalence) if point and point.positive == answer else AS_HERE
    chosen = st.select_slider(
        f"How common {markdown(answer)} is among the people who are asked about (prevalence)",
        options,
        saved if saved in options else AS_HERE,
        key=f"share-{about.run.run[:4]}-{at}",
        persist_state="session",
        help="“As here”: as among the test images.",
    )
    return None if chosen == AS_HERE else PREVALENCES[options.index(chosen) - 1]


def _thousand(share: float) -> str:
    """A share as a number of 1,000; a dash where it is not known."""
    return percent(share) if share != share else f"{1000 * share:,.0f}"
