"""What a dataset holds: counts, images, sizes and brightness, and what was left out and why."""

import pandas as pd
import streamlit as st

from covidcore import charts
from covidcore.wording import markdown, visible
from pages import shared, shared_sources

PER_PAGE = 24

shared.ensure_router()
with shared.frame("Explore", "What is in a dataset, where it comes from, and what was left out."):
    dataset = shared.pick_dataset()
    if dataset is None:
        shared.offer_data()
        shared_sources.offer_more()
        st.stop()
    with st.expander("Bring in data", icon=":material/add:"):
        shared.offer_data()
        shared_sources.offer_more()

    index = dataset.index
    st.header(markdown(dataset.name), anchor=False)
    if dataset.synthetic:
        st.warning("Synthetic phantoms: drawn by this program, no patient behind them.")
    st.text(str(dataset.root))
    with st.grid(6, min_column_width=130):
        st.metric("Images", f"{len(index):,}")
        st.metric("Classes", len(dataset.classes))
        st.metric("Layout", dataset.layout)
        st.metric("Ignored files", f"{sum(dataset.ignored.values()):,}")
        st.metric("Unreadable", f"{len(dataset.unreadable):,}")
        st.metric(
            "Duplicates",
            f"{dataset.duplicates['exact']:,} + {dataset.duplicates['near']:,}",
            help="Images that repeat an earlier one to the pixel, and those that look alike.",
        )

    left, right = st.columns(2)
    left.subheader("Images of each class", anchor=False)
    left.plotly_chart(
        charts.class_counts(index, dataset.classes),
        alt="Images of each class",
        config={"displayModeBar": False},
    )
    right.subheader("Where they come from", anchor=False)
    table = pd.crosstab(index["source"].replace("", "not stated").map(visible), index["label"])
    right.dataframe(table.rename_axis("source"), alt="Images of each source and class")
    if (table.gt(0).sum(axis=1) == 1).any():
        right.caption(
            "A source that holds one class only lets a model answer by source: its figures then "
            "look better than it is."
        )

    st.subheader("Images", anchor=False)
    chosen = st.selectbox(
        "Class",
        [None, *dataset.classes],
        format_func=lambda name: "All classes" if name is None else name,
        key="gallery_class",
        width=320,
    )
    rows = index.index if chosen is None else index.index[index["label"] == chosen]
    pixels = shared.pixels(dataset)
    gallery = st.container()
    page = st.pagination(-(-len(rows) // PER_PAGE), key=f"gallery_page_{chosen}")
    shown = rows[(page - 1) * PER_PAGE : page * PER_PAGE]
    with gallery.grid("auto", min_column_width=120, gap="small"):
        for row in shown:
            shared.thumbnail(pixels[row], index.at[row, "file"], index.at[row, "label"])

    left, right = st.columns(2)
    left.subheader("Sizes", anchor=False)
    longer = index[["width", "height"]].max(axis=1)
    if longer.nunique() == 1:
        left.markdown(f"Every image is {longer.iloc[0]:,} pixels on its longer side.")
    else:
        left.plotly_chart(charts.sizes(index, dataset.classes), alt="Longer side of the images")
    right.subheader("Brightness", anchor=False)
    right.plotly_chart(
        charts.brightness(shared.brightness(dataset.fingerprint, shared.settings().home)),
        alt="Mean brightness of the images",
    )

    for title, files in (("Ignored", dataset.ignored_files), ("Unreadable", dataset.unreadable)):
        if files:
            with st.expander(f"{title} files ({len(files):,})"):
                listed = pd.DataFrame(files, columns=["file", "reason"]).map(visible)
                st.dataframe(listed, hide_index=True, alt=f"{title} files and the reason")
