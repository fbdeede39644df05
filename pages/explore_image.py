"""One image in full: the picture, its row, its grey levels, what training makes of it, its like."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from covidcore import charts
from covidcore.data import viewing
from covidcore.data.audit_images import NAMES
from covidcore.data.gallery import beside
from covidcore.errors import DataError
from covidcore.wording import markdown, visible
from pages import explore_reads, shared, shared_demo, shared_model
from pages.explore_filters import Chosen
from pages.explore_overview import NOT_STATED, SET_NAMES
from pages.explore_tiles import open_image, tiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from covidcore.data.index import Dataset

VARIANTS = 8
NEIGHBOURS = 8
AUGMENTED = {
    "standard": "turned by up to 8 degrees, moved by up to 6 %, scaled, brighter or darker by up "
    "to a tenth",
    "strong": "turned by up to 12 degrees, moved by up to 8 %, cut to as little as three quarters, "
    "with other brightness, contrast, gamma and sharpness, some with painted borders and covered "
    "corners",
}
"""Kinds of augmentation, with what they do."""


def draw(dataset: "Dataset", row: int, chosen: Chosen) -> None:
    """The image of an index row; ``chosen`` are those among which one goes on and back."""
    file = str(dataset.index.at[row, "file"])
    _steps(dataset, row, chosen)
    st.subheader(markdown(file), anchor=False)
    with st.grid(2, min_column_width=330, gap="large") as grid:
        with grid.cell():
            opened = _picture(dataset, row)
        with grid.cell():
            st.dataframe(
                _facts(dataset, row, chosen), hide_index=True, height="content",
                alt=f"What is known of {visible(file)}",
                column_config={"fact": st.column_config.TextColumn(width=120)},
            )  # fmt: skip
            if opened is not None:
                _levels(opened)
    _neighbours(dataset, row)
    if st.toggle(
        "Show what augmentation makes of it",
        key="augmented",
        bind="query-params",
        help="The first time, this loads torch: some seconds, and some 200 MB of memory.",
    ):
        _augmented(dataset, row)


def _steps(dataset: "Dataset", row: int, chosen: Chosen) -> None:
    """Back to the gallery, and on to the images beside this one; also by keys."""
    files, ends = dataset.index["file"], beside(chosen.rows, row)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "All images", icon=":material/arrow_back:", key="back", shortcut="Esc",
            on_click=lambda: st.query_params.pop("image", None),
        )  # fmt: skip
        for title, icon, key, other in zip(
            ("Previous", "Next"), ("chevron_left", "chevron_right"), ("Left", "Right"), ends,
            strict=True,
        ):  # fmt: skip
            st.button(
                title, icon=f":material/{icon}:", key=title.lower(), shortcut=key,
                disabled=other is None, on_click=open_image,
                args=("" if other is None else files[other],),
            )  # fmt: skip
        if row in chosen.rows:
            place = int(chosen.rows.tolist().index(row)) + 1
            st.markdown(f"{place:,} of {len(chosen.rows):,}")
        else:
            st.markdown("Not among the images that the filters leave.")


def _picture(dataset: "Dataset", row: int) -> viewing.View | None:
    """The picture, or why it can not be seen."""
    file, label = dataset.index.at[row, "file"], dataset.index.at[row, "label"]
    alt = f"{visible(file)}, {visible(label)}"
    try:
        opened = explore_reads.view(dataset.fingerprint, row, shared.settings().home)
    except DataError as error:
        st.error(shared_demo.sentence(error), icon=":material/broken_image:")
        return None
    if opened.changed:
        st.warning(
            "This file has changed since the dataset was scanned: the figures on this page are of "
            "the old one. Read the folder again."
        )
    lungs = None
    if dataset.index.at[row, "mask"] and st.toggle(
        "Outline of the lung mask", value=True, key="outline", bind="query-params"
    ):
        with shared.told():
            lungs = viewing.mask(dataset, row)
    if lungs is None:
        st.image(opened.pixels, width="stretch", alt=alt)
    else:
        st.image(
            viewing.outlined(opened.pixels, lungs), width="stretch",
            alt=f"{alt}, with the outline of its lung mask",
        )  # fmt: skip
        st.caption(f"The mask covers {lungs.mean():.0%} of the picture.".replace("%", " %"))
    return opened


def _facts(dataset: "Dataset", row: int, chosen: Chosen) -> pd.DataFrame:
    """The image's row of the index, and what else is known of it, in words."""
    one = dataset.index.loc[row]
    facts = {
        "class": one["label"],
        "source": one["source"] or NOT_STATED,
        "patient": one["group"] or "unknown",
        "set": "" if chosen.sets is None else SET_NAMES[chosen.sets[row]],
        "findings": ", ".join(NAMES[kind] for kind, rows in chosen.findings.items() if rows[row]),
        "size": f"{one['width']:,} x {one['height']:,} pixels",
        "mode": one["mode"],
        "file size": f"{one['bytes']:,} bytes",
        "mask": one["mask"] or "none",
        "file SHA-256": one["sha256"],
        "pixel SHA-256": one["pixel_sha256"],
        "difference hash": one["dhash"],
    }
    rows = [(name, visible(value)) for name, value in facts.items() if value]
    return pd.DataFrame(rows, columns=["fact", "value"])


def _levels(opened: viewing.View) -> None:
    total = int(opened.levels.sum())
    mean = float((opened.levels * range(256)).sum() / total)
    ends = [float(opened.levels[level] / total) for level in (0, 255)]
    st.plotly_chart(
        charts.grey_levels({"": opened.levels}).update_layout(height=260),
        key="chart-image-levels",
        alt=f"Share of the pixels by grey level; the mean is {mean:.0f}",
        config={"displayModeBar": False},
    )
    black, white = (f"{share:.1%}".replace("%", " %") for share in ends)
    st.caption(f"Mean grey level {mean:.0f}; {black} of the pixels are black, {white} white.")


def _neighbours(dataset: "Dataset", row: int) -> None:
    """Copies first, then the images that look most alike."""
    found = explore_reads.neighbours(dataset.fingerprint, row, NEIGHBOURS, shared.settings().home)
    copies, alike = found[found["copy"] != ""], found[found["copy"] == ""]
    if len(copies):
        st.subheader(f"Copies ({len(copies)})", anchor=False)
        _liked(dataset, copies, "copies")
    if len(alike):
        st.subheader("Most similar images", anchor=False)
        _liked(dataset, alike, "alike")
        st.caption(
            "By the correlation of thumbnails of 16 x 16 pixels; “bits” are those of 64 in which "
            "the difference hashes differ. Near copies correlate at 0.985 or more, within 10 bits."
        )


def _liked(dataset: "Dataset", found: pd.DataFrame, key: str) -> None:
    words = []
    for one in found.itertuples():
        kind = {"exact": "exact copy, ", "near": "near copy, "}.get(one.copy, "")
        turned = ", mirrored" if one.mirrored else ""
        label = dataset.index.at[one.row, "label"]
        words.append(f"{label}: {kind}{one.correlation:.3f}, {one.bits} bits{turned}")
    tiles(dataset, found["row"].tolist(), words, key)


def _augmented(dataset: "Dataset", row: int) -> None:
    """The square that training sees, and copies of it as training varies them."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.selectbox("Kind", AUGMENTED, key="augment_kind", bind="query-params", width=160)
        seed = st.number_input(
            "Seed", 0, 9999, key="augment_seed", bind="query-params", width=160,
            help="Another seed gives other copies.",
        )  # fmt: skip
    square = explore_reads.square(dataset, row)
    if square is None:
        st.warning("This file can not be read any more.")
        return
    varied = _varied(square, VARIANTS, seed, kind)
    pictures = [
        ("as it is", square),
        *((f"varied, {at + 1}", one) for at, one in enumerate(varied)),
    ]
    with st.grid("auto", min_column_width=130, gap="small"):
        for words, picture in pictures:
            st.image(picture, caption=words, width="stretch", alt=f"The image {words}")
    st.caption(
        f"What recipes with augment={kind} train on, at 224 pixels: {AUGMENTED[kind]}. Never "
        "mirrored. What comes in from beyond the border is black."
    )


@st.cache_data(max_entries=16, show_spinner="Varying the image")
def _varied(square: "NDArray[np.uint8]", count: int, seed: int, kind: str) -> "NDArray[np.uint8]":
    """Copies of an image as a kind of augmentation makes them, ``(count, S, S)``."""
    from covidcore.training.variants import variants

    shared_model.load_torch()
    return variants(square, count, seed, kind)
