"""A heatmap over an upload, for who asks for one; with what it does not prove."""

import math
from typing import TYPE_CHECKING

import streamlit as st

from covidcore.inference import pictures
from covidcore.inference.kept import Look
from covidcore.inference.onnx_forward import NO_HEAT
from covidcore.jobs.info import RunInfo
from covidcore.wording import markdown, percent, visible
from pages import shared, shared_demo, shared_model, shared_notes
from pages.predict_answers import Asked, kept

if TYPE_CHECKING:
    from covidcore.inference.heat import Heat

NO_PROOF = (
    "A heatmap proves nothing: of seven such methods Grad-CAM is the best, and it still points "
    "well beside what radiologists point at (Saporta et al. 2022, Nature Machine Intelligence)."
)


def draw(one: Asked, look: Look, run: RunInfo) -> bool:
    """A switch; the heated picture where it is on. Returns whether that was drawn."""
    if shared.settings().backend == "onnx":
        st.caption(NO_HEAT)
        return False
    place = st.container()
    asked = st.toggle(
        "Show a heatmap",
        key=f"heat-{one.upload.content[:16]}",
        help="Grad-CAM: where in the image lies what speaks for the answer.",
    )
    if not asked:
        return False
    heat = _heat(one, run)
    grey = pictures.from_jpeg(look.preview)
    answer, name = one.said["answer"], visible(one.said["file"])
    place.image(
        pictures.heated(grey, heat.cells, heat.box), width="stretch", alt=f"{name}, with a heatmap"
    )
    if math.isnan(heat.inside):
        told = "Its maps are too coarse, or empty: how much lies inside the lungs can not be told."
    else:
        told = (
            f"**{percent(heat.inside)}** of the heat for {markdown(answer)} lies inside the lungs, "
            "as far as can be told: an upload has no mask, so the box in the middle stands for "
            f"them, which is {percent(heat.area)} of the picture."
        )
    st.markdown(told)
    st.caption(f":material/warning: {NO_PROOF}")
    shared_notes.what_is("heatmap")
    return True


def _heat(one: Asked, run: RunInfo) -> "Heat":
    """Found once an upload and answer; in a demo it waits for its turn."""
    answer = str(one.said["answer"])

    def find(_: object) -> list["Heat"]:
        model = shared_model.predictor(run.run, shared.settings().home)
        from covidcore.inference.heat import heat_of

        return [heat_of(model, one.file.getvalue(), answer, one.upload.inverted)]

    def make() -> "Heat":
        with st.spinner("Finding where the heat is"):
            found: Heat = shared_demo.in_turn([one.upload.key], find)[0]
        return found

    made: Heat = kept().once("heat", one.upload, f"{run.run} {answer}", make)
    return made
