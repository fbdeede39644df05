"""The train page: what a person sees before, while and after a run."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from covidcore.config import Settings
from covidcore.data.sources import resolve
from covidcore.jobs.estimate import probe_lock
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.rates import RateFile, Rates, cost_key, reading_key
from covidcore.jobs.store import RunStore
from covidcore.training.recipe import PRESETS
from tests.once import phantoms_in
from tests.pages.conftest import click, texts

QUICK = PRESETS["quick"].recipe
DONE_BEFORE = {"weights": "none", "epochs": "3"}
"""What the trained run changes of the preset."""


def labels(app) -> list[str]:
    return [button.label for button in app.button]


def fields(app) -> list[str]:
    """The recipe's fields that are typed."""
    return [one.key for one in app.text_input if one.key.startswith("quick-")]


def button(app, key: str):
    """Press a button by its key and run the page."""
    app.button(key=key).click().run()
    assert not app.exception
    return app


def choose_trained(app) -> None:
    app.text_input(key="quick-epochs").set_value("3")
    app.selectbox(key="quick-weights").set_value("none").run()


def select_rows(app, *rows: int):
    """As clicks on the table's rows do."""
    key = "runs-" + app.dataframe[-1].proto.id.partition("-runs-")[2]
    app.session_state[key] = {"selection": {"rows": list(rows)}}
    app.run()
    assert not app.exception
    return app


def table(app):
    return app.dataframe[-1].value


@contextmanager
def under_way(store: RunStore, run: str, **event: object) -> Iterator[RunFolder]:
    """The run as it is while a worker holds it; what it was comes back in the end."""
    folder = RunFolder(store.path(run))
    kept = {path: path.read_bytes() for path in (folder.status_file, folder.log)}
    told = {"event": "progress", "phase": "training", "step": 1, "steps": 2, "epoch": 1, **event}
    try:
        with FileLock(folder.lock):
            folder.write_status(State.RUNNING, finished=None)
            folder.log.write_text(json.dumps(told) + "\n")
            yield folder
    finally:
        for path, data in kept.items():
            if path.parent.exists():
                path.write_bytes(data)


@pytest.fixture
def waiting(trained, monkeypatch) -> Iterator[tuple[RunStore, str, str]]:
    """Two runs that wait for ever: nothing answers at port 1."""
    monkeypatch.setenv("COVIDCORE_RUNNER", "ray:http://127.0.0.1:1")
    store = RunStore(replace(trained.settings, runner="ray:http://127.0.0.1:1"))
    dataset = resolve("phantoms:60", trained.settings)
    recipe = QUICK.with_overrides({"weights": "none"})
    first, second = (store.submit(replace(recipe, seed=seed), dataset).run for seed in (1, 2))
    yield store, first, second
    for run in (first, second):
        if (store.queue.folder / run).exists():
            store.remove(run)


def test_every_preset_can_be_chosen_and_says_that_it_is(trained, open_page) -> None:
    app = open_page("train")
    for name, preset in PRESETS.items():
        if name != app.session_state["preset"]:
            button(app, f"choose-{name}")
        assert not app.error
        assert f"{preset.title} is chosen" in labels(app)
        assert [one.disabled for one in app.button if one.key == f"choose-{name}"] == [True]
        assert sum(":material/check: chosen" in str(head.value) for head in app.subheader) == 1
        assert app.text_input(key=f"{name}-epochs").value == str(preset.recipe.epochs)
        for words in (preset.trains, preset.gives):
            assert words in texts(app)


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("epochs", "many", "epochs must be a whole number, not “many”."),
        ("learning_rate", "7", "learning_rate is 7.0; it must lie between 1e-07 and 1."),
        ("split", "70/40", "split"),
        ("image_size", "5", "image_size is 5; it must lie between 32 and 512."),
    ],
)
def test_bad_value_is_told_and_takes_nothing_else_away(
    trained, open_page, field: str, typed: str, sentence: str
) -> None:
    app = open_page("train")
    before = fields(app)
    app.text_input(key=f"quick-{field}").set_value(typed).run()
    assert not app.exception
    assert sentence in app.error[0].value.replace("\\", "")
    assert [one.disabled for one in app.button if one.label == "Train"] == [True]
    assert fields(app) == before
    assert "All runs" in [head.value for head in app.header]


def test_several_bad_values_each_have_a_sentence(trained, open_page) -> None:
    app = open_page("train")
    app.text_input(key="quick-epochs").set_value("many")
    app.text_input(key="quick-patience").set_value("-1").run()
    assert len(app.error) == 2


def test_what_is_trained_can_be_changed_in_every_preset(trained, open_page) -> None:
    """Fields that belong to one way of training do not stand in the way of another."""
    app = open_page("train")
    for name in PRESETS:
        if name != app.session_state["preset"]:
            button(app, f"choose-{name}")
        for trainable in ("head", "last_stage", "all"):
            app.selectbox(key=f"{name}-trainable").set_value(trainable).run()
            assert not app.exception
            assert not app.error


def test_source_can_be_left_out(trained, open_page) -> None:
    app = open_page("train")
    (sources,) = (one for one in app.multiselect if one.key.startswith("quick-exclude_sources"))
    index = resolve("phantoms:60", trained.settings).index
    source = sorted(set(index["source"]) - {""})[0]
    assert source in sources.options
    whole = app.dataframe[0].value.to_numpy().sum()
    sources.set_value([source]).run()
    assert not app.exception
    if not app.error:  # else a class would be left without images, and the page says so
        left = app.dataframe[0].value.to_numpy().sum()
        assert whole - left >= (index["source"] == source).sum()


def test_run_that_exists_is_offered_instead_of_training(trained, open_page) -> None:
    before = len(trained.list())
    app = open_page("train")
    choose_trained(app)
    assert "You have run this already" in texts(app)
    assert "Train" not in labels(app)
    click(app, "Open it")
    assert app.query_params["run"] == trained.find("latest")[:12]
    assert len(trained.list()) == before


def test_run_under_way_is_followed_and_not_begun_again(trained, open_page) -> None:
    with under_way(trained, trained.find("latest")):
        app = open_page("train")
        choose_trained(app)
        assert "This run is running" in texts(app)
        assert "Follow it" in labels(app)


@pytest.mark.parametrize(
    ("state", "said"),
    [(State.CANCELLED, "and it was cancelled"), (State.FAILED, "and it failed")],
)
def test_run_that_came_to_no_end_is_resumed(trained, open_page, state: State, said: str) -> None:
    folder = RunFolder(trained.path(trained.find("latest")))
    status = folder.status_file.read_bytes()
    try:
        folder.write_status(state)
        app = open_page("train")
        choose_trained(app)
        assert said in texts(app)
        assert "Resume it" in labels(app)
    finally:
        folder.status_file.write_bytes(status)


def test_estimate_stands_on_the_cards(home, open_page) -> None:
    """Known for those that cost the same; the others say that it is not."""
    dataset = phantoms_in(home, 60)
    file = RateFile(home)
    file.keep(cost_key(QUICK), Rates(10.0, 1.0, 0.5, None, 0.01, 0.01, 0.1, "fp32"))
    file.keep_reading(reading_key(dataset.fingerprint, 224), 0.01)
    seen = texts(open_page("train"))
    assert seen.count(":material/schedule: about") == 2  # quick and write-up
    assert seen.count(":material/schedule: not measured yet") == 2
    assert "and a download of its weights" in seen  # ImageNet's are not here
    assert "Features 30 s" in seen  # 60 images of half a second


def test_page_does_not_wait_for_the_probe(home, open_page) -> None:
    phantoms_in(home, 30)
    with FileLock(probe_lock(home)):
        seen = texts(open_page("train"))
    assert seen.count(":material/schedule: measuring") == len(PRESETS)


def test_nothing_is_measured_beside_a_run(trained, open_page) -> None:
    with under_way(trained, trained.find("latest")):
        assert "measured once nothing runs" in texts(open_page("train"))


def test_waiting_runs_can_be_moved_and_say_why_they_wait(waiting, open_page) -> None:
    store, first, second = waiting
    app = open_page("train", run=second[:12])
    assert "Place **1** of 2" in texts(app)
    assert "does not answer" in app.warning[0].value
    assert app.button(key=f"earlier-{first}").disabled
    assert app.button(key=f"later-{second}").disabled
    button(app, f"earlier-{second}")
    assert store.waiting() == [second, first]
    button(app, f"later-{second}")
    assert store.waiting() == [first, second]
    button(app, f"cancel-{second}")
    assert store.waiting() == [first]


def test_queue_opens_a_run(waiting, open_page) -> None:
    _, first, second = waiting
    app = open_page("train", run=first[:12])
    button(app, f"open-{second}")
    assert app.query_params["run"] == second[:12]


def test_a_running_run_shows_what_it_takes(trained, open_page) -> None:
    run = trained.find("latest")
    with under_way(trained, run, memory_mb=1234, processor_percent=97, eta_seconds=125) as folder:
        app = open_page("train")
        shown = {metric.label: metric.value for metric in app.metric}
        assert (shown["Memory"], shown["CPU"]) == ("1,234 MB", "97 %")
        assert shown["Time to go"] == "2 min 5 s"
        folder.log.write_text(json.dumps({"event": "progress", "phase": "", "step": 0}) + "\n")
        assert "Memory" not in {metric.label for metric in open_page("train").metric}


def test_an_interrupted_run_says_so_and_can_be_resumed(trained, open_page) -> None:
    folder = RunFolder(trained.path(trained.find("latest")))
    status = folder.status_file.read_bytes()
    try:
        folder.write_status(State.RUNNING)
        app = open_page("train")
        assert "can be resumed" in app.error[0].value
        assert "Resume" in labels(app)
    finally:
        folder.status_file.write_bytes(status)


@pytest.mark.parametrize("page", ["", "explore", "train", "evaluate", "predict"])
def test_end_of_a_run_is_announced_on_every_page(trained, open_page, page: str) -> None:
    with under_way(trained, trained.find("latest")):
        app = open_page(page)
        assert not app.toast
    app.run()
    assert not app.exception
    (toast,) = app.toast
    assert "is done" in toast.value
    assert "of its test images are answered right" in toast.value
    app.run()
    assert not app.toast


def test_end_that_was_not_good_is_announced_too(trained, open_page) -> None:
    folder = RunFolder(trained.path(trained.find("latest")))
    status = folder.status_file.read_bytes()
    try:
        with under_way(trained, folder.run):
            app = open_page("explore")
        folder.write_status(State.FAILED, message="The disk is *full*.")
        app.run()
        assert "is failed" in app.toast[0].value
        assert "\\*full\\*" in app.toast[0].value
    finally:
        folder.status_file.write_bytes(status)


def test_runs_that_ended_before_are_no_news(trained, open_page) -> None:
    app = open_page("explore")
    app.run()
    assert not app.toast


def test_runs_are_filtered(waiting, open_page) -> None:
    app = open_page("train")
    assert len(table(app)) == 3
    app.multiselect(key="filter-state").set_value(["done"]).run()
    assert list(table(app)["state"]) == ["done"]
    app.multiselect(key="filter-preset").set_value(["quick"]).run()
    assert len(table(app)) == 1
    app.text_input(key="filter-text").set_value("no such name").run()
    assert not app.exception
    click(app, "Show all runs")
    assert len(table(app)) == 3


def test_several_runs_are_compared_on_one_chart(waiting, open_page) -> None:
    app = open_page("train")
    assert "Compared" not in [head.value for head in app.subheader]
    select_rows(app, 0, 1, 2)
    assert "Compared" in [head.value for head in app.subheader]
    select_rows(app, 0)
    assert "Compared" not in [head.value for head in app.subheader]
    button(app, "open")
    assert app.query_params["run"].startswith(table(app)["run"][0])


def test_remove_asks_first(waiting, open_page) -> None:
    store, first, second = waiting
    app = open_page("train")
    row = list(table(app)["run"]).index(second[:8])
    select_rows(app, row)
    button(app, "remove")
    assert "deleted for good" in texts(app)
    assert (store.queue.folder / second).exists()
    button(app, "remove-no")
    assert (store.queue.folder / second).exists()
    button(app, "remove")
    button(app, "remove-yes")
    assert not (store.queue.folder / second).exists()
    assert (store.queue.folder / first).exists()


def test_running_run_is_not_removed(trained, open_page) -> None:
    run = trained.find("latest")
    with under_way(trained, run):
        app = open_page("train")
        select_rows(app, 0)
        button(app, "remove")
        button(app, "remove-yes")
        assert "is running: cancel it first" in app.error[0].value.replace("\\", "")
        assert trained.path(run).exists()


def test_selection_ends_with_the_rows_it_was_of(waiting, open_page) -> None:
    app = open_page("train")
    select_rows(app, 0)
    assert "Remove" in labels(app)
    app.multiselect(key="filter-state").set_value(["done"]).run()
    assert "Remove" not in labels(app)


def test_no_runs_yet_says_how_to_begin(home, open_page) -> None:
    phantoms_in(home, 30)
    app = open_page("train")
    assert "No runs yet" in texts(app)
    assert "Train" in labels(app)


def test_a_run_whose_job_file_vanished_since_it_was_listed(
    trained: RunStore, home: Path, monkeypatch: pytest.MonkeyPatch, open_page
) -> None:
    shutil.copytree(trained.settings.home, home, dirs_exist_ok=True)
    monkeypatch.setenv("COVIDCORE_HOME", str(home))
    (run,) = RunStore(Settings(home=home)).list()  # from now on it is in the index
    (home / "runs" / run.run / "job.json").unlink()
    app = open_page("train")
    assert "New run on" in app.header[0].value
    assert not app.error
