"""The predict page: the answer and what it is worth, its neighbours, its heat, and many at once."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from covidcore.config import DISCLAIMER, Settings
from covidcore.data import decode as decoding
from covidcore.data.phantoms import PhantomSpec, draw
from covidcore.data.sources import resolve
from covidcore.evaluation.operating import OperatingPoint, screening
from covidcore.inference import predictor as predicting
from covidcore.inference.forward import Forward
from covidcore.inference.meaning import matrix_of_test
from covidcore.inference.onnx_forward import NO_HEAT
from covidcore.inference.table import as_csv
from covidcore.jobs import imports
from covidcore.jobs.store import RunStore
from covidcore.limits import Limit, Rate
from covidcore.model.weights import SHIPPED
from covidcore.wording import interval, percent
from pages import predict_heat, shared_demo, shared_model
from tests.hostile import saved
from tests.pages.conftest import click, texts

BLANK = saved(np.full((64, 64), 40, np.uint8))
LETTER = b"Dear Sir, this is no image."


@pytest.fixture
def own(trained: RunStore, home: Path, monkeypatch) -> RunStore:
    """The trained home, to be changed."""
    shutil.copytree(trained.settings.home, home, dirs_exist_ok=True)
    monkeypatch.setenv("COVIDCORE_HOME", str(home))
    st.cache_resource.clear()
    return RunStore(Settings(home=home))


def image_of(store: RunStore, which: str, at: int = 0) -> tuple[str, bytes]:
    """Name and bytes of an image of one of the run's sets."""
    split = store.split(store.find("latest"))
    file = split.loc[split["split"] == which, "file"].iloc[at]
    return file, (resolve("phantoms:60", store.settings).root / file).read_bytes()


def send(app, *files: tuple[str, bytes]):
    """Upload files and see what is said."""
    for name, data in files:
        app.file_uploader[0].upload(name, data)
    app.run(timeout=60)
    assert not app.exception
    return app


def open_row(app, row: int):
    """As a click on a row of the table does."""
    key = "answers-" + app.dataframe[0].proto.id.rpartition("answers-")[2]
    app.session_state[key] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    app.run(timeout=60)
    assert not app.exception
    return app


def metrics(app) -> dict[str, tuple[str, str]]:
    return {one.label: (one.value, one.delta) for one in app.metric}


def test_one_upload_is_a_card_without_a_table(trained, open_page) -> None:
    app = send(open_page("predict"), ("mine.png", image_of(trained, "test")[1]))
    assert not app.dataframe
    assert app.text[0].value == "mine.png"
    assert re.fullmatch(r".+, \d+\.\d %", app.subheader[0].value)
    assert "most probable class" in texts(app) and "calibrated" in texts(app)
    assert DISCLAIMER in texts(app)
    assert "iagnos" not in texts(app)


def test_what_the_answer_is_worth_follows_the_prevalence(trained, open_page) -> None:
    app = send(open_page("predict"), ("mine.png", image_of(trained, "test")[1]))
    run = trained.find("latest")
    classes = trained.job(run)["classes"]
    answer = app.subheader[0].value.rpartition(",")[0].replace("\\", "")
    at = classes.index(answer)
    matrix = matrix_of_test(trained.predictions(run), classes)
    report = trained.evaluation(run)["per_class"][answer]
    seen = metrics(app)
    assert seen["Recall"] == (percent(report["recall"]), interval(report["recall_ci"]))
    assert seen["Precision"] == (percent(report["precision"]), interval(report["precision_ci"]))
    here = screening(matrix, at)
    assert seen["PPV"] == (percent(here["ppv"]), interval(here["ppv_ci"]))
    app.select_slider[0].set_value("1.0 %").run(timeout=60)
    rare = screening(matrix, at, 0.01)
    assert metrics(app)["PPV"] == (percent(rare["ppv"]), interval(rare["ppv_ci"]))
    assert metrics(app)["NPV"] == (percent(rare["npv"]), interval(rare["npv_ci"]))
    assert metrics(app)["Recall"] == seen["Recall"]
    assert "Where **1.0 %** of the people" in texts(app)


def test_a_saved_operating_point_answers_and_is_told(own, open_page) -> None:
    run = own.find("latest")
    classes = own.job(run)["classes"]
    point = OperatingPoint({classes[0]: 0.001}, classes[0], prevalence=0.05)
    own.save_operating(run, point)
    app = send(open_page("predict"), ("mine.png", image_of(own, "test")[1]))
    assert app.subheader[0].value.replace("\\", "").startswith(f"{classes[0]}, ")
    assert "by thresholds that were saved with it" in texts(app)
    assert app.select_slider[0].value == "5.0 %"
    matrix = matrix_of_test(own.predictions(run), classes, point)
    assert metrics(app)["Recall"][0] == percent(matrix[0, 0] / matrix[0].sum())


def test_the_most_alike_validation_images_are_looked_for_once(own, open_page) -> None:
    file, data = image_of(own, "val")
    app = send(open_page("predict"), ("mine.png", data))
    images = len(app.get("image"))
    click(app, "Look for them")
    name = file.rpartition("/")[2].replace("-", "\\-").replace(".", "\\.").replace("_", "\\_")
    near = [one.value for one in app.caption if "answered" in one.value and "alike" in one.value]
    assert len(near) == 5 and f"{name}, alike 1.00" in near[0]
    assert len(app.get("image")) == images + 5
    table = own.predictions(own.find("latest")).set_index("file")
    assert percent(table.loc[file, f"p:{table.loc[file, 'predicted']}"]) in near[0]
    st.cache_resource.clear()  # as in a server that was started anew
    app = send(open_page("predict"), ("mine.png", data))
    assert "Look for them" not in [one.label for one in app.button]
    assert f"{name}, alike 1.00" in texts(app)


def test_neighbours_of_a_dataset_that_is_gone_are_named(own, open_page) -> None:
    data = image_of(own, "val")[1]
    click(send(open_page("predict"), ("mine.png", data)), "Look for them")
    shutil.rmtree(own.settings.home / "datasets")
    st.cache_resource.clear()
    app = send(open_page("predict"), ("mine.png", data))
    assert "The pictures are not here any more" in texts(app)
    assert "alike 1.00" in texts(app)
    assert not app.error


def test_neighbours_that_can_not_be_looked_for_are_a_sentence(own, open_page) -> None:
    data = image_of(own, "val")[1]
    shutil.rmtree(own.settings.home / "datasets")
    st.cache_resource.clear()
    app = click(send(open_page("predict"), ("mine.png", data)), "Look for them")
    (error,) = app.error
    assert "not here any more" in error.value
    assert app.subheader[0].value.endswith(" %")


def test_with_onnx_there_is_no_heat_and_torch_is_not_loaded(own, open_page, monkeypatch) -> None:
    opened = []
    monkeypatch.setenv("COVIDCORE_BACKEND", "onnx")
    monkeypatch.setattr(shared_model, "load_torch", lambda: opened.append("torch"))
    # Whether ONNX Runtime answers as torch does is another test's.
    monkeypatch.setattr(
        predicting.OnnxForward, "open", lambda folder: opened.append("onnx") or Forward.open(folder)
    )
    app = send(open_page("predict"), ("mine.png", image_of(own, "test")[1]))
    assert opened == ["onnx"]
    assert NO_HEAT in texts(app)
    assert "Show a heatmap" not in [one.label for one in app.toggle]
    assert "chooses among its classes" in texts(app)


def test_heat_is_drawn_when_asked_for_and_proves_nothing(trained, open_page, monkeypatch) -> None:
    import covidcore.inference.heat as heat

    found = []
    real = heat.heat_of
    monkeypatch.setattr(heat, "heat_of", lambda *args: found.append(real(*args)) or found[-1])
    app = send(open_page("predict"), ("mine.png", image_of(trained, "test")[1]))
    assert not found and "heat" not in texts(app)
    (toggle,) = (one for one in app.toggle if one.label == "Show a heatmap")
    toggle.set_value(True).run(timeout=60)
    assert not app.exception
    assert predict_heat.NO_PROOF in texts(app)
    told = percent(found[0].inside)
    assert (f"**{told}** of the heat" in texts(app)) or "too coarse" in texts(app)
    app.run()
    assert len(found) == 1


def test_many_are_a_table_and_a_row_opens_its_card(trained, open_page) -> None:
    good = image_of(trained, "test")[1]
    app = send(
        open_page("predict"),
        ("=mine.png", good), ("![letter](x).png", LETTER), ("blank.png", BLANK),
    )  # fmt: skip
    table = app.dataframe[0].value
    assert list(table["file"]) == ["=mine.png", "![letter](x).png", "blank.png"]
    assert list(table["refused"].fillna("")) == ["", "unsupported_format", "blank"]
    assert table["image"][0].startswith("data:image/jpeg;base64,")
    assert not isinstance(table["image"][1], str)
    assert app.text[0].value == "=mine.png"
    assert not app.warning
    open_row(app, 1)
    assert app.text[0].value == "![letter](x).png"
    assert app.warning[0].value.startswith("No answer. ")
    assert "could not be opened" in texts(app)
    open_row(app, 2)
    assert "blank" in app.warning[0].value


def test_the_table_is_filtered(trained, open_page) -> None:
    good = image_of(trained, "test")[1]
    files = [("a.png", LETTER), ("b.png", good), ("c.png", BLANK), ("d.png", LETTER)]
    app = send(open_page("predict"), *files)
    pills = app.button_group[0]
    assert "refused\\: unsupported format (2)" in pills.options
    pills.set_value(["refused: unsupported format"]).run(timeout=60)
    assert not app.exception
    assert list(app.dataframe[0].value["file"]) == ["a.png", "d.png"]
    open_row(app, 1)
    assert app.text[0].value == "d.png"
    app.button_group[0].set_value([]).run(timeout=60)
    assert len(app.dataframe[0].value) == 4
    assert app.text[0].value == "a.png"


def test_the_file_holds_what_the_shell_writes(trained, open_page, monkeypatch, tmp_path) -> None:
    from covidcore.cli import main
    from pages import predict_table

    kept = []
    monkeypatch.setattr(predict_table, "as_csv", lambda table: kept.append(as_csv(table)) or "")
    files = [("good.png", image_of(trained, "test")[1]), ("letter.png", LETTER)]
    send(open_page("predict"), *files)
    for name, data in files:
        (tmp_path / name).write_bytes(data)
    main(["predict", "latest", *(str(tmp_path / name) for name, _ in files), "--csv",
          str(tmp_path / "out.csv")])  # fmt: skip
    shell = (tmp_path / "out.csv").read_text("utf-8")
    for ours, theirs in zip(*(csv.DictReader(io.StringIO(one)) for one in (kept[-1], shell)),
                            strict=True):  # fmt: skip
        assert list(ours) == list(theirs)
        assert theirs["file"].endswith(ours["file"])
        for column in set(ours) - {"file", "milliseconds"} - {c for c in ours if c[:2] == "p:"}:
            if column != "probability":
                assert ours[column] == theirs[column], column
        if ours["answer"]:
            assert float(ours["probability"]) == pytest.approx(float(theirs["probability"]))
            assert 0 < float(ours["recall_high"]) <= 1


def test_a_rerun_opens_no_file_again(trained, open_page, monkeypatch) -> None:
    opened = []
    real = decoding.decode
    monkeypatch.setattr(predicting, "decode", lambda source: opened.append(1) or real(source))
    good = image_of(trained, "test")[1]
    app = send(open_page("predict"), ("a.png", good), ("b.png", BLANK), ("copy.png", good))
    assert len(opened) == 2  # the third is the first one's bytes
    open_row(app, 1)
    app.run()
    assert len(opened) == 2
    app.toggle(key="anyway").set_value(True).run(timeout=60)
    assert len(opened) == 4
    app.toggle(key="anyway").set_value(False).run(timeout=60)
    assert len(opened) == 4


def test_an_upload_is_answered_anyway(trained, open_page) -> None:
    known = image_of(trained, "train")[1]
    app = open_page("predict")
    assert "40 million pixels and 25 MB each; 200 at once" in app.file_uploader[0].label
    send(app, ("blank.png", BLANK), ("known.png", known))
    assert app.warning[0].value.startswith("No answer. The image is blank")
    open_row(app, 1)
    assert [one for one in app.info if "this is memory" in one.value]
    app.toggle(key="anyway").set_value(True).run(timeout=60)
    assert not app.exception
    open_row(app, 0)
    assert app.warning[0].value.startswith("The gate refused this image: The image is blank")
    assert "Answered anyway" in texts(app)
    table = app.dataframe[0].value
    assert table["refused"][0] == "blank" and table["answer"][0]
    assert "refused: blank" in table["outcome"][0]


def test_hidden_files_of_a_folder_are_left_out(trained, open_page) -> None:
    app = open_page("predict")
    app.toggle(key="folder").set_value(True).run()
    send(app, ("x/.DS_Store", b"junk"), ("x/b.png", BLANK), ("Thumbs.db", b"junk"))
    assert not app.dataframe
    assert app.text[0].value.endswith("b.png")


def test_in_a_demo_heat_and_neighbours_wait_for_their_turn(own, open_page, monkeypatch) -> None:
    import covidcore.inference.heat  # noqa: F401  which takes longer than a page may

    desk = shared_demo.Desk()
    desk.limits["images"] = Limit("images", Rate(20, 60.0), Rate(100, 1.0), clock=lambda: 0.0)
    monkeypatch.setattr(shared_demo, "desk", lambda: desk)
    asked: list[int] = []
    real = shared_demo.in_turn
    monkeypatch.setattr(
        shared_demo,
        "in_turn",
        lambda items, answer: asked.append(len(items)) or real(items, answer),
    )
    app = send(open_page("predict"), ("mine.png", image_of(own, "test")[1]))
    assert asked == [1]
    click(app, "Look for them")
    (toggle,) = (one for one in app.toggle if one.label == "Show a heatmap")
    toggle.set_value(True).run(timeout=60)
    assert not app.exception
    assert len(asked) == 3


def test_the_project_s_own_model_answers_where_nothing_was_trained(
    home: Path, open_page, monkeypatch
) -> None:
    monkeypatch.setattr(imports, "SHIPPED", SHIPPED)
    chest = draw(PhantomSpec(size=128), "COVID-19", 1, 1, "Hospital A", False)[0]
    app = open_page("predict")
    assert [imports.OWN_NAME in one for one in app.selectbox(key="run").options] == [True]
    app.toggle(key="anyway").set_value(True)
    send(app, ("chest.png", saved(chest)))
    figures = json.loads((SHIPPED / "contract.json").read_text())["figures"]
    assert f"{figures['n']:,} test images as its contract states" in texts(app)
    shown = {one.label: one.value for one in app.metric}
    assert shown["Recall"] in {percent(one["recall"]) for one in figures["per_class"].values()}
    assert "validation images most like it" not in texts(app)
    # What was not trained here is evaluated where it is asked for only.
    assert "There is no finished run yet" in texts(open_page("evaluate"))
    run = app.query_params["run"][0]
    assert "imported: it has no test images" in texts(open_page("evaluate", run=run))


def test_a_test_image_stands_for_an_upload(own, open_page) -> None:
    app = open_page("predict", run=own.find("latest"))
    click(app, "Take a test image")
    table = own.predictions(own.find("latest")).set_index("file")
    file = app.query_params["sample"]
    assert table.at[file, "split"] == "test"
    assert f"In truth it is **{table.at[file, 'label']}**" in texts(app).replace("\\", "")
    answer = table.at[file, "predicted"]
    assert any(str(one.value).replace("\\", "").startswith(answer) for one in app.subheader)
    click(app, "Another test image")
    assert app.query_params["sample"] != file


def test_only_a_test_image_can_be_asked_for_by_link(own, open_page) -> None:
    file, _ = image_of(own, "train")
    for asked in (file, "../../secret.png", "/etc/passwd"):
        app = open_page("predict", run=own.find("latest"), sample=asked)
        assert "In truth" not in texts(app)
        assert "Take a test image" in [one.label for one in app.button]
