"""What a person sees on each page, without a browser."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covidcore.config import DISCLAIMER, Settings
from covidcore.data.index import known
from covidcore.data.sources import resolve
from covidcore.jobs.store import RunStore
from tests.once import phantoms_in
from tests.pages.conftest import ENTRY, click, texts
from tests.runs import wait_until

PAGES = ("", "explore", "train", "evaluate", "predict")
TITLES = dict(zip(PAGES, ("covidcore", "Explore", "Train", "Evaluate", "Predict"), strict=True))


def scatter(folder: Path, names: dict[str, list[str]]) -> Path:
    """Small noise images, class -> file names."""
    noise = np.random.default_rng(0)
    for label, files in names.items():
        (folder / label).mkdir(parents=True)
        for file in files:
            pixels = noise.integers(0, 256, (64, 64), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / file)
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_page_without_any_data(home: Path, open_page, name: str) -> None:
    app = open_page(name)
    assert app.title[0].value == TITLES[name]
    assert DISCLAIMER in texts(app)
    assert not app.error


@pytest.mark.parametrize("name", PAGES)
def test_page_with_data_and_a_run(trained, open_page, name: str) -> None:
    app = open_page(name)
    assert app.title[0].value == TITLES[name]
    assert DISCLAIMER in texts(app)
    assert not app.error


@pytest.mark.parametrize("name", ["", "explore", "train"])
def test_phantoms_from_an_empty_home(home: Path, open_page, name: str) -> None:
    app = open_page(name)
    app.number_input[0].set_value(30)
    click(app, "Make synthetic phantoms")
    assert [info.images for info in known(home)] == [30]
    if name == "explore":
        assert next(metric.value for metric in app.metric if metric.label == "Images") == "30"
    if name != "train":
        assert "phantoms" in texts(app)


def test_bad_folder_is_told_in_a_sentence(home: Path, open_page) -> None:
    app = open_page()
    app.text_input[0].set_value("/no/such_folder")
    click(app, "Read the folder")
    assert app.error[0].value.replace("\\", "") == "There is no folder /no/such_folder."
    app.text_input[0].set_value("")
    click(app, "Read the folder")
    assert app.error[0].value.replace("\\", "") == "Type the path of a folder first."


def test_environment_names_the_first_dataset(home: Path, open_page, monkeypatch, tmp_path) -> None:
    phantoms_in(home, 30)
    folder = scatter(tmp_path / "mine", {"a": ["1.png"], "b": ["2.png"]})
    phantoms_in(home, 33)
    monkeypatch.setenv("COVIDCORE_DATA", str(folder))
    app = open_page("explore")
    assert app.header[0].value == "mine"


def test_markup_in_names_is_shown_as_it_is(home: Path, open_page, tmp_path: Path) -> None:
    names = {"**bold** :red[x]": ["![t](b).png"], "$x$\u202e": ["[link](c).png"]}
    dataset = resolve(str(scatter(tmp_path / "<b>data", names)), Settings(home=home))
    for page in ("", "explore", "train"):
        seen = texts(open_page(page))
        for markup in ("**bold**", ":red[", "![t]", "[link]", "$x$", "<b>", "\u202e"):
            assert markup not in seen
    assert len(dataset.index) == 2


def test_links_select_and_are_kept(home: Path, open_page) -> None:
    first = phantoms_in(home, 30)
    phantoms_in(home, 33)
    app = open_page("explore")
    assert app.header[0].value == "phantoms\\-33"
    app = open_page("explore", dataset=first.fingerprint[:8])
    assert app.header[0].value == "phantoms\\-30"
    assert app.query_params["dataset"] == first.fingerprint[:12]
    app = open_page("explore", dataset="zzzz")
    assert "There is no dataset" in app.warning[0].value


def test_cell_of_the_matrix_by_link_and_by_boxes(trained, open_page) -> None:
    table = trained.predictions(trained.find("latest"))
    table = table[table["split"] == "test"]
    row = table.iloc[-1]
    truth, answer = row["label"], row["predicted"]
    images = ((table["label"] == truth) & (table["predicted"] == answer)).sum()
    app = open_page("evaluate", truth=truth, predicted=answer)
    assert f"**{images}** image" in texts(app)
    assert row["file"].rpartition("/")[2] in str([one.proto.imgs for one in app.get("image")])
    empty = next(
        (one, other)
        for one in table["label"].unique()
        for other in ("COVID-19", "NORMAL", "Viral Pneumonia")
        if not ((table["label"] == one) & (table["predicted"] == other)).any()
    )
    app.selectbox(key="truth").set_value(empty[0])
    app.selectbox(key="predicted").set_value(empty[1]).run()
    assert not app.exception
    assert "**0** images of" in texts(app)


def test_evaluation_states_what_it_can_not_tell(trained, open_page) -> None:
    app = open_page("evaluate")
    report = trained.evaluation(trained.find("latest"))
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Accuracy"] == f"{report['accuracy']:.1%}".replace("%", " %")
    assert shown["Source alone"] == f"{report['source_only_accuracy']:.1%}".replace("%", " %")
    assert "can not tell" in texts(app)


def test_damaged_results_are_a_sentence_and_made_again(
    trained, open_page, home: Path, monkeypatch
) -> None:
    shutil.copytree(trained.settings.home, home, dirs_exist_ok=True)
    monkeypatch.setenv("COVIDCORE_HOME", str(home))
    store = RunStore(Settings(home=home))
    run = store.find("latest")
    report = store.path(run) / "report.json"
    whole = report.read_bytes()
    report.write_bytes(whole[:-2])
    app = open_page("evaluate")
    assert "report" in app.error[0].value
    assert "damaged or missing" in app.error[0].value
    click(app, "Run again")
    wait_until(lambda: store.info(run).state.ended, "the run to be mended")
    assert report.read_bytes() == whole
    assert not open_page("evaluate").error


def test_pages_of_tables_do_not_import_torch(trained_home: Path) -> None:
    script = f"""
import sys
from streamlit.testing.v1 import AppTest
for name in ("home", "explore", "train", "evaluate"):
    app = AppTest.from_file({str(ENTRY)!r}, default_timeout=60)
    app.switch_page(f"pages/{{name}}.py").run()
    assert not app.exception and app.title
print("torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "COVIDCORE_HOME": str(trained_home)},
        cwd=ENTRY.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith("False")
