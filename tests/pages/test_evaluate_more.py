"""The evaluate page beyond one split: other datasets, folds, stress tests, looks at the set."""

import shutil
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.index import load, scan
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.jobs.folds import folds_study
from covidcore.jobs.openings import times_opened
from covidcore.jobs.outside import outside_results, outside_study
from covidcore.jobs.store import RunStore
from covidcore.jobs.stress import stress_study
from covidcore.wording import markdown
from tests.pages.conftest import click, texts
from tests.runs import copied, stressed, wait_until

OUTSIDE, FOLDS, STRESS = "Another dataset", "Leaks and folds", "Stress tests"


@pytest.fixture
def store(trained: RunStore, home: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """The trained home, copied: these tests write to the run's folder."""
    ignored = shutil.ignore_patterns("opened.json")  # other tests looked, too
    shutil.copytree(trained.settings.home, home, dirs_exist_ok=True, ignore=ignored)
    monkeypatch.setenv("COVIDCORE_HOME", str(home))
    return RunStore(Settings(home=home))


@pytest.fixture
def other(store: RunStore, tmp_path: Path) -> Path:
    """Another dataset, with one of the run's training images, and odd names of classes."""
    spec = PhantomSpec(images=12, size=64, seed=9, classes=("covid-19", ":red[x]", "else"))
    folder = write(spec, tmp_path / "other_set")
    run = store.find("latest")
    split = store.split(run)
    copy = split[split["split"] == "train"]["file"].iloc[0]
    root = load(store.job(run)["dataset"], store.settings.home).root
    shutil.copy(root / copy, folder / ":red[x]" / "images" / "copy.png")
    return folder


def view(app, name: str):
    app.pills(key="view").set_value(name).run()
    assert not app.exception
    return app


def test_a_look_counts_once_a_session(store: RunStore, open_page) -> None:
    folder = store.path(store.find("latest"))
    app = open_page("evaluate")
    app.run()
    app.run()
    assert times_opened(folder) == 1
    assert "opened **1** time." in texts(app)
    app = open_page("evaluate")
    assert times_opened(folder) == 2
    assert "opened **2** times." in texts(app)


def test_a_dataset_is_read_mapped_and_scored(store: RunStore, open_page, other: Path) -> None:
    run = store.find("latest")
    app = view(open_page("evaluate"), OUTSIDE)
    box = next(one for one in app.text_input if "A folder on this machine" in one.label)
    box.set_value(str(other))
    click(app, "Read the folder")
    assert not app.error
    fingerprint = app.selectbox(key="outside_dataset").value
    keys = [f"outside-{run}-{fingerprint}-{number}" for number in range(3)]
    classes = scan(other, store.settings.home).classes
    assert classes == (":red[x]", "covid-19", "else")
    assert [app.selectbox(key=key).value for key in keys] == ["", "COVID-19", ""]
    assert not any(":red[" in one.label for one in app.selectbox)
    app.selectbox(key=keys[0]).set_value("NORMAL").run()
    click(app, "Score 9 images")
    wait_until(lambda: outside_results(store, run), "the result")
    app.run()
    assert not app.error
    shown = {one.label: one.value for one in app.metric}
    assert shown["Images scored"] == "8"
    (found,) = outside_results(store, run)
    assert shown["Accuracy here"] == f"{found['accuracy']:.1%}".replace("%", " %")
    said = texts(app)
    assert "own images: 1 " in said.replace("\\", "")
    assert "Left out, as their classes are not mapped: 4 else" in said
    assert app.button(key="outside_go").disabled  # it was scored before
    again = view(open_page("evaluate"), OUTSIDE)  # shown again at once, by whoever opens the page
    assert {one.label: one.value for one in again.metric}["Images scored"] == "8"


def test_nothing_fits_until_a_class_is_named(store: RunStore, open_page, tmp_path: Path) -> None:
    folder = write(PhantomSpec(images=9, size=64, classes=("x", "y", "z")), tmp_path / "far")
    scan(folder, store.settings.home)
    app = view(open_page("evaluate"), OUTSIDE)
    assert "Say for one class at least" in texts(app)
    assert not any(one.label.startswith("Score") for one in app.button)


def test_a_bad_folder_is_a_sentence(store: RunStore, open_page) -> None:
    app = view(open_page("evaluate"), OUTSIDE)
    next(one for one in app.text_input if "A folder" in one.label).set_value("/no/such")
    click(app, "Read the folder")
    assert app.error[0].value.replace("\\", "") == "There is no folder /no/such."


def test_what_failed_is_told(store: RunStore, open_page, other: Path) -> None:
    dataset = scan(other, store.settings.home)
    shutil.rmtree(other)
    run = store.find("latest")
    study = outside_study(store, run, dataset)
    study.start()
    wait_until(lambda: study.standing().phase == "failed", "its end")
    app = view(open_page("evaluate"), OUTSIDE)
    app.selectbox(key="outside_dataset").set_value(dataset.fingerprint).run()
    assert "can not be read any more" in app.error[0].value


def test_folds_are_trained_from_the_page(store: RunStore, open_page) -> None:
    run = store.find("latest")
    app = view(open_page("evaluate"), FOLDS)
    assert "Leak ledger" in texts(app)
    app.selectbox(key="folds_count").set_value(3).run()
    app.selectbox(key="folds_repeats").set_value(1).run()
    click(app, "Train the folds")
    study = folds_study(store, run, 3, 1)
    wait_until(lambda: study.standing().phase != "running", "the folds")
    app.run()
    assert not app.error
    assert "3 folds, 1 times, 60 images" in texts(app)
    found = study.stored()
    assert found
    shown = app.dataframe[-2].value
    assert shown.loc["Folds by patient", "groups"] == str(found["groupings"]["patient"]["groups"])


def test_stress_tests_are_begun_and_stopped_on_the_page(store: RunStore, open_page) -> None:
    app = view(open_page("evaluate"), STRESS)
    assert not app.get("plotly_chart")
    click(app, "Run the stress tests")
    study = stress_study(store, store.find("latest"))
    assert study.standing().phase == "running"
    study.stop()
    wait_until(lambda: study.standing().phase == "stopped", "the end of the process")
    app.run()
    assert "It was stopped before its end." in [one.value for one in app.info]


def test_what_stress_tests_have_found_is_shown(phantoms: Path, home: Path, open_page) -> None:
    store = copied(stressed(phantoms), phantoms, home)
    run = store.find("latest")
    found = stress_study(store, run).stored()
    assert found
    app = view(open_page("evaluate", run=run), STRESS)
    assert not app.error
    said = texts(app)
    for one in ("lungs_out", "lungs_only", "attention", "leave_one_source_out"):
        assert markdown(found[one]["verdict"]) in said
    assert markdown(found["corruptions_verdict"]) in said
    assert found["command"] in said and found["command"].endswith(f"stress {run}")
    assert list(app.dataframe[0].value["source left out"]) == ["Hospital A", "Hospital B"]
    for example in found["examples"]:
        assert markdown(example["file"]) in said
    app.selectbox(key="stress_kind").set_value("markers").run()
    assert not app.exception


def test_the_views_do_not_import_torch(store: RunStore, open_page, other: Path) -> None:
    import subprocess
    import sys

    from tests.pages.conftest import ENTRY

    script = f"""
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({str(ENTRY)!r}, default_timeout=60)
app.switch_page("pages/evaluate.py").run()
for name in ({OUTSIDE!r}, {FOLDS!r}, {STRESS!r}):
    app.pills(key="view").set_value(name).run()
    assert not app.exception and app.title
print("torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ENTRY.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("False")
