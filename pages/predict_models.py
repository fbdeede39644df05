"""Part of the predict page: take a model away, bring one in."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from covidcore.data.uploads import store_upload
from covidcore.errors import CheckpointError
from covidcore.jobs.exports import checkpoint_bytes, onnx_bytes, onnx_missing
from covidcore.jobs.imports import import_model
from covidcore.wording import markdown, visible
from pages import shared, shared_model

if TYPE_CHECKING:
    from covidcore.jobs.info import RunInfo


def draw(run: "RunInfo | None") -> None:
    """Both ways, folded up; nothing in a public demo, where the library refuses them as well."""
    if shared.settings().demo:
        return
    with st.expander("Take this model away, or bring one in", icon=":material/swap_vert:"):
        if run is not None:
            _take_away(run)
        _bring_in()


def _take_away(run: "RunInfo") -> None:
    st.markdown(
        "**Take away.** A checkpoint can be brought in by another covidcore. Yours holds a small "
        "picture of each training image, by which the model knows them again; the one to share has "
        "hashes in their place, and half the size. ONNX is for other programs; it is checked "
        "against torch first, which takes some seconds."
    )
    missing = onnx_missing()
    own = "" if run.tested else "It was imported, and is passed on as it is."
    kinds = (
        ("Checkpoint (.zip)", "zip", checkpoint_bytes, ""),
        ("Checkpoint to share (.zip)", "share.zip", partial(checkpoint_bytes, share=True), own),
        ("ONNX (.onnx)", "onnx", onnx_bytes, missing),
    )
    with st.container(horizontal=True):
        for name, ending, made, problem in kinds:
            st.download_button(
                name, lambda made=made: made(shared.store(), run.run),
                f"model-{run.run[:8]}.{ending}", on_click="ignore", disabled=bool(problem),
                icon=":material/download:", key=f"take-{ending}",
            )  # fmt: skip
    if missing:
        st.caption(f":material/info: {markdown(missing)}")


def _bring_in() -> None:
    limit = st.get_option("server.maxUploadSize")
    st.markdown(
        "**Bring in.** A checkpoint as “Take away” makes it: safetensors and a contract, nothing "
        f"else; pickles (.pth, .pt) are refused. Up to {limit} MB; give the path of a larger one."
    )
    file = st.file_uploader("Checkpoint (.zip)", key="checkpoint")
    path = st.text_input("or its path on this machine, a .zip or a folder", key="checkpoint_path")
    if st.button("Bring it in", disabled=file is None and not path.strip()):
        with shared.told(), st.spinner("Checking the model"):
            _import(file, path.strip())


def _import(file: "st.runtime.uploaded_file_manager.UploadedFile | None", path: str) -> None:
    """Check it and choose it. Raises: CovidcoreError, in a sentence."""
    store = shared.store()
    if file is None and not Path(path).exists():
        raise CheckpointError(f"{path} is not there.")
    shared_model.load_torch()
    if file is None:
        made = import_model(store, Path(path).expanduser())
    else:
        name = visible(file.name)
        made = import_model(store, store_upload(file, name, shared.settings()), name)
    shared.note(f"The model {made.name} is here; it is chosen in the sidebar.")
    shared.choose("run", made.run)
