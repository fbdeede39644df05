"""Sources against classes, on tables whose answers are known."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covidcore.data.audit_sources import (
    children,
    cramers_v,
    own_sources,
    source_by_class,
    source_only_hits,
)
from covidcore.data.index import Dataset

# As the card of the fifth release gives it, without its class Lung_Opacity. The parts of COVID add
# up to one less than its 3,616 images; where that one is from is not said.
V5 = {
    "": {"COVID": 1, "Normal": 0, "Viral Pneumonia": 0},
    "BIMCV-COVID19+": {"COVID": 2473, "Normal": 0, "Viral Pneumonia": 0},
    "Hannover Medical School": {"COVID": 183, "Normal": 0, "Viral Pneumonia": 0},
    "SIRM": {"COVID": 559, "Normal": 0, "Viral Pneumonia": 0},
    "COVID-CXNet": {"COVID": 400, "Normal": 0, "Viral Pneumonia": 0},
    "RSNA": {"COVID": 0, "Normal": 8851, "Viral Pneumonia": 0},
    "chest-xray-pneumonia": {"COVID": 0, "Normal": 1341, "Viral Pneumonia": 1345},
}
V1 = {
    "one of COVID-19": {"COVID-19": 219, "NORMAL": 0, "Viral Pneumonia": 0},
    "chest-xray-pneumonia": {"COVID-19": 0, "NORMAL": 1341, "Viral Pneumonia": 1345},
}


def table(counts: dict[str, dict[str, int]]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(counts, "index")


def dataset(rows: pd.DataFrame, layout: str = "flat") -> Dataset:
    index = pd.DataFrame({"file": rows.get("file", rows["label"] + "/x.png"), **rows})
    classes = tuple(sorted(set(index["label"])))
    return Dataset(Path(), "set", layout, False, classes, "0" * 32, index)


def rows_of(counts: dict[str, dict[str, int]], group: str = "") -> pd.DataFrame:
    rows = [
        (label, source, group)
        for source, row in counts.items()
        for label, count in row.items()
        for _ in range(count)
    ]
    return pd.DataFrame(rows, columns=["label", "source", "group"])


@pytest.mark.parametrize(("counts", "share"), [(V5, 0.912), (V1, 0.538)])
def test_what_the_source_alone_gets_on_the_published_releases(
    counts: dict[str, dict[str, int]], share: float
) -> None:
    found = source_by_class(rows_of(counts))
    pd.testing.assert_frame_equal(found, table(counts).sort_index(), check_names=False)
    hits = source_only_hits(found)
    assert hits is not None
    assert round(hits / found.to_numpy().sum(), 3) == share


def test_covid_against_the_rest_is_told_by_the_source_without_fail() -> None:
    for counts in (V1, V5):
        both = pd.DataFrame(
            {"covid": table(counts).iloc[:, 0], "rest": table(counts).iloc[:, 1:].sum(axis=1)}
        )
        assert source_only_hits(both) == both.to_numpy().sum()
        assert cramers_v(both) == pytest.approx(1, abs=1e-3)


def test_an_unknown_source_tells_nothing() -> None:
    assert source_only_hits(table({"": {"a": 5, "b": 3}})) is None
    assert source_only_hits(table({"": {"a": 5, "b": 3}, "x": {"a": 0, "b": 2}})) == 7


def test_cramers_v_of_a_table_counted_by_hand() -> None:
    """chi2 = 20 of 80 images: phi2 = 1/4, less 1/79; divided by 2 - 1/79 - 1."""
    counts = table({"x": {"a": 30, "b": 10}, "y": {"a": 10, "b": 30}})
    expected = math.sqrt((0.25 - 1 / 79) / (1 - 1 / 79))
    assert cramers_v(counts) == pytest.approx(expected, abs=1e-12)


def test_cramers_v_at_its_ends() -> None:
    assert cramers_v(table({"x": {"a": 7, "b": 0}, "y": {"a": 0, "b": 9}})) == pytest.approx(1)
    assert cramers_v(table({"x": {"a": 20, "b": 10}, "y": {"a": 40, "b": 20}})) == 0
    assert math.isnan(cramers_v(table({"x": {"a": 7, "b": 9}})))
    assert math.isnan(cramers_v(table({"x": {"a": 7}, "y": {"a": 9}})))
    assert math.isnan(cramers_v(table({"x": {"a": 7, "b": 2}, "empty": {"a": 0, "b": 0}})))


def test_independent_sources_are_not_called_related_however_many_there_are() -> None:
    """Uncorrected, 12 sources and 4 classes give 0.3 for 120 images out of nothing."""
    rng = np.random.default_rng(0)
    found = [
        cramers_v(pd.crosstab(rng.integers(0, 12, 120), rng.integers(0, 4, 120))) for _ in range(40)
    ]
    assert np.mean(found) < 0.09


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=2, max_size=6))
def test_cramers_v_is_a_share_and_does_not_mind_order(rows: list[list[int]]) -> None:
    counts = pd.DataFrame(rows)
    value = cramers_v(counts)
    assert math.isnan(value) or 0 <= value <= 1
    assert cramers_v(counts.T.iloc[::-1]) == pytest.approx(value, nan_ok=True)


def test_classes_with_sources_of_their_own() -> None:
    assert own_sources(table(V1)) == {"COVID-19": 219}
    assert own_sources(table(V5).drop(index="")) == {"COVID": 3615}
    apart = table({"x": {"a": 5, "b": 0}, "y": {"a": 0, "b": 4}})
    assert own_sources(apart) == {"a": 5, "b": 4}
    assert own_sources(table({"x": {"a": 5, "b": 1}, "y": {"a": 0, "b": 4}})) == {}
    assert own_sources(table({"": {"a": 5, "b": 0}, "y": {"a": 0, "b": 4}})) == {"b": 4}
    assert own_sources(table({"": {"a": 5, "b": 4}})) == {}


def test_children_are_proven_by_source_or_patient_and_nobody_else_is_judged() -> None:
    found = children(dataset(rows_of(V5)))
    assert found["by_class"] == {
        "COVID": {"children": 0, "unknown": 3616},
        "Normal": {"children": 1341, "unknown": 8851},
        "Viral Pneumonia": {"children": 1345, "unknown": 0},
    }
    assert found["by_source"]["RSNA"] == {"children": 0, "unknown": 8851}
    names = ["person7_virus", "person12_bacteria", "NORMAL2-IM-0001", "IM-0539", "a:IM-0539"]
    unproven = ["", "P00001", "person7", "IM"]
    rows = pd.DataFrame({"label": "a", "source": "", "group": [*names, *unproven]})
    assert children(dataset(rows))["by_class"] == {"a": {"children": 5, "unknown": 4}}


@pytest.mark.parametrize(("normal", "proven"), [(1341, 1341), (1340, 0)])
def test_a_published_release_proves_the_ages_only_where_it_is_whole(
    normal: int, proven: int
) -> None:
    rows = rows_of({"": {"COVID-19": 10, "NORMAL": normal, "Viral Pneumonia": 1345}})
    by_class = children(dataset(rows, "v1"))["by_class"]
    assert by_class["NORMAL"]["children"] == proven
    assert by_class["Viral Pneumonia"]["children"] == 1345
    assert by_class["COVID-19"]["children"] == 0
    assert children(dataset(rows, "flat"))["by_class"]["Viral Pneumonia"]["children"] == 0
