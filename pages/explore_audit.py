"""The view Audit of the explore page: what could make a model look better than it is."""

from pathlib import Path

import pandas as pd
import streamlit as st

from covidcore import chart_audit, charts
from covidcore.data import audit_process
from covidcore.data.audit import STEPS, SplitSettings, measured, stored
from covidcore.data.audit_leaks import LEAKS
from covidcore.data.audit_tables import (
    NOT_STATED,
    Figures,
    leak_rows,
    size_in_words,
    without_lungs,
)
from covidcore.data.index import Dataset
from covidcore.wording import duration, interval, markdown, percent, visible
from pages import (
    explore_copies,
    explore_filters,
    explore_reads,
    explore_split,
    shared,
    shared_notes,
    shared_tasks,
)

LEVELS = {
    "error": (":red[:material/error:]", "that will mislead"),
    "warning": (":orange[:material/warning:]", "that may"),
    "info": (":blue[:material/info:]", "to know"),
}
_BARE = {"displayModeBar": False}


def draw(dataset: Dataset) -> None:
    """The stored audit at once; where there is none, the way to it, or how far it is."""
    home, chosen = shared.settings().home, explore_split.chosen(dataset)
    document = stored(dataset, home, chosen)
    if document is None:
        _bring_about(dataset, home, chosen)
        return
    _findings(dataset, document, chosen)
    _without_lungs(document)
    _sources(document)
    _leaks(document)
    _ages_and_classes(dataset, document)
    explore_copies.copies(dataset, document)
    explore_copies.outliers(dataset, document)


def _bring_about(dataset: Dataset, home: Path, chosen: SplitSettings) -> None:
    """Offer the audit, or show how far it is: it is a process, and goes on without this page."""
    now = audit_process.state(dataset, home, chosen)
    if now.phase == "absent" and measured(dataset, home) is not None:
        audit_process.start(dataset, home, chosen)  # of another split: a matter of seconds
        now = audit_process.state(dataset, home, chosen)
    if now.phase in ("running", "done"):
        _watch(dataset.fingerprint, home, chosen)
        return
    shared_tasks.unfinished(now.phase, now.message)
    st.markdown(
        "Looks for what makes a model seem better than it is: copies, patients on both sides of a "
        "split, sources, files or borders that tell the class. Each image is read once; it goes on "
        "when this page is closed, and is kept."
    )
    label = "Run the audit" if now.phase == "absent" else "Run it again"
    if st.button(label, type="primary", icon=":material/troubleshoot:", key="audit_start"):
        audit_process.start(dataset, home, chosen)
        st.rerun()


@st.fragment(run_every="1s")
def _watch(fingerprint: str, home: Path, chosen: SplitSettings) -> None:
    """A bar, whoever started it; the whole page is drawn anew once it has ended."""
    dataset = shared.open_dataset(fingerprint, home)
    now = audit_process.state(dataset, home, chosen)
    if now.phase != "running":
        st.rerun()
    since = f" · {duration(now.seconds)}" if now.seconds else ""
    st.progress(now.done / STEPS, f"{now.doing}{since}")
    if st.button("Stop the audit", key="audit_stop", icon=":material/stop:"):
        audit_process.stop(dataset, home)


def _findings(dataset: Dataset, document: Figures, chosen: SplitSettings) -> None:
    """Each with its size, its consequence and what can be done; the gravest first."""
    found = document["findings"]
    if not found:
        st.success("Nothing was found that would make a model look better than it is.")
    counts = {level: sum(one["level"] == level for one in found) for level in LEVELS}
    st.markdown(
        "Findings: &nbsp; "
        + " &nbsp; ".join(
            f"{icon} **{counts[level]}** {what}"
            for level, (icon, what) in LEVELS.items()
            if counts[level]
        )
    )
    listed = set(explore_reads.findings(dataset, "") or {})
    if chosen != SplitSettings():  # the gallery knows the sets of a recipe, not of every split
        listed -= {"leak"}
    with st.grid(2, min_column_width=330):
        for one in found:
            with st.container(border=True, height="stretch"):
                size = size_in_words(one)
                badge = f" :gray-badge[{markdown(size)}]" if size else ""
                st.markdown(f"{LEVELS[one['level']][0]} **{markdown(one['title'])}**{badge}")
                st.markdown(markdown(one["consequence"]))
                st.markdown(f":material/build: {markdown(one['action'])}")
                if one["kind"] in listed:
                    st.button(
                        "See the images", type="tertiary", icon=":material/photo_library:",
                        key=f"see-{one['kind']}", on_click=_see, args=(one["kind"],),
                    )  # fmt: skip


def _see(kind: str) -> None:
    """Open the gallery with the images of one finding; for the callback of a button."""
    for key in explore_filters.LISTS:
        st.session_state[key] = kind if key == "finding" else None
    st.session_state.update(view="Images", dealt="", page=1)


def _without_lungs(document: Figures) -> None:
    shared_notes.heading("What is told without lungs", "border", "shortcut")
    st.markdown(
        "Small classifiers that see only facts of the file (mode, size, bytes), or only the outer "
        "5 % of the picture, asked about patients they have not seen. What they get right, a model "
        "can get right for the same reasons."
    )
    left, right = st.columns([3, 2])
    rules = without_lungs(document)
    left.plotly_chart(
        chart_audit.rules(
            [rule.name for rule in rules],
            [rule.accuracy for rule in rules],
            [(rule.low, rule.high) for rule in rules],
            document["majority_accuracy"],
        ),
        alt="Share told right by rules that see no lungs, with 95 % intervals",
        config=_BARE,
        key="audit_rules",
    )
    recalls = {
        title: {name: row["recall"] for name, row in document[kind]["per_class"].items()}
        for kind, title in (("header_only", "file alone"), ("border_only", "border alone"))
    }
    if any(recalls.values()):
        right.markdown("Share of each class that is found")
        right.dataframe(
            pd.DataFrame(recalls).map(percent).rename(index=visible).rename_axis("class"),
            alt="Share of each class that the file alone and the border alone find",
        )
    else:
        right.info("A class of a single patient can not be cross-validated.")


def _sources(document: Figures) -> None:
    shared_notes.heading("Sources against classes", "cramers_v", "source_alone")
    table = pd.DataFrame.from_dict(document["source_by_class"], "index")
    if document["source_only_accuracy"] is None:
        st.markdown("No image states its source: whether it tells the class can not be seen.")
        return
    left, right = st.columns([3, 1])
    left.plotly_chart(
        chart_audit.contingency(table.rename(index={"": NOT_STATED}), shared.is_dark()),
        alt="Images of each source and class",
        config=_BARE,
        key="audit_sources",
    )
    v = document["cramers_v"]
    right.metric(
        "Cramér's V",
        "\N{EN DASH}" if v is None else f"{v:.2f}",
        help="Association of source and class, corrected for small tables: 0 none, 1 complete.",
    )
    right.metric(
        "Right by source alone",
        percent(document["source_only_accuracy"]),
        interval(document["source_only_ci"]),
        delta_color="off",
        delta_arrow="off",
        help=f"Always the largest class: {percent(document['majority_accuracy'])}.",
    )
    if len(table) > chart_audit.MOST_SOURCES:
        left.caption(f"The largest {chart_audit.MOST_SOURCES} of {len(table)} sources.")


def _leaks(document: Figures) -> None:
    shared_notes.heading("Test images known from training", "leaks")
    split = document["split"]
    rows = leak_rows(document)
    st.markdown(
        f"Split {markdown(split['split'])}, seed {split['seed']}. An image is known where training "
        "holds an exact or a near copy of it, or another image of its patient."
    )
    if split["problem"]:
        st.error(markdown(split["problem"]), icon=":material/error:")
    if rows:
        names = {"test": "test images", "any": "known", "near": "near copy", "exact": "exact copy"}
        table = pd.DataFrame(rows).set_index("split")[["test", "any", *LEAKS]]
        st.dataframe(table.rename(columns=names), alt="Test images known from training, by split")
    st.button(
        "Choose another split",
        icon=":material/call_split:",
        key="audit_to_split",
        on_click=st.session_state.__setitem__,
        args=("view", explore_split.VIEW),
    )


def _ages_and_classes(dataset: Dataset, document: Figures) -> None:
    left, right = st.columns(2)
    left.subheader("Children, by source", anchor=False)
    parts = document["children"]["by_source"]
    if any(part["children"] for part in parts.values()):
        left.plotly_chart(
            chart_audit.children({name or NOT_STATED: part for name, part in parts.items()}),
            alt="Images proven to be of children, by source",
            config=_BARE,
            key="audit_children",
        )
    else:
        left.markdown("No image is proven to be of a child. Of the others the age is not known.")
    right.subheader("Images of each class", anchor=False)
    sizes = document["classes"]
    right.plotly_chart(
        charts.class_counts(dataset.index, dataset.classes),
        alt="Images of each class",
        config=_BARE,
        key="audit_classes",
    )
    ratio = max(sizes.values()) / min(sizes.values())
    if ratio >= 1.05:
        right.caption(f"The largest class has {ratio:.1f} times the images of the smallest.")
