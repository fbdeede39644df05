"""Several runs on the same test images: which is better, if any, and where they disagree."""

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from covidcore import chart_evaluation
from covidcore.chart_evaluation import Share
from covidcore.evaluation import compare
from covidcore.inference.table import as_csv
from covidcore.jobs.info import RunInfo
from covidcore.wording import markdown, percent, visible
from pages import evaluate_figures as parts
from pages import shared, shared_choice, shared_notes

MOST = 6
WHO = {"first": "{0} is right", "second": "{1} is right", "neither": "neither is right"}


@st.cache_data(max_entries=8, show_spinner="Comparing")
def compared(runs: tuple[str, ...], home: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """The document of ``compare``, and the images that all runs were tested on."""
    reports = {run: shared.results(run, home) for run in runs}
    classes = next(iter(reports.values()))[0]["classes"]
    tables = {run: table for run, (_, table) in reports.items()}
    return compare.compare(tables, classes), compare.paired(tables, classes)


def draw(run: RunInfo) -> None:
    """Choose others; a ranking with ties, every pair, and a gallery of disagreements."""
    home = shared.settings().home
    classes = shared.results(run.run, home)[0]["classes"]
    labels = {
        info.run: f"{visible(info.name)} · {percent(info.accuracy)}"
        for info in shared.store().list()
        if info.tested
        and info.run != run.run
        and info.dataset == run.dataset
        and shared.store().job(info.run)["classes"] == classes
    }
    others = shared_choice.told_apart(labels)
    if not others:
        st.info("There is no other finished run on this dataset to compare with: train another.")
        return
    asked = st.query_params.get("with", "").split(",")
    chosen = st.multiselect(
        "Compare with",
        list(others),
        [key for key in others if any(one and key.startswith(one) for one in asked)][: MOST - 1],
        format_func=lambda key: others.get(key, "gone"),
        key=f"with-{run.run}",
        max_selections=MOST - 1,
        placeholder="other runs of this dataset",
        persist_state="session",
    )
    st.query_params["with"] = ",".join(shared.link(key) for key in chosen)
    if not chosen:
        st.info("Choose one run or more; they are compared image by image.")
        return
    runs = (run.run, *chosen)
    found, rows = compared(runs, home)
    names = shared_choice.told_apart({key: visible(shared.store().info(key).name) for key in runs})
    _ranking(found, names)
    _pairs(found, names)
    _disagreements(run, rows, runs, names)


def _ranking(found: dict[str, Any], names: dict[str, str]) -> None:
    every = max(one["test_images"] for one in found["runs"])
    st.markdown(
        f"**{found['n']:,}** test images are common to all of these runs"
        + (
            "."
            if every == found["n"]
            else f", of up to {every:,} that one of them has: runs of other seeds deal other "
            "images into their test sets."
        )
    )
    shared_notes.heading("Ranking", "ties", "interval")
    ranked = sorted(found["runs"], key=lambda one: (one["rank"], -one["accuracy"]))
    ties = [one["rank"] for one in ranked]
    st.plotly_chart(
        chart_evaluation.shares(
            [
                Share(
                    f"{'=' if ties.count(one['rank']) > 1 else ''}{one['rank']}  "
                    f"{names[one['run']]}",
                    one["accuracy"],
                    tuple(one["accuracy_ci"]),
                    f"{one['right']:,} of {found['n']:,} right",
                )
                for one in ranked
            ],
            "Accuracy",
        ),
        key="ranking",
        config=parts.NO_MODEBAR,
        alt="Accuracy of each run on the common test images",
    )
    st.caption(
        "The number is the rank: one more than the runs that are distinguishably better. “=” is a "
        "tie. Intervals of two runs may overlap though the runs differ, as both answer about the "
        "same images: the pairs below tell."
    )


def _pairs(found: dict[str, Any], names: dict[str, str]) -> None:
    shared_notes.heading("Each pair", "mcnemar", "interval")
    lines = []
    for two in found["pairs"]:
        better = two["better"]
        line = {
            "verdict": f"{names[better]} is better" if better else two["verdict"],
            "run": names[two["second"]],
            "against": names[two["first"]],
            "accuracy": _points(two["accuracy"]),
            "alone right": f"{two['only_second']:,} : {two['only_first']:,}",
            "McNemar p": f"{two['mcnemar_p']:.3f}",
            "balanced accuracy": _points(two["balanced_accuracy"]),
            "macro F1": _points(two["macro_f1"]),
        }
        lines.append(line)
    st.dataframe(pd.DataFrame(lines), hide_index=True, alt="Each pair of runs compared")
    st.caption(
        "Differences in percentage points with intervals of 95 %, drawn over patients. A run is "
        "called better only where the interval does not hold 0 and the exact McNemar test (on the "
        "images that one alone answers right) is below 0.05."
    )


def _points(figure: dict[str, Any]) -> str:
    """A difference and its interval, in percentage points."""
    low, high = figure["ci"]
    known = low == low
    text = f"{100 * figure['difference']:+.1f}"
    return text + (f" ({100 * low:+.1f} to {100 * high:+.1f})" if known else "")


def _disagreements(
    run: RunInfo, rows: pd.DataFrame, runs: tuple[str, ...], names: dict[str, str]
) -> None:
    st.subheader("Where they disagree", anchor=False)
    second = runs[1]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(runs) > 2:
            second = st.selectbox(
                "With", runs[1:], format_func=lambda key: names.get(key, "gone"), width=420,
                key="disagrees",
            )  # fmt: skip
        found = compare.disagreements(rows, runs[0], second)
        short = (runs[0][:6], second[:6])
        counts = found["right"].value_counts()
        options = [who for who in WHO if counts.get(who, 0)]
        who = st.segmented_control(
            "Show", options, key="who",
            format_func=lambda who: f"{WHO[who].format(*short)} ({counts.get(who, 0):,})",
        )  # fmt: skip
        st.download_button(
            "Download as CSV", as_csv(found), "disagreements.csv", "text/csv", on_click="ignore",
            icon=":material/download:", disabled=found.empty,
        )  # fmt: skip
    if found.empty:
        st.info("They answer every common image the same.")
        return
    shown = found[found["right"] == who] if who else found
    st.markdown(
        f"**{len(shown):,}** images are answered differently, the widest apart first; "
        f"{markdown(names[runs[0]])} against {markdown(names[second])}."
    )
    lines = pd.DataFrame(
        {
            "file": shown["file"],
            "line:1": "truth " + shown["label"],
            "line:2": _said(short[0], shown["first"], shown["p_first"]),
            "line:3": _said(short[1], shown["second"], shown["p_second"]),
        }
    )
    parts.gallery(run, lines, f"apart-{second}-{who}")


def _said(name: str, answers: "pd.Series[str]", chances: "pd.Series[float]") -> list[str]:
    return [
        f"{name}: {answer}, P(truth) {percent(chance)}"
        for answer, chance in zip(answers, chances, strict=True)
    ]
