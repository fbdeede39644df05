"""Charts beyond one split: what is drawn where, and names that are no markup."""

import math

import pytest

from covidcore.chart_outside import fold_spread, inside_and_outside
from covidcore.errors import DataError

ROW = {
    "inside": 0.95, "inside_ci": [0.9, 0.98], "inside_n": 200,
    "outside": 0.4, "outside_ci": [0.35, 0.45], "outside_n": 1000,
}  # fmt: skip


def test_both_sides_stand_with_their_intervals() -> None:
    drawn = inside_and_outside({"All": ROW, "<b>": {**ROW, "outside": 0.5}})
    inside, outside = (trace for trace in drawn.data if trace.mode == "markers")
    assert list(inside.x) == [0.95, 0.95]
    assert list(outside.x) == [0.4, 0.5]
    assert outside.error_x.array[0] == pytest.approx(0.05)
    assert inside.error_x.arrayminus[0] == pytest.approx(0.05)
    assert outside.hovertext[1] == "&lt;b&gt;<br>This dataset: 50.0% of 1,000"
    assert list(drawn.layout.yaxis.ticktext) == ["All", "&lt;b&gt;"]


def test_nothing_to_compare_is_said() -> None:
    assert "No images" in inside_and_outside({}).layout.annotations[0].text


def test_folds_means_and_single_splits() -> None:
    way = {"accuracy": 0.9, "ci": [0.85, 0.95], "per_fold": [0.88, 0.9, 0.92]}
    single = {"accuracy": 0.93, "accuracy_ci": [0.9, 0.95]}
    drawn = fold_spread({"Random": way, "Patient": way}, {"The run": single})
    folds, means, alone = drawn.data
    assert len(folds.x) == 6
    assert all(math.floor(y) == at for y, at in zip(folds.y, (0, 0, 0, 1, 1, 1), strict=True))
    assert list(means.x) == [0.9, 0.9]
    assert (list(alone.x), list(alone.y)) == ([0.93], [2])
    assert alone.error_x.array[0] == pytest.approx(0.02)
    assert fold_spread({"Random": way}, {}).data[0].y == fold_spread({"Random": way}, {}).data[0].y
    with pytest.raises(DataError):
        fold_spread({}, {})
