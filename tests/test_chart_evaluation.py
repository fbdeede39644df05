"""Figures of an evaluation: intervals, bands, losses; and the matrix as a file."""

import io
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from covidcore import chart_evaluation
from covidcore.chart_evaluation import Share
from covidcore.chart_files import matrix_png, matrix_svg
from covidcore.evaluation.curves import GRID, curves
from tests.test_charts import NASTY, SAFE, texts

COUNTS = [[8, 2, 0], [1, 99, 0], [0, 0, 0]]
CLASSES = (NASTY, "NORMAL", "Viral Pneumonia")
SVG = "{http://www.w3.org/2000/svg}"


def some_curves():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 900)
    shares = rng.dirichlet([1, 1, 1], 900) + 0.3 * np.eye(3)[truth]
    return dict(zip(CLASSES, curves(shares, truth, [""] * 900, resamples=40), strict=True))


def test_a_share_has_its_interval_and_a_baseline_is_grey():
    rows = [
        Share("run", 0.9, (0.85, 0.94)),
        Share(NASTY, 0.5, None, "a <b>rule</b>", True),
        Share("unknown", float("nan")),
    ]
    drawn = chart_evaluation.shares(rows, "Accuracy", 0.7)
    run, rule = drawn.data
    assert run.x[0] + run.error_x.array[0] == pytest.approx(0.94)
    assert run.x[0] - run.error_x.arrayminus[0] == pytest.approx(0.85)
    assert run.hovertext[0] == "run: 90.0% (85.0% to 94.0%)"
    assert rule.error_x.array[0] == 0 and rule.marker.color != run.marker.color
    assert [note.text for note in drawn.layout.annotations] == ["run", SAFE]
    assert drawn.layout.shapes[0].x0 == 0.7
    assert not [text for text in texts(drawn.to_dict()) if "<b>" in text]
    low, high = drawn.layout.xaxis.range
    assert low < 0.5 and high > 0.94
    assert not chart_evaluation.shares([], "Accuracy").data


def test_each_class_has_a_line_over_its_band_and_one_without_images_has_none():
    found = some_curves()
    for drawn, key in (
        (chart_evaluation.roc(found, GRID), "AUC"),
        (chart_evaluation.precision_recall(found, GRID), "AP"),
    ):
        lines = [trace for trace in drawn.data if trace.showlegend is None]
        bands = [trace for trace in drawn.data if trace.fill == "toself"]
        assert len(lines) == len(bands) == 2  # nothing is of the third class
        first = next(iter(found.values()))
        value = first.auc if key == "AUC" else first.average_precision
        assert lines[0].name == f"{SAFE}, {key} {value:.1%}"
        assert all(len(line.x) <= 400 for line in lines)
        assert drawn.layout.xaxis.title.text and drawn.layout.yaxis.title.text
        assert not [text for text in texts(drawn.to_dict()) if "<a" in text]
    empty = chart_evaluation.roc({NASTY: found["Viral Pneumonia"]}, GRID)
    assert not empty.data and empty.layout.annotations[0].text


def test_every_loss_is_in_one_bar():
    table = pd.DataFrame(
        {"loss": [1e-9, 0.001, 0.5, 3.0, 3.0], "correct": [True, True, True, False, False]}
    )
    right, wrong = chart_evaluation.losses(table).data
    assert (sum(right.y), sum(wrong.y)) == (3, 2)
    assert (right.name, wrong.name) == ("Right (3)", "Wrong (2)")
    assert right.y[0] == 1 and wrong.y[-1] == 2
    assert not chart_evaluation.losses(table[:0]).data


def test_the_chosen_threshold_is_on_the_cost_curve():
    table = pd.DataFrame({"threshold": [0.25, 0.5], "cost": [3.0, 4.0]})
    assert chart_evaluation.costs(table, 0.25).layout.shapes[0].x0 == 0.25
    assert not chart_evaluation.costs(table, None).layout.shapes


@pytest.mark.parametrize(
    ("share", "cell"), [("counts", "99"), ("rows", "99.0%"), ("columns", "98.0%")]
)
def test_the_matrix_as_a_drawing(share, cell):
    drawing = matrix_svg(COUNTS, CLASSES, share)
    root = ElementTree.fromstring(drawing)  # ours, and well formed whatever the names hold
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert len(list(root.iter(f"{SVG}rect"))) == 1 + 9
    assert words.count("NORMAL") == 2 and cell in words
    assert {"Truth", "Answer"} <= set(words)
    assert not list(root.iter(f"{SVG}a")) and 'href="http' not in drawing.replace("&quot;", "'")
    if share == "rows":
        assert "-" in words  # nothing is of the third class


def test_the_matrix_as_a_picture():
    picture = Image.open(io.BytesIO(matrix_png(COUNTS, CLASSES, "rows")))
    root = ElementTree.fromstring(matrix_svg(COUNTS, CLASSES, "rows"))
    assert picture.size == (2 * int(root.get("width")), 2 * int(root.get("height")))
    # The cells are where the drawing has them, the fullest the darkest.
    rects = list(root.iter(f"{SVG}rect"))[1:]
    corner = [
        picture.getpixel((2 * int(float(one.get("x"))) + 12, 2 * int(float(one.get("y"))) + 12))
        for one in rects
    ]
    assert min(corner, key=sum) == corner[4]
    assert corner[4] == tuple(int(rects[4].get("fill")[at : at + 2], 16) for at in (1, 3, 5))
    assert corner[2] == corner[8] == (239, 243, 255)
