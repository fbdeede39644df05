"""What a dataset holds: figures, every image, what its classes have in common, and ways to more."""

import streamlit as st

from pages import (
    explore_audit,
    explore_images,
    explore_means,
    explore_overview,
    explore_split,
    shared,
    shared_choice,
    shared_sources,
)

# What can be looked at, in the order of the control; each is drawn with the dataset alone.
VIEWS = {
    "Overview": explore_overview.draw,
    "Images": explore_images.draw,
    "Means": explore_means.draw,
    "Audit": explore_audit.draw,
    explore_split.VIEW: explore_split.draw,
}


def draw() -> None:
    """The dataset that is chosen, by one of the views."""
    with shared.frame(
        "Explore", "What a dataset holds, where it comes from, and what was left out."
    ):
        dataset = shared_choice.pick_known_dataset(shared.store().list())
        if dataset is None:
            shared.offer_data()
            shared_sources.offer_more()
            return
        if not shared.settings().demo:
            with st.expander("Bring in data", icon=":material/add:"):
                shared.offer_data()
                shared_sources.offer_more()

        shared.titled(
            dataset.name, shared.TRAIN, "Train a model on it", "model_training",
            dataset=shared.link(dataset.fingerprint),
        )  # fmt: skip
        if dataset.synthetic:
            st.warning("Synthetic phantoms: drawn by this program, no patient behind them.")
        if not shared.settings().demo:  # strangers need not know where things lie
            st.text(str(dataset.root))
        view = st.segmented_control(
            "View", list(VIEWS), default="Overview", key="view", required=True,
            bind="query-params", label_visibility="collapsed",
        )  # fmt: skip
        VIEWS[view](dataset)


shared.page(draw)
