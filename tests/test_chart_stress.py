"""Charts of stress tests: what is drawn where."""

import pytest

from covidcore.chart_stress import corruption, parts

ROW = {"accuracy": 0.9, "accuracy_ci": [0.8, 0.95]}


def test_parts_stand_with_their_intervals_against_chance() -> None:
    drawn = parts({"Whole": ROW, "<b>": {**ROW, "accuracy": 0.85}}, 0.5)
    (points,) = drawn.data
    assert list(points.x) == [0.9, 0.85]
    assert points.error_x.array[0] == pytest.approx(0.05)
    assert list(drawn.layout.yaxis.ticktext) == ["Whole", "&lt;b&gt;"]
    assert drawn.layout.shapes[0].x0 == 0.5
    assert "No images" in parts({}, 0.5).layout.annotations[0].text


def test_levels_of_a_corruption_mark_what_is_lost() -> None:
    values = (0.9, 0.851, 0.85, 0.95)
    levels = [{"level": at, "accuracy": one, "accuracy_ci": [one - 0.1, one + 0.05]}
              for at, one in enumerate(values, 1)]  # fmt: skip
    drawn = corruption({"kind": "kind", "unit": "% <b>", "levels": levels}, 0.9, 0.05)
    (first,) = drawn.data
    assert list(first.x) == ["none", "1", "2", "3", "4"]
    assert list(first.y) == [0.9, *values]
    assert list(first.marker.symbol) == ["circle", "circle", "circle", "diamond", "circle"]
    assert first.marker.color[3] != first.marker.color[2] == first.marker.color[0]
    assert first.error_y.arrayminus[1] == pytest.approx(0.1) and first.error_y.array[0] == 0
    assert drawn.layout.xaxis.title.text == "% &lt;b&gt;"
    assert drawn.layout.shapes[0].y0 == pytest.approx(0.85)
