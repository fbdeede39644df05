"""Models in the server: torch is loaded once, by whoever asks first, and kept small.

Where ``COVIDCORE_BACKEND`` is ``onnx`` answers need no torch, and it is not loaded for them.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from covidcore.lean import give_back, spare_memory
from pages import shared

if TYPE_CHECKING:
    from covidcore.inference.predictor import Predictor


@st.cache_resource(max_entries=2, show_spinner="Loading the model")
def predictor(run: str, home: Path) -> "Predictor":
    """A run's model, ready to answer."""
    from threadpoolctl import threadpool_limits

    from covidcore.inference.predictor import Predictor
    from covidcore.jobs.models import model_folder

    settings = shared.settings()
    if settings.backend == "torch":
        load_torch()
    elif settings.demo:
        spare_memory()
    model = Predictor.open(model_folder(shared.store(), run), home, backend=settings.backend)
    # NumPy's threads wait for work at full speed, on the processors that other visitors need.
    threadpool_limits(1)  # type: ignore[no-untyped-call]
    settle_memory()
    return model


@st.cache_resource(show_spinner="Loading torch")
def load_torch() -> None:
    """Import torch once, so that pages stay as fast as they were."""
    if shared.settings().demo:
        spare_memory()
    import torch

    torch.set_num_threads(1)  # two threads on a busy machine are ten times slower than one
    settle_memory()


def settle_memory() -> None:
    """Keep what was just loaded from being searched for garbage, which Streamlit does each run."""
    import gc

    gc.collect()
    gc.freeze()
    if shared.settings().demo:
        give_back()
