"""What visitors of a public demo may ask of the store, and what is made for them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from covidcore import storage
from covidcore.config import Settings
from covidcore.data import audit_process
from covidcore.data.audit import stored
from covidcore.data.index import Dataset, known, load, scan
from covidcore.errors import Busy, CovidcoreError, DataError, RecipeError, RunError
from covidcore.jobs import demo_process
from covidcore.jobs.demo import LIMIT, LIMIT_SECONDS, MOST_KEPT, MOST_WAITING, Rules, Visitor
from covidcore.jobs.estimate import start_probe
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.folds import folds_study
from covidcore.jobs.imports import own_model
from covidcore.jobs.store import RunStore
from covidcore.jobs.sweeps import Sweeps
from covidcore.model import weights
from covidcore.training.recipe import PRESETS
from tests.conftest import MakeDataset
from tests.runs import wait_for_end, wait_until, worker_pid, write_run

QUICK = replace(PRESETS["quick"].recipe, weights="none", image_size=96, epochs=1)


@pytest.fixture
def full(settings: Settings) -> Iterator[Settings]:
    """A demo whose one worker is taken, so that whatever is submitted waits."""
    demo = replace(settings, demo=True)
    busy = write_run(demo.home, "busy", State.RUNNING)
    with FileLock(busy.lock):
        yield demo


def store_of(demo: Settings, *runs: str, spend: Callable[[str], None] | None = None) -> RunStore:
    visitor = Visitor(set(runs)) if spend is None else Visitor(set(runs), spend)
    return RunStore(demo, visitor)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"preset": "standard"}, "only quick"),
        ({"preset": "mine"}, "only quick"),
        ({"arch": "resnet50"}, "arch stays resnet18"),
        ({"trainable": "all", "standardise": False}, "stays"),
        ({"augment": "standard"}, "augment stays none"),
        ({"weights": "imagenet"}, "weights can be radiographs, none"),
        ({"weights": "auto"}, "weights can be radiographs, none"),
        ({"weights": "/etc/passwd"}, "weights can be radiographs, none"),
        ({"image_size": 512}, "image_size can be 96, 128"),
        ({"image_size": 97}, "image_size can be 96, 128"),
        ({"epochs": 61}, "epochs can be 60"),
        ({"workers": 2}, "workers stays 1"),
        ({"threads": 64}, "threads stays 0"),
    ],
)
def test_recipes_are_from_a_list(
    full: Settings, dataset: Dataset, change: dict[str, object], told: str
) -> None:
    recipe = replace(QUICK, **change)
    with pytest.raises(RecipeError, match=f"public demo: .*{told}"):
        store_of(full).submit(recipe, dataset)
    assert [folder.run for folder in RunStore(full).queue.folders()] == ["busy"]


def test_only_phantoms_are_trained_on(full: Settings, make_dataset: MakeDataset) -> None:
    theirs = scan(make_dataset({"a": 12, "b": 12}), full.home)
    with pytest.raises(RunError, match="only phantoms"):
        store_of(full).submit(QUICK, theirs)


def test_training_can_be_off(full: Settings, dataset: Dataset) -> None:
    with pytest.raises(RunError, match="nothing is trained"):
        store_of(replace(full, training=False)).submit(QUICK, dataset)
    # Where it is no demo, the owner's own app trains all the same.
    assert RunStore(replace(full, demo=False, training=False)).submit(QUICK, dataset).run


def test_a_run_has_its_terms_and_an_owner(full: Settings, dataset: Dataset) -> None:
    mine, theirs = store_of(full), store_of(full)
    run = mine.submit(QUICK, dataset).run
    assert mine.job(run)[LIMIT] == LIMIT_SECONDS
    assert RunFolder(mine.path(run)).limit_seconds() == LIMIT_SECONDS
    assert theirs.submit(QUICK, dataset).run == run  # joined, not owned
    for stranger in (theirs, RunStore(full)):
        with pytest.raises(RunError, match="a run that you began yourself"):
            stranger.cancel(run)
    for refused in (lambda: mine.remove(run), lambda: mine.move(run, -1)):
        with pytest.raises(RunError, match="public demo"):
            refused()
    mine.cancel(run)
    assert mine.info(run).state is State.CANCELLED


def test_outside_a_demo_nothing_is_bounded(full: Settings, dataset: Dataset) -> None:
    mine = RunStore(replace(full, demo=False))
    run = mine.submit(replace(QUICK, arch="resnet34"), dataset).run
    assert LIMIT not in mine.job(run)
    assert RunFolder(mine.path(run)).limit_seconds() is None
    RunStore(mine.settings).cancel(run)
    mine.remove(run)
    assert [folder.run for folder in mine.queue.folders()] == ["busy"]


def test_a_visitor_has_one_run_under_way_and_few_wait(full: Settings, dataset: Dataset) -> None:
    mine = store_of(full)
    mine.submit(QUICK, dataset)
    with pytest.raises(RunError, match="A run of yours has not ended"):
        mine.submit(replace(QUICK, seed=1), dataset)
    for seed in range(2, MOST_WAITING + 1):
        store_of(full).submit(replace(QUICK, seed=seed), dataset)
    assert len(mine.waiting()) == MOST_WAITING
    with pytest.raises(RunError, match=f"^{MOST_WAITING} runs wait already: try again"):
        store_of(full).submit(replace(QUICK, seed=9), dataset)
    assert len(mine.waiting()) == MOST_WAITING


def test_one_job_for_the_whole_server(full: Settings, dataset: Dataset) -> None:
    mine = store_of(replace(full, slots=5))
    run = mine.submit(QUICK, dataset).run
    mine.list()
    assert mine.waiting() == [run]
    with pytest.raises(RunError, match="its own machine"):
        store_of(replace(full, runner="ray:http://127.0.0.1:1")).submit(
            replace(QUICK, seed=1), dataset
        )


def test_requests_are_counted_before_anything_is_made(full: Settings, dataset: Dataset) -> None:
    asked: list[str] = []

    def spend(what: str) -> None:
        asked.append(what)
        raise Busy("try again in 3 minutes")

    with pytest.raises(Busy, match="3 minutes"):
        store_of(full, spend=spend).submit(QUICK, dataset)
    assert asked == ["training"]
    assert RunStore(full).waiting() == []


def old_run(home: Path, name: str, day: int, *, visitors: bool) -> RunFolder:
    folder = write_run(home, name, State.DONE)
    job = storage.read_json(folder.job) | {"created": f"2026-01-{day:02}"}
    folder.job.write_text(json.dumps(job | ({LIMIT: 300} if visitors else {})))
    return folder


def test_old_runs_of_visitors_make_room(full: Settings, dataset: Dataset) -> None:
    owners = old_run(full.home, "owners", 1, visitors=False)
    runs = [old_run(full.home, f"v{day}", day, visitors=True) for day in range(2, MOST_KEPT + 3)]
    damaged = write_run(full.home, "damaged", State.DONE)
    damaged.job.write_text("{")
    run = store_of(full).submit(QUICK, dataset).run
    left = {folder.run for folder in RunStore(full).queue.folders()}
    assert left == {run, "busy", "damaged", owners.run, *(old.run for old in runs[2:])}


def test_only_what_was_begun_here_is_gone_on_with(full: Settings) -> None:
    owners = write_run(full.home, "owners", State.FAILED)
    with pytest.raises(RunError, match="not gone on with"):
        store_of(full).resume("owners")
    job = storage.read_json(owners.job)
    owners.job.write_text(json.dumps(job | {LIMIT: 300}))
    mine = store_of(full)
    mine.resume("owners")
    assert mine.waiting() == ["owners"]
    mine.cancel("owners")  # who goes on with it may end it


def test_no_sweeps(full: Settings, dataset: Dataset) -> None:
    grid = {"seed": ("0", "1")}
    with pytest.raises(RunError, match="public demo"):
        Sweeps(store_of(full)).submit(QUICK, grid, dataset)
    sweep = Sweeps(RunStore(replace(full, demo=False))).submit(QUICK, grid, dataset)
    theirs = Sweeps(store_of(full, *sweep.runs))
    for refused in (theirs.cancel, theirs.resume, theirs.remove):
        with pytest.raises(RunError, match="public demo"):
            refused(sweep)
    assert [one.id for one in theirs.list()] == [sweep.id]


def test_no_process_is_started_for_a_visitor(
    full: Settings, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVIDCORE_DEMO", "1")
    write_run(full.home, "r1", State.DONE)
    with pytest.raises(DataError, match="not worked out for a visitor"):
        audit_process.start(dataset, full.home)
    with pytest.raises(DataError, match="not worked out for a visitor"):
        folds_study(RunStore(full), "r1").start()
    assert start_probe(full, dataset, [QUICK]) is None
    assert not (full.home / "probes.json").exists()
    assert not (full.home / "datasets" / dataset.fingerprint / "auditing").exists()


@pytest.mark.parametrize("seconds", [0.0, 6.0], ids=["while torch is loaded", "while it trains"])
def test_the_watchdog_ends_what_takes_too_long(
    store: RunStore, dataset: Dataset, seconds: float
) -> None:
    # Enough epochs to train for minutes, were it let.
    endless = replace(QUICK, epochs=1000, batch_size=2, threads=1, precision="fp32")
    run = store.submit(endless, dataset).run
    store.cancel(run)
    wait_for_end(store, run)
    folder = RunFolder(store.path(run))
    folder.job.write_text(json.dumps({**folder.read_job(), LIMIT: seconds}))
    store.resume(run)
    assert wait_for_end(store, run) is State.FAILED
    assert "it may take" in store.info(run).message
    wait_until(lambda: worker_pid(folder.path) is None, "the process to be gone")


def test_a_demo_makes_what_it_has_to_show(settings: Settings) -> None:
    demo = replace(settings, demo=True)
    assert demo_process.state(demo.home).phase == "absent"
    work = demo_process.task(demo.home)
    demo_process.prepare(demo, work, images=60)
    assert demo_process.state(demo.home).phase == "done"
    (info,) = known(demo.home)
    assert (info.synthetic, info.images) == (True, 60)
    assert stored(load(info.fingerprint, demo.home), demo.home) is not None
    runs = {run.run: run for run in RunStore(demo).list()}
    ours = runs.pop(own_model(RunStore(settings)))  # which visitors ask about their images
    (run,) = runs.values()
    assert (ours.state, run.state) == (State.DONE, State.DONE)
    assert folds_study(RunStore(demo), run.run).stored() is not None
    # Nobody's: no visitor's rule removes it. And once it is there, nothing is made twice.
    assert LIMIT not in RunStore(demo).job(run.run)
    before = RunStore(demo).status(run.run)
    demo_process.prepare(demo, work, images=60)
    assert RunStore(demo).status(run.run) == before


def test_a_preparation_that_fails_says_why(settings: Settings) -> None:
    work = demo_process.task(settings.home)
    work.path.mkdir(parents=True)

    def fails() -> None:
        raise CovidcoreError("There is no room.")

    assert work.work(fails) == 1
    assert demo_process.state(settings.home) == demo_process.Preparation(
        "failed", message="There is no room."
    )


def test_a_demo_starts_from_the_backbone_where_it_is_at_hand(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = replace(settings, demo=True)
    assert demo_process.first_recipe(demo).weights == "radiographs"  # the project's own
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "shipped")  # a copy without them
    assert demo_process.first_recipe(demo).weights == "none"
    (demo.home / "weights").mkdir(parents=True)
    (demo.home / "weights" / "resnet18-radiographs.pth").write_bytes(b"weights")
    (demo.home / "weights" / "resnet18-radiographs.json").write_text(
        json.dumps({"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]})
    )
    assert demo_process.first_recipe(demo).weights == "radiographs"
    assert Rules(settings).start(PRESETS["quick"].recipe) == PRESETS["quick"].recipe
