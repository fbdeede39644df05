"""Figures hold what was asked, escape names, and draw something quiet for nothing."""

import numpy as np
import pandas as pd
import pytest

from covidcore import charts
from covidcore.chart_style import ink, ramp
from covidcore.errors import DataError

NASTY = '<a href="http://x">A & B</a>'
SAFE = '&lt;a href="http://x"&gt;A &amp; B&lt;/a&gt;'
CLASSES = (NASTY, "NORMAL", "Viral Pneumonia")
COUNTS = [[8, 2, 0], [1, 99, 0], [0, 0, 0]]

INDEX = pd.DataFrame(
    {
        "label": [NASTY, NASTY, "NORMAL", "NORMAL"],
        "width": [224, 224, 299, 1024],
        "height": [224, 256, 299, 800],
    }
)
HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2],
        "train_loss": [0.9, 0.4],
        "val_loss": [0.8, 0.5],
        "train_accuracy": [0.6, 0.9],
        "val_accuracy": [0.7, 0.8],
    }
)
BINS = pd.DataFrame(
    {
        "bin_low": [0.0, 0.5],
        "bin_high": [0.5, 1.0],
        "n": [0, 42],
        "confidence": [np.nan, 0.83],
        "accuracy": [np.nan, 0.79],
    }
)


def every_figure():
    return {
        "counts": charts.class_counts(INDEX),
        "matrix": charts.matrix(COUNTS, CLASSES),
        "loss": charts.learning_curves(HISTORY, "loss"),
        "accuracy": charts.learning_curves(HISTORY, "accuracy"),
        "compared": charts.compare_curves({NASTY: HISTORY, "b": HISTORY[:1]}, "loss"),
        "sizes": charts.sizes(INDEX, CLASSES),
        "brightness": charts.brightness({NASTY: [10, 20], "NORMAL": [200], "none": []}),
        "probabilities": charts.probability_bars({NASTY: 0.9, "NORMAL": 0.1}),
        "reliability": charts.reliability(BINS),
        "stacked": charts.stacked(pd.DataFrame({NASTY: [3, 0], "b": [1, 2]}, index=[NASTY, "x"])),
        "levels": charts.grey_levels({NASTY: np.arange(256), "b": np.ones(256)}),
    }


def texts(value):
    """Every string of a figure, but for customdata, which is never drawn."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != "customdata":
                yield from texts(item)
    elif isinstance(value, list | tuple | np.ndarray):
        for item in value:
            yield from texts(item)


@pytest.mark.parametrize("name", list(every_figure()))
def test_names_are_escaped_wherever_they_are_drawn(name):
    drawn = list(texts(every_figure()[name].to_dict()))
    assert not [text for text in drawn if "<a" in text]
    if name not in ("loss", "accuracy", "reliability"):
        assert [text for text in drawn if SAFE in text]


@pytest.mark.parametrize("name", list(every_figure()))
def test_grounds_are_transparent_axes_named_and_no_title_inside(name):
    layout = every_figure()[name].layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert layout.title.text is None
    assert layout.xaxis.title.text


def test_stacked_bars_hold_every_count_in_the_order_of_the_table():
    figure = charts.stacked(pd.DataFrame({"a": [3, 0], "b": [1, 2]}, index=["x", "y"]))
    assert [bar.name for bar in figure.data] == ["a", "b"]
    assert [list(bar.x) for bar in figure.data] == [[3, 0], [1, 2]]
    assert list(figure.data[0].text) == ["3", ""]
    assert "75.0% of 4" in figure.data[0].hovertext[0]
    low, high = figure.layout.yaxis.range
    assert low > high  # the first row is on top
    assert charts.stacked(pd.DataFrame({"a": [0]})).layout.annotations


def test_grey_levels_are_shares_that_add_up():
    dark = np.zeros(256)
    dark[:4] = 10
    figure = charts.grey_levels({"dark": dark, "none": np.zeros(256)})
    assert np.asarray(figure.data[0].y)[::2].sum() == pytest.approx(1)
    assert figure.data[0].y[0] == 1
    assert not np.asarray(figure.data[1].y).any()
    assert charts.grey_levels({}).layout.annotations


def test_a_difference_has_a_symmetrical_scale_and_lies_the_right_way_up():
    values = np.zeros((224, 224))
    values[:2, -2:] = -3
    figure = charts.difference(values, "SD", NASTY, "b")
    heat = figure.data[0]
    assert (heat.zmin, heat.zmax) == (-3, 3)
    assert np.shape(heat.z) == (112, 112)
    assert heat.z[0][-1] == -3 and not heat.z[-1].any()
    assert figure.layout.yaxis.autorange == "reversed"
    assert SAFE in heat.colorbar.title.text
    assert charts.difference(np.zeros((30, 30)), "SD", "a", "b").data[0].zmax == 1


def test_each_cell_of_the_matrix_can_be_clicked():
    figure = charts.matrix(COUNTS, CLASSES)
    heat, cells = figure.data
    assert cells.type == "scatter" and heat.hoverinfo == "skip"
    assert [tuple(pair) for pair in cells.customdata] == [(t, p) for t in CLASSES for p in CLASSES]
    at = {
        tuple(pair): (x, y) for pair, x, y in zip(cells.customdata, cells.x, cells.y, strict=True)
    }
    assert at[(NASTY, "NORMAL")] == (1, 0)
    assert heat.z[0][1] == 2
    low, high = figure.layout.yaxis.range
    assert low > high  # the first truth is on top
    assert figure.layout.xaxis.title.text == "Predicted"
    assert figure.layout.yaxis.title.text == "Truth"
    assert "2 images" in cells.hovertext[1] and "20.0%" in cells.hovertext[1]


def cell_texts(figure):
    return {(note.y, note.x): note.text for note in figure.layout.annotations}


def test_names_below_the_matrix_take_two_lines() -> None:
    """Where a line has no room, plotly leaves a name out."""
    layout = charts.matrix(COUNTS, CLASSES).layout
    assert layout.xaxis.ticktext[1:] == ("NORMAL", "Viral<br>Pneumonia")
    assert layout.xaxis.ticktext[0].replace("<br>", " ") == SAFE
    assert layout.yaxis.ticktext == (SAFE, "NORMAL", "Viral Pneumonia")


def test_the_matrix_as_shares():
    rows = cell_texts(charts.matrix(COUNTS, CLASSES, "rows"))
    assert rows[(0, 0)] == "80.0%" and rows[(2, 2)] == "-"
    columns = cell_texts(charts.matrix(COUNTS, CLASSES, "columns"))
    assert columns[(1, 0)] == "11.1%" and columns[(0, 2)] == "-"
    with pytest.raises(DataError, match="'all' is not drawn"):
        charts.matrix(COUNTS, CLASSES, "all")


def test_a_hidden_diagonal_lets_the_errors_show():
    figure = charts.matrix(COUNTS, CLASSES, hide_diagonal=True)
    assert np.isnan(np.diag(figure.data[0].z)).all()
    assert figure.data[0].zmax == 2
    assert (0, 0) not in cell_texts(figure) and cell_texts(figure)[(0, 1)] == "2"
    assert len(figure.data[1].customdata) == 9
    assert charts.matrix([[5]], ["a"], hide_diagonal=True).data[0].zmax == 1


def luminance(rgb):
    part = np.asarray(rgb) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    high, low = sorted([luminance(one), luminance(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def rgb_of(colour):
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def test_cell_text_can_be_read_on_every_shade():
    pale, deep = np.array([239, 243, 255]), np.array([8, 48, 107])
    for step in np.linspace(0, 1, 50):
        shade = pale + (deep - pale) * step
        assert contrast(rgb_of(ink(shade)), shade) >= 4.5


def test_colours_are_stable_by_position_and_the_first_ones_show_on_light_and_dark():
    colours = charts.class_colours([str(at) for at in range(10)])
    assert colours["0"] == colours["8"] and len(set(colours.values())) == 8
    assert charts.class_colours(["x"])["x"] == colours["0"]
    for colour in list(colours.values())[:3]:
        for ground in ("#ffffff", "#0e1117"):
            assert contrast(rgb_of(colour), rgb_of(ground)) >= 3


def test_labels_lose_what_can_not_be_seen_and_what_is_too_much():
    assert charts.label("a\u202eb\u200b\n") == "ab"
    assert charts.label("x" * 100) == "x" * 59 + "…"


def test_bars_are_in_class_order_with_their_values():
    bar = charts.class_counts(INDEX, CLASSES).data[0]
    assert list(bar.x) == [2, 2, 0]
    assert bar.hovertext[1] == "NORMAL: 2 images (50.0%)"
    assert list(charts.probability_bars({"a": 0.25, "b": 0.75}).data[0].text) == ["25.0%", "75.0%"]


def test_outlines_sum_to_one_for_each_class():
    for figure in (charts.sizes(INDEX), charts.brightness({"a": [0, 255, 255], "b": [3]})):
        for line in figure.data:
            assert sum(line.y[::2]) == pytest.approx(1)


def test_curves_and_reliability_say_what_a_point_is():
    train, val = charts.learning_curves(HISTORY, "accuracy").data
    assert (train.name, val.name) == ("Training", "Validation")
    assert val.hovertext[1] == "Epoch 2: validation accuracy 80.0%"
    _, points, counts = charts.reliability(BINS).data
    assert list(points.hovertext) == [
        "Model<br>42 images: 83.0% sure on average, 79.0% right (64.1% to 88.3%)"
    ]
    assert list(counts.y) == [0, 42] and counts.yaxis == "y2"
    both = charts.reliability(BINS, BINS.assign(accuracy=0.5))
    assert [trace.name for trace in both.data[1:]] == ["Before the temperature"] * 2 + ["Model"] * 2
    with pytest.raises(DataError, match="'speed' is not drawn"):
        charts.learning_curves(HISTORY, "speed")


def test_compared_runs_can_be_told_apart_and_their_training_from_their_validation():
    figure = charts.compare_curves({"a": HISTORY, "b": HISTORY[:0], "c": HISTORY[:1]}, "accuracy")
    train, val, _, other = figure.data
    assert [trace.name for trace in figure.data] == ["a", "a", "c", "c"]
    assert [trace.showlegend for trace in figure.data] == [False, True, False, True]
    assert (list(train.y), list(val.y), list(other.y)) == ([0.6, 0.9], [0.7, 0.8], [0.7])
    assert (train.line.dash, val.line.dash) == ("dot", "solid")
    assert train.line.width < val.line.width
    assert train.line.color == val.line.color == charts.PALETTE[0]
    assert other.line.color == charts.PALETTE[2]  # as it will be once b has an epoch
    assert train.legendgroup == val.legendgroup != other.legendgroup
    assert val.hovertext[1] == "a<br>Epoch 2: validation accuracy 80.0%"
    assert train.hovertext[0] == "a<br>Epoch 1: training accuracy 60.0%"
    assert figure.layout.xaxis.title.text == "Epoch (solid: validation, dotted: training)"


def test_more_runs_than_colours_are_not_drawn():
    runs = {str(at): HISTORY for at in range(charts.MOST_RUNS)}
    figure = charts.compare_curves(runs, "loss")
    assert len({trace.line.color for trace in figure.data}) == charts.MOST_RUNS
    with pytest.raises(DataError, match="9 runs can not be told apart"):
        charts.compare_curves({**runs, "one more": HISTORY}, "loss")
    with pytest.raises(DataError, match="'speed' is not drawn"):
        charts.compare_curves(runs, "speed")


@pytest.mark.parametrize(
    "figure",
    [
        charts.class_counts(INDEX[:0]),
        charts.matrix(np.zeros((3, 3)), CLASSES),
        charts.matrix(np.zeros((0, 0)), ()),
        charts.learning_curves(HISTORY[:0], "loss"),
        charts.compare_curves({"a": HISTORY[:0]}, "loss"),
        charts.compare_curves({}, "accuracy"),
        charts.sizes(INDEX[:0]),
        charts.brightness({"a": []}),
        charts.brightness({}),
        charts.probability_bars({}),
        charts.reliability(BINS[:1]),
    ],
)
def test_nothing_to_draw_is_said_quietly(figure):
    assert len(figure.data) == 0
    assert len(figure.layout.annotations) == 1 and figure.layout.annotations[0].text


@pytest.mark.parametrize("dark", [False, True])
def test_most_stands_out_from_the_page_and_every_figure_can_be_read(dark: bool) -> None:
    none, most = ramp(dark)
    page = 20.0 if dark else 255.0
    assert abs(most.mean() - page) > 4 * abs(none.mean() - page)
    figure = charts.matrix(COUNTS, CLASSES, dark=dark)
    assert [stop[1] for stop in figure.data[0].colorscale] == [
        "rgb({:g},{:g},{:g})".format(*end) for end in (none, most)
    ]
    inks = {(note.y, note.x): note.font.color for note in figure.layout.annotations}
    largest = np.unravel_index(np.argmax(COUNTS), np.shape(COUNTS))
    smallest = np.unravel_index(np.argmin(COUNTS), np.shape(COUNTS))
    assert inks[largest] == ink(most) != inks[smallest] == ink(none)
