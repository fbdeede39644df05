"""Figures of an audit say what the tables say, and render no names."""

import pandas as pd
import pytest

from covidcore.chart_audit import MOST_SOURCES, children, contingency, rules


def test_a_cell_is_its_count_coloured_by_its_share_of_the_source() -> None:
    counts = pd.DataFrame({"a": [1, 30], "b <b>c": [3, 0]}, index=["small", "large"])
    drawn = contingency(counts)
    assert drawn.data[0].z.tolist() == [[1, 0], [0.25, 0.75]]  # the larger source on top
    assert [one.text for one in drawn.layout.annotations] == ["30", "0", "1", "3"]
    assert (
        drawn.data[0].hovertext[1][1] == "small: 3 images of b &lt;b&gt;c<br>75.0% of the source's"
    )
    assert list(drawn.layout.xaxis.ticktext) == ["a", "b<br>&lt;b&gt;c"]
    assert "No images" in contingency(counts.iloc[:0]).layout.annotations[0].text


def test_of_many_sources_the_largest_are_drawn() -> None:
    counts = pd.DataFrame({"a": range(1, 61), "b": 0}, index=[f"s{at}" for at in range(1, 61)])
    names = list(contingency(counts).layout.yaxis.ticktext)
    assert len(names) == MOST_SOURCES and names[0] == "s60"


def test_rules_stand_on_one_axis_with_their_intervals() -> None:
    drawn = rules(
        ["largest", "unknown", "border"], [0.4, None, 0.9], [(None, None)] * 2 + [(0.85, 0.93)], 0.4
    )
    points, texts = drawn.data
    assert points.x == (0.4, 0.9)
    assert points.error_x.array == (None, pytest.approx(0.03))
    assert points.error_x.arrayminus == (None, pytest.approx(0.05))
    # Beyond its interval, on the side where there is room.
    assert [(x, text.strip()) for x, text in zip(texts.x, texts.text, strict=True)] == [
        (0.4, "40.0%"),
        (0.85, "90.0%"),
    ]
    assert points.hovertext == ("largest: 40.0%", "border: 90.0% (95 %: 85.0% to 93.0%)")
    assert list(drawn.layout.yaxis.ticktext) == ["largest", "border"]
    assert drawn.layout.shapes[0].x0 == drawn.layout.shapes[0].x1 == 0.4
    assert "Nothing" in rules(["x"], [None], [(None, None)], 0.4).layout.annotations[0].text


def test_children_and_unknown_ages_are_stacked() -> None:
    drawn = children({"one": {"children": 3, "unknown": 1}, "two": {"children": 0, "unknown": 5}})
    assert [bar.x for bar in drawn.data] == [(3, 0), (1, 5)]
    assert drawn.layout.barmode == "stack"
    assert drawn.data[0].hovertext[0] == "one: 3 images of children, proven"
    assert "No images" in children({}).layout.annotations[0].text
