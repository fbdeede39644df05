"""The evaluate page: its views, thresholds that move everything, what is saved and compared."""

import itertools
import shutil
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.audit import audit
from covidcore.data.sources import resolve
from covidcore.evaluation import compare, operating, predictions
from covidcore.evaluation.operating import OperatingPoint
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from tests.once import once, phantoms_in
from tests.pages.conftest import click, texts, train_quick, with_a_run
from tests.pages.test_train import select_rows

VIEWS = ("Matrix", "Curves", "Calibration", "Operating point", "Subgroups", "Compare")


@pytest.fixture
def own(trained, home, monkeypatch) -> RunStore:
    """A copy of the trained home, to be written to."""
    shutil.copytree(trained.settings.home, home, dirs_exist_ok=True)
    monkeypatch.setenv("COVIDCORE_HOME", str(home))
    return RunStore(Settings(home=home))


def add_another(home: Path) -> None:
    with_a_run(home)
    train_quick(home, 1)


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another home, for there is a second run in it."""
    home = shutil.copytree(once("two-runs", add_another), tmp_path_factory.mktemp("two") / "home")
    phantoms_in(home, 60)
    return home


@pytest.fixture(scope="session")
def second_run(trained_home) -> str:
    """Another run on the same phantoms, in the trained home."""
    (one,) = (info for info in RunStore(Settings(home=trained_home)).list() if info.epochs == 1)
    return one.run


def sliders(app):
    """Threshold sliders of the page, in class order."""
    return [one for one in app.slider if one.label.endswith("answered from")]


def shown(app) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def rows_of(store: RunStore):
    run = store.find("latest")
    report, table = store.evaluation(run), store.predictions(run)
    return run, report["classes"], table


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_has_a_link(trained, open_page, view: str) -> None:
    app = open_page("evaluate", view=view)
    assert not app.error
    assert next(one for one in app.get("button_group") if one.key == "view").value == view
    assert "There is no" not in "".join(one.value for one in app.warning)


def one_that_matters(table, classes):
    """A class and a threshold with which the run, as small as it is, is right on fewer or more."""

    def figures(limits):
        moved = operating.applied(table, classes, OperatingPoint(limits))
        return predictions.evaluate(moved, classes, run="", dataset="")

    for limit, name in itertools.product((0.5, 0.34, 0.01), classes):
        if figures({name: limit})["accuracy"] != figures({})["accuracy"]:
            return classes.index(name), limit, figures({name: limit})
    raise AssertionError("no threshold changes the accuracy")


def test_a_threshold_moves_the_figures_and_the_images(trained, open_page) -> None:
    _, classes, table = rows_of(trained)
    app = open_page("evaluate")
    before = shown(app)
    assert len(sliders(app)) == len(classes)
    place, limit, expected = one_that_matters(table, classes)
    sliders(app)[place].set_value(limit).run()
    assert not app.exception
    assert shown(app)["Accuracy"] == f"{expected['accuracy']:.1%}".replace("%", " %")
    assert shown(app)["Accuracy"] != before["Accuracy"]
    assert f"from {limit:.1%} on".replace(".", "\\.").replace("%", " %") in texts(app)
    off = [(t, p) for t, p in itertools.permutations(range(3), 2) if expected["confusion"][t][p]]
    truth, answer = off[0]
    app.selectbox(key="truth").set_value(classes[truth])
    app.selectbox(key="predicted").set_value(classes[answer]).run()
    images = expected["confusion"][truth][answer]
    assert f"**{images}** image" in texts(app)


def test_a_link_holds_the_thresholds_and_the_cell(trained, open_page) -> None:
    run, classes, table = rows_of(trained)
    link = {f"limit-{run[:4]}-0": "0.01", "truth": classes[1], "predicted": classes[0]}
    app = open_page("evaluate", **link)
    assert sliders(app)[0].value == 0.01
    moved = operating.applied(table, classes, OperatingPoint({classes[0]: 0.01}))
    images = predictions.evaluate(moved, classes, run="", dataset="")["confusion"][1][0]
    assert f"**{images}** image" in texts(app)


def test_the_largest_errors_are_buttons(trained, open_page) -> None:
    _, classes, table = rows_of(trained)
    wrong = table[(table["split"] == "test") & ~table["correct"]]
    counts = wrong.groupby(["label", "predicted"]).size()
    if counts.empty:
        pytest.skip("the run makes no mistake on these phantoms")
    app = open_page("evaluate", truth=classes[0], predicted=classes[0])
    (truth, answer), images = counts.idxmax(), counts.max()
    button = next(one for one in app.button if one.key.startswith("cell-"))
    assert button.label.endswith(f": {images}")
    button.click().run()
    chosen = (app.selectbox(key="truth").value, app.selectbox(key="predicted").value)
    assert counts[chosen] == images == counts[truth, answer]


def test_the_baselines_are_on_the_axis_once_the_dataset_was_audited(own, open_page) -> None:
    app = open_page("evaluate")
    assert "was not made yet" in texts(app)
    dataset = resolve("phantoms:60", own.settings)
    audit(dataset, own.settings.home)
    app = open_page("evaluate")
    assert "was not made yet" not in texts(app)
    chart = next(one for one in app.get("plotly_chart") if "Accuracy" in str(one.proto))
    for name in ("File facts alone", "Border alone", "Source alone", "Largest class", "This run"):
        assert name in str(chart.proto)


def test_an_operating_point_is_saved_used_by_predictions_and_cleared(own, open_page) -> None:
    run, classes, table = rows_of(own)
    app = open_page("evaluate", view="Operating point")
    sliders(app)[0].set_value(0.01).run()
    truth = (table["split"] == "test") & (table["label"] == classes[0])
    chance = table[f"p:{classes[0]}"][truth]
    assert shown(app)["Sensitivity"] == f"{(chance >= 0.01).mean():.1%}".replace("%", " %")
    ppv = shown(app)["PPV"]
    app.select_slider[0].set_value("0.1 %").run()
    assert not app.exception and shown(app)["PPV"] != ppv
    click(app, "Save with the run")
    saved = own.operating(run)
    assert saved is not None and dict(saved.thresholds) == {classes[0]: 0.01}
    assert (saved.positive, saved.prevalence) == (classes[0], 0.001)
    assert "Predictions of this run use this" in texts(app)

    dataset = resolve("phantoms:60", own.settings)
    label = dataset.index["label"] == classes[1]
    app = open_page("predict")
    assert "answers by thresholds" in texts(app)
    app.file_uploader[0].upload(
        "a.png", (dataset.root / dataset.index["file"][label].iloc[0]).read_bytes()
    )
    app.run(timeout=60)
    assert not app.exception
    assert app.subheader[0].value.startswith(classes[0].replace("-", "\\-"))
    assert "most probable class is" in texts(app)

    app = open_page("evaluate", view="Operating point")
    assert sliders(app)[0].value == 0.01
    click(app, "No thresholds")
    assert own.operating(run) is None and sliders(app)[0].value == 0
    assert "answers by thresholds" not in texts(open_page("predict"))


def test_the_cheapest_threshold_is_found_on_validation_images(own, open_page) -> None:
    _, classes, table = rows_of(own)
    app = open_page("evaluate", view="Operating point")
    click(app, "Cheapest threshold")
    best = operating.cheapest(table, classes, OperatingPoint({}, classes[0]))
    assert sliders(app)[0].value == pytest.approx(best)
    assert own.operating(own.find("latest")) is None


def test_a_damaged_operating_point_is_a_sentence(own, open_page) -> None:
    (own.path(own.find("latest")) / "operating.json").write_text("{")
    for page in ("evaluate", "predict"):
        assert "operating point" in open_page(page).error[0].value


def test_subgroups_are_a_table_and_the_small_ones_are_told(trained, open_page) -> None:
    _, _, table = rows_of(trained)
    app = open_page("evaluate", view="Subgroups")
    (found,) = (one.value for one in app.dataframe)
    test = table[table["split"] == "test"]
    assert found["images"].sum() == len(test)
    assert set(found["source"]) == set(test["source"].replace("", "unknown"))
    assert "too few to say much" in texts(app)


def test_compare_says_what_can_not_be_told_apart(trained, second_run, open_page) -> None:
    first = next(info.run for info in trained.list() if info.run != second_run)
    app = open_page("evaluate", view="Compare", run=first)
    assert "compared image by image" in texts(app)
    app = open_page("evaluate", view="Compare", run=first, **{"with": second_run[:6]})
    pairs = app.dataframe[0].value
    assert len(pairs) == 1
    tables = {run: trained.predictions(run) for run in (first, second_run)}
    from covidcore.evaluation.compare import compare

    (pair,) = compare(tables, trained.evaluation(first)["classes"])["pairs"]
    assert ("not distinguishable" in pairs["verdict"][0]) == (pair["better"] is None)
    differ = (tables[first]["predicted"] != tables[second_run]["predicted"]) & (
        tables[first]["split"] == "test"
    )
    if differ.any():
        assert f"**{differ.sum():,}** images are answered differently" in texts(app)


def test_finished_runs_of_the_train_page_are_compared_by_a_click(
    trained, second_run, open_page
) -> None:
    app = select_rows(open_page("train"), 0, 1)
    click(app, "Compare on test images")
    assert app.title[0].value == "Evaluate"
    assert app.query_params["view"] == "Compare"
    assert len(app.dataframe[0].value) == 1


def test_one_run_has_nothing_to_compare_with(own, second_run, open_page) -> None:
    for info in own.list()[1:]:
        own.remove(info.run)
    assert "no other finished run" in texts(open_page("evaluate", view="Compare"))


def test_copies_in_training_are_marked(own, open_page, home) -> None:
    dataset = resolve("phantoms:60", own.settings)
    run, _, table = rows_of(own)
    test = table[table["split"] == "test"].iloc[0]
    index = dataset.index.set_index("file")
    split = own.split(run).set_index("file")["split"]
    twin = split[split == "train"].index[0]
    for column in ("pixel_sha256", "dhash", "thumbnail"):
        index.at[test["file"], column] = index.at[twin, column]
    index.reset_index()[dataset.index.columns].to_parquet(
        home / "datasets" / dataset.fingerprint / "index.parquet", index=False
    )
    app = open_page("evaluate", truth=test["label"], predicted=test["predicted"])
    captions = str([image.proto.imgs for image in app.get("image")])
    assert "the same picture in training" in captions


def test_the_matrix_can_be_taken_away(trained, open_page) -> None:
    app = open_page("evaluate")
    names = [one.proto.label for one in app.get("download_button")]
    assert {"PNG", "SVG", "Download as CSV"} <= set(names)


def test_ties_are_shown_in_the_table_of_runs(trained, second_run, open_page) -> None:
    runs = [info.run for info in trained.list() if info.state is State.DONE]
    tables = {run: trained.predictions(run) for run in runs}
    (pair,) = compare.compare(tables, trained.job(second_run)["classes"])["pairs"]
    assert pair["verdict"] == compare.SAME  # on so few images
    app = open_page("train")
    table = app.dataframe[-1].value.set_index("run")["on the same images"]
    assert dict(table) == {run[:8]: "= best" for run in runs}
    assert "not distinguishable from the best" in texts(app)
