"""The view Folds of the evaluate page: what copies and one lucky split have to do with a figure."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from covidcore import chart_outside
from covidcore.jobs.folds import folds_study, leak_ledger
from covidcore.wording import duration, interval, percent, points
from pages import evaluate_figures as parts
from pages import shared, shared_notes, shared_tasks

if TYPE_CHECKING:
    from covidcore.jobs.info import RunInfo

KINDS = {
    "exact": "a copy in training",
    "near": "a near copy in training",
    "patient": "their patient in training",
    "any": "any of these",
}
WAYS = {
    "none": "Random folds",
    "patient": "Folds by patient",
    "near_duplicates": "Folds by picture",
    "both": "Folds by patient and picture",
}
ABOUT = """
One split is one draw. Here every image is tested, several times, each time by a head that has not
seen its fold: at random, by patient, and by patient and picture. What random folds have over the
others is what leaks buy.
"""
FOLDS, REPEATS = (3, 5, 10), (1, 3, 5, 10)


def draw(run: "RunInfo") -> None:
    """The leak ledger at once; folds where they were trained before, else the way to them."""
    with shared.told():
        _ledger(run)
    shared_notes.heading("Other splits of the same images", "folds")
    with shared.told():
        with st.container(horizontal=True, vertical_alignment="bottom"):
            folds = st.selectbox("Folds", FOLDS, 1, key="folds_count", width=120)
            repeats = st.selectbox("Repeats", REPEATS, 2, key="folds_repeats", width=120)
        study = folds_study(shared.store(), run.run, folds, repeats)
        found = study.stored()
        if found is None:
            shared_tasks.ask(study, ABOUT, "Train the folds", "folds")
        else:
            _spread(found)
            _bought(found)


def _ledger(run: "RunInfo") -> None:
    shared_notes.heading("Leak ledger", "leaks")
    ledger = _ledger_of(run.run, run.dataset, shared.settings().home)
    known = ledger[-1]["with"]["n"]
    if not known:
        st.markdown(
            "No test image has a copy, a near copy or its patient among the training images, as "
            "far as patients are known."
        )
        return
    st.markdown(
        f"**{known:,}** test images are known from training in one of these ways. The run's "
        "accuracy on them, and on the others:"
    )
    shown = pd.DataFrame(
        {
            "test images with": KINDS[one["kind"]],
            "images": f"{one['with']['n']:,}",
            "accuracy": percent(one["with"]["accuracy"]),
            "95 %": interval(one["with"]["ci"]),
            "other images": f"{one['without']['n']:,}",
            "their accuracy": percent(one["without"]["accuracy"]),
            "95 % of theirs": interval(one["without"]["ci"]),
            "difference": points(one["difference"]),
            "95 % of it": points(*one["ci"]),
        }
        for one in ledger
    )
    st.dataframe(
        shown,
        hide_index=True,
        column_config=parts.to_the_right(shown.columns[1:]),
        alt="Accuracy on test images with and without relatives in training",
    )
    st.caption("A difference whose interval holds 0 is not distinguishable from none.")


@st.cache_data(max_entries=16, show_spinner="Looking for copies")
def _ledger_of(run: str, dataset: str, home: Path) -> list[dict[str, Any]]:
    return leak_ledger(shared.store(), run, shared.open_dataset(dataset, home))


def _spread(found: dict[str, Any]) -> None:
    """Every fold, the means, and beside them the single split."""
    own = found["groupings"][found["group_by"]]
    low, high = min(own["per_fold"]), max(own["per_fold"])
    st.markdown(
        f"A linear head on the features of the frozen backbone, {found['folds']} folds, "
        f"{found['repeats']} times, {found['n']:,} images. Divided as the run was, single folds "
        f"lie between **{percent(low)}** and **{percent(high)}**."
    )
    if found["trainable"] != "head":
        st.caption(
            ":material/info: This run trains more than its head, which no fold could in such "
            "time. The head alone stands for how much the split matters, not for the run."
        )
    singles = {"The same head, the run's split": found["head_on_the_split"]}
    singles["The run itself, its split"] = found["single_split"]
    st.plotly_chart(
        chart_outside.fold_spread(
            {WAYS[way]: one for way, one in found["groupings"].items()}, singles
        ),
        config={"displayModeBar": False},
        key="folds_chart",
        alt="Accuracy of every fold by how folds are divided, and of the run's single split",
    )
    classes = found["classes"]
    rows = {
        WAYS[way]: {
            "groups": f"{one['groups']:,}",
            "accuracy": percent(one["accuracy"]),
            "95 %": interval(one["ci"]),
            **{f"recall {name}": percent(one["per_class"][name]["recall"]) for name in classes},
        }
        for way, one in found["groupings"].items()
    }
    shown = pd.DataFrame(rows).T
    st.dataframe(
        shown,
        column_config=parts.to_the_right(shown.columns),
        alt="Accuracy and recalls by how folds are divided",
    )
    st.caption(
        f"Took {duration(found['seconds'])}. Folds share training images, so the intervals are "
        "wider than the spread of so many folds alone would make them (Nadeau & Bengio 2003)."
    )


def _bought(found: dict[str, Any]) -> None:
    st.markdown("##### What leakage would have bought")
    rows = []
    for way, one in found["leakage"].items():
        related = one["related"]
        rows.append(
            {
                "random folds over": WAYS[way].lower(),
                "gain": points(one["difference"]),
                "95 %": points(*one["ci"]),
                "images with relatives": f"{related['n']:,}",
                "gain on these": points(related["difference"]),
                "95 % on these": points(*related["ci"]),
            }
        )
    shown = pd.DataFrame(rows)
    st.dataframe(
        shown,
        hide_index=True,
        column_config=parts.to_the_right(shown.columns[1:]),
        alt="Gain of random folds over folds that keep groups",
    )
    st.caption(
        "In percentage points, on the same images. Relatives: images of the same patient or "
        "picture, which random folds put on both sides."
    )
