"""A grid is one group of runs: what is asked, what is shown, and which setting is the best."""

import json
import shutil
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidcore import storage
from covidcore.data.index import Dataset
from covidcore.errors import DataError, RecipeError, RunError, WeightsError
from covidcore.jobs import sweeps as module
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.grid import LARGEST, Sweep, canonical, spelled
from covidcore.jobs.info import RunInfo
from covidcore.jobs.store import RunStore
from covidcore.jobs.sweep_info import overall
from covidcore.jobs.sweeps import Sweeps, expand, summarise
from covidcore.training.recipe import Recipe
from tests.once import scanned
from tests.runs import LONG, SHORT, wait_for_end, wait_until

GRID = {"learning_rate": ("1e-3", "1e-4"), "seed": ("0", "1")}


@pytest.fixture
def still(store: RunStore) -> RunStore:
    """A store of the same home that starts no worker."""
    return RunStore(replace(store.settings, slots=0))


def end(store: RunStore, run: str, state: State, **values: float) -> None:
    RunFolder(store.path(run)).write_status(state, **values)


def states(store: RunStore, sweep: Sweep) -> list[State]:
    return [store.info(run).state for run in sweep.runs]


# What is asked


def test_a_grid_is_every_combination_once() -> None:
    recipes = expand(SHORT, {"learning_rate": ("1e-3", " 0.001", "1e-4"), "trainable": ("head",)})
    assert recipes == [replace(SHORT, learning_rate=rate) for rate in (1e-3, 1e-4)]
    pairs = [(recipe.learning_rate, recipe.seed) for recipe in expand(SHORT, GRID)]
    assert pairs == [(1e-3, 0), (1e-3, 1), (1e-4, 0), (1e-4, 1)]
    assert len(expand(SHORT, {"threads": ("1", "2")})) == 1  # the same results: the same run
    (two, none) = expand(SHORT, {"exclude_sources": ("A, B", "")})
    assert (two.exclude_sources, none.exclude_sources) == (("A", "B"), ())


@pytest.mark.parametrize(
    ("grid", "parts"),
    [
        ({}, ["needs a field"]),
        ({"seed": ()}, ["no value of seed"]),
        ({"preset": ("quick", "full")}, ["no field “preset”"]),
        ({"colour": ("red",)}, ["no field “colour”"]),
        ({"seed": ("0", "one")}, ["With seed=one: ", "whole number", "“one”"]),
        ({"learning_rate": ("0.1", "5")}, ["With learning_rate=5: ", "between"]),
        # Each value is good; one combination of them is not.
        (
            {"trainable": ("head", "all"), "standardise": ("true", "false")},
            ["With trainable=all, standardise=true: ", "trainable=head"],
        ),
        ({"seed": tuple(map(str, range(65)))}, ["65 combinations", "64"]),
        (dict.fromkeys(("seed", "epochs"), tuple(map(str, range(9999)))), ["99,980,001", "64"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_grid_that_can_not_be_trained_is_refused_whole(
    grid: dict[str, tuple[str, ...]], parts: list[str]
) -> None:
    with pytest.raises(RecipeError) as refused:
        expand(SHORT, grid)
    assert all(part in str(refused.value) for part in parts), refused.value
    assert str(refused.value).endswith(".")


def test_as_many_combinations_as_are_allowed() -> None:
    assert len(expand(SHORT, {"seed": [str(n) for n in range(LARGEST)]})) == LARGEST


@given(
    rates=st.lists(st.floats(1e-7, 1.0), min_size=1, max_size=3),
    seeds=st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=3),
    sources=st.lists(st.sampled_from(["A", "B", "C d"]), unique=True),
)
def test_the_canonical_grid_is_read_as_the_same_recipes(
    rates: list[float], seeds: list[int], sources: list[str]
) -> None:
    """What is stored of a sweep gives back what was submitted."""
    grid = {
        "learning_rate": [repr(rate) for rate in rates],
        "seed": [str(seed) for seed in seeds],
        "exclude_sources": [" , ".join(sources), ""],
    }
    recipes = expand(SHORT, grid)
    assert expand(SHORT, canonical(recipes, list(grid))) == recipes


@pytest.mark.parametrize("field", ["progressive", "exclude_sources", "learning_rate", "split"])
def test_a_value_is_spelled_as_it_is_read(field: str) -> None:
    for recipe in (Recipe(trainable="all", progressive=True), Recipe(exclude_sources=("A", "B c"))):
        assert recipe.with_overrides({field: spelled(getattr(recipe, field))}) == recipe


# On disk


def test_the_same_again_is_the_same_sweep(still: RunStore, dataset: Dataset) -> None:
    sweeps = Sweeps(still)
    sweep = sweeps.submit(SHORT, GRID, dataset, "rates")
    assert len(set(sweep.runs)) == 4
    assert still.waiting() == list(sweep.runs)
    assert [still.recipe(run) for run in sweep.runs] == sweep.recipes == expand(SHORT, GRID)
    assert still.info(sweep.runs[1]).name == "rates: learning_rate=0.001, seed=1"
    assert sweeps.list() == [sweep]
    assert (len(sweep.id), sweep.dataset) == (16, dataset.fingerprint)

    again = {"seed": ("1", "0"), "learning_rate": ("0.0001", "0.001", "1e-3")}
    same = sweeps.submit(replace(SHORT, threads=2, seed=7), again, dataset)
    assert (same.id, same.name, same.created) == (sweep.id, "rates", sweep.created)
    assert sorted(same.runs) == sorted(sweep.runs)
    assert len(still.list()) == 4
    assert sweeps.submit(SHORT, GRID, dataset, "renamed").name == "renamed"
    assert sweeps.find(sweep.id[:5]).name == "renamed"

    other = sweeps.submit(SHORT, {**GRID, "seed": ("0", "2")}, dataset)
    assert [one.id for one in sweeps.list()] == [other.id, sweep.id]  # the newest first
    assert other.name == f"standard on {dataset.name}"
    assert sweeps.submit(replace(SHORT, epochs=2), GRID, dataset).id not in (sweep.id, other.id)
    assert len(still.list()) == 4 + 2 + 4  # runs that both have are one


def test_only_what_is_missing_or_failed_is_queued_again(still: RunStore, dataset: Dataset) -> None:
    sweeps = Sweeps(still)
    sweep = sweeps.submit(SHORT, GRID, dataset)
    done, failed, gone, waits = sweep.runs
    # A finished run is one whose files are whole: here there are only those it waits with.
    folder = RunFolder(still.path(done))
    for path in (*folder._artefacts, *folder._newer_artefacts):
        path.touch()
    end(still, done, State.DONE, artefacts=folder.hash_artefacts())
    end(still, failed, State.FAILED)
    still.remove(gone)
    assert summarise(sweep, still.list()).missing == (gone,)

    told: list[tuple[str, bool]] = []
    sweeps.submit(SHORT, GRID, dataset, told=lambda said: told.append((said.run, said.cached)))
    assert told == [(done, True), (failed, False), (gone, False), (waits, False)]
    assert states(still, sweep) == [State.DONE, *[State.QUEUED] * 3]
    assert [still.status(run)["attempt"] for run in (failed, gone, waits)] == [2, 1, 1]

    end(still, failed, State.CANCELLED)
    still.remove(gone)
    assert sweeps.resume(sweep) == sweep
    assert states(still, sweep) == [State.DONE, *[State.QUEUED] * 3]
    assert [still.status(run)["attempt"] for run in (failed, gone, waits)] == [3, 1, 1]
    with pytest.raises(RunError, match="is done, waits or runs"):
        sweeps.resume(sweep)


def test_a_run_that_is_another_by_now_takes_the_place_of_the_one_removed(
    still: RunStore, dataset: Dataset, tmp_path: Path
) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"one")
    sweeps = Sweeps(still)
    grid = {"seed": ("0", "1")}
    sweep = sweeps.submit(replace(SHORT, weights=str(weights)), grid, dataset)
    still.remove(sweep.runs[1])
    weights.write_bytes(b"another")
    resumed = sweeps.resume(sweep)
    assert resumed.runs[0] == sweep.runs[0]
    assert resumed.runs[1] != sweep.runs[1]
    assert sweeps.list() == [resumed]
    assert set(resumed.runs) == {info.run for info in still.list()}


def test_a_submission_that_is_cut_short_can_be_gone_on_with(
    still: RunStore, dataset: Dataset
) -> None:
    class PowerCut(Exception):
        pass

    def cut(_: object) -> None:
        raise PowerCut

    sweeps = Sweeps(still)
    with pytest.raises(PowerCut):
        sweeps.submit(SHORT, GRID, dataset, told=cut)
    (sweep,) = sweeps.list()
    assert len(still.list()) == 1
    assert len(summarise(sweep, still.list()).missing) == 3
    sweeps.resume(sweep)
    assert sorted(still.waiting()) == sorted(sweep.runs)


def test_a_sweep_that_can_not_be_queued_whole_queues_nothing(
    still: RunStore, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps = Sweeps(still)
    every = ",".join(sorted(set(dataset.index["source"])))
    for field, value, kind in (
        ("learning_rate", "5", RecipeError),
        ("exclude_sources", "Nowhere", RecipeError),
        ("exclude_sources", every, DataError),
        ("weights", "/no/file.pth", WeightsError),
    ):
        good = spelled(getattr(SHORT, field))
        with pytest.raises(kind):
            sweeps.submit(SHORT, {field: (good, value)}, dataset)
    with pytest.raises(RecipeError, match="COVIDCORE_RUNNER"):
        Sweeps(RunStore(replace(still.settings, runner="moon"))).submit(SHORT, GRID, dataset)
    usage = shutil.disk_usage(still.settings.home)
    # Enough for the first, which is small, but not for the second.
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=int(450e6)))
    with pytest.raises(DataError, match="make room"):
        sweeps.submit(SHORT, {"arch": ("resnet18", "resnet50")}, dataset)
    assert still.list() == []
    assert sweeps.list() == []


def test_files_that_are_no_sweeps_are_passed_over(still: RunStore, dataset: Dataset) -> None:
    sweeps = Sweeps(still)
    sweep = sweeps.submit(SHORT, GRID, dataset)
    folder = still.settings.home / "sweeps"
    whole = storage.read_json(folder / f"{sweep.id}.json")
    damaged = {
        "not": "{",
        "list": "[]",
        "number": "3",
        "null": "null",
        "empty": "{}",
        "grid": json.dumps({**whole, "id": "grid", "grid": {"colour": ["red"]}}),
        "odd": json.dumps({**whole, "id": "odd", "grid": 3}),
        "runs": json.dumps({**whole, "id": "runs", "runs": whole["runs"][:3]}),
        "path": json.dumps({**whole, "id": "path", "runs": ["../../etc"] * 4}),
        "base": json.dumps({**whole, "id": "base", "base": {"epochs": 3}}),
        "more": json.dumps({**whole, "id": "more", "unheard": "of"}),
        "copy": json.dumps(whole),
    }
    for name, text in damaged.items():
        (folder / f"{name}.json").write_text(text)
    (folder / "folder.json").mkdir()
    assert sweeps.list() == [sweep]
    for prefix in ("", "zzz", "copy", "../"):
        with pytest.raises(RunError, match="whose id begins with"):
            sweeps.find(prefix)
    (folder / f"{sweep.id}.json").write_text("{")
    assert sweeps.submit(SHORT, GRID, dataset, "again").runs == sweep.runs  # and mended
    assert [one.name for one in sweeps.list()] == ["again"]


def test_a_new_home_has_no_sweeps(still: RunStore) -> None:
    assert Sweeps(still).list() == []
    assert not still.settings.home.exists()


@pytest.mark.usefixtures("idle")
def test_cancelling_a_sweep_stops_what_waits_and_what_runs(
    store: RunStore, dataset: Dataset
) -> None:
    sweeps = Sweeps(store)
    sweep = sweeps.submit(replace(LONG, epochs=1000), GRID, dataset)
    other = store.submit(SHORT, dataset).run
    assert states(store, sweep) == [State.RUNNING, *[State.QUEUED] * 3]
    with pytest.raises(RunError, match="is running: cancel it first"):
        sweeps.remove(sweep, runs=True)
    sweeps.cancel(sweep)
    assert states(store, sweep)[1:] == [State.CANCELLED] * 3
    wait_until(lambda: summarise(sweep, store.list()).state is State.CANCELLED, "the end")
    for run in sweep.runs[1:]:
        assert not (store.path(run) / "log.txt").exists(), "a run was started to be cancelled"
    with pytest.raises(RunError, match="nothing to cancel"):
        sweeps.cancel(sweep)
    assert wait_for_end(store, other) is State.DONE  # the queue goes on


def test_removing_the_group_and_its_runs(still: RunStore, dataset: Dataset) -> None:
    sweeps = Sweeps(still)
    one = sweeps.submit(SHORT, GRID, dataset)
    sweeps.remove(one)
    assert sweeps.list() == []
    assert len(still.list()) == 4
    one = sweeps.submit(SHORT, GRID, dataset)
    other = sweeps.submit(SHORT, {"learning_rate": ("1e-3", "1e-2")}, dataset)
    sweeps.remove(one, runs=True)
    assert sweeps.list() == [other]
    assert sorted(info.run for info in still.list()) == sorted(other.runs)  # it has lost none
    sweeps.remove(other, runs=True)
    assert still.list() == []


# What is shown


Made = Callable[..., tuple[Sweep, list[RunInfo]]]


def info(run: str, state: State = State.DONE, **values: object) -> RunInfo:
    given = {
        **dict.fromkeys(RunInfo._fields),
        **{"epoch": 4, "epochs": 4, "step": 0, "steps": 0, "phase": ""},
    }
    return RunInfo(**{**given, "run": run, "state": state, **values})  # type: ignore[arg-type]


def made(losses: list[float | None], grid: dict[str, tuple[str, ...]] = GRID) -> Sweep:
    """A sweep as it would be on disk, of as many runs as there are losses."""
    runs = tuple(f"run{at}" for at in range(len(losses)))
    return Sweep("0" * 16, "name", "f", "d", SHORT.to_json(), grid, runs, "2026-01-01")


def infos(losses: list[float | None], accuracies: list[float] | None = None) -> list[RunInfo]:
    tested = accuracies or [0.5] * len(losses)
    return [
        info(f"run{at}", val_loss=loss, accuracy=accuracy)
        for at, (loss, accuracy) in enumerate(zip(losses, tested, strict=True))
    ]


def test_the_best_setting_is_that_of_the_least_mean_over_seeds() -> None:
    # The least single loss, 0.1, is of the setting that is worse over both seeds.
    losses: list[float | None] = [0.1, 0.9, 0.4, 0.3]
    shown = summarise(made(losses), infos(losses))
    assert (shown.state, shown.progress, shown.counts) == (State.DONE, 1.0, {State.DONE: 4})
    first, second = shown.settings
    assert (first.values, second.values) == ({"learning_rate": 1e-3}, {"learning_rate": 1e-4})
    assert (first.runs, first.seeds, first.done) == (("run0", "run1"), (0, 1), 2)
    assert first.val_loss == pytest.approx(0.5)
    assert first.val_loss_std == pytest.approx(statistics.stdev([0.1, 0.9]))
    assert shown.best is not None
    assert (shown.best.setting, shown.best.run, shown.best.val_loss) == (second, "run3", 0.3)
    assert shown.note == ""


def test_seeds_may_come_first_in_the_grid() -> None:
    losses: list[float | None] = [0.1, 0.4, 0.9, 0.3]
    sweep = made(losses, {"seed": ("0", "1"), "learning_rate": ("1e-3", "1e-4")})
    shown = summarise(sweep, infos(losses))
    assert [setting.runs for setting in shown.settings] == [("run0", "run2"), ("run1", "run3")]
    assert shown.best is not None
    assert shown.best.run == "run3"


@given(
    losses=st.lists(st.floats(0, 10), min_size=4, max_size=4),
    accuracies=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    others=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_test_accuracy_changes_nothing(
    losses: list[float | None], accuracies: list[float], others: list[float]
) -> None:
    sweep = made(losses)
    assert summarise(sweep, infos(losses, accuracies)) == summarise(sweep, infos(losses, others))


def test_the_best_of_two_equal_ones_does_not_go_by_accuracy() -> None:
    for accuracies in ([0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.2, 0.1]):
        shown = summarise(made([0.5] * 4), infos([0.5] * 4, accuracies))
        assert shown.best is not None
        assert shown.best.run == "run0"


def test_a_setting_competes_only_when_every_run_is_done() -> None:
    losses: list[float | None] = [0.1, 0.1, 0.4, 0.6]
    sweep = made(losses)
    for state in set(State) - {State.DONE}:
        listed = [info("run0", state, val_loss=0.1), *infos(losses)[1:]]
        first, second = (shown := summarise(sweep, listed)).settings
        assert (first.done, first.val_loss, first.val_loss_std) == (1, 0.1, None)
        assert not first.complete
        assert second.complete
        assert shown.best is not None
        assert shown.best.setting == second
    nothing = summarise(sweep, [info(f"run{at}", State.QUEUED) for at in range(4)])
    assert (nothing.best, nothing.note, nothing.settings[0].val_loss) == (None, "", None)


def test_a_run_that_diverged_makes_its_setting_no_best() -> None:
    losses: list[float | None] = [None, 0.1, 0.4, 0.6]
    shown = summarise(made(losses), infos(losses))
    assert shown.settings[0].val_loss is None
    assert shown.best is not None
    assert shown.best.run == "run2"
    assert summarise(made([None] * 4), infos([None] * 4)).best is None


def test_runs_that_were_removed_are_shown_as_missing() -> None:
    losses: list[float | None] = [0.1, 0.1, 0.4, 0.6]
    strangers = [info("other", State.RUNNING, val_loss=0.0)]
    shown = summarise(made(losses), [*infos(losses)[1:], *strangers])
    assert shown.missing == shown.settings[0].missing == ("run0",)
    assert (shown.state, shown.progress) == (State.INTERRUPTED, 0.75)
    assert shown.counts == {State.DONE: 3}
    assert shown.best is not None
    assert shown.best.setting == shown.settings[1]
    gone = summarise(made(losses), [])
    assert (gone.state, gone.progress, gone.counts) == (State.INTERRUPTED, 0.0, {})


@pytest.mark.parametrize(
    "field", [("split", ("70/10/20", "60/20/20")), ("exclude_sources", ("", "A"))]
)
def test_nothing_is_the_best_where_the_grid_says_who_validates(
    field: tuple[str, tuple[str, ...]],
) -> None:
    name, values = field
    sweep = made([0.1, 0.2], {name: values})
    shown = summarise(sweep, infos([0.1, 0.2]))
    assert shown.best is None
    assert name in shown.note
    assert [setting.val_loss for setting in shown.settings] == [0.1, 0.2]
    assert summarise(sweep, []).note == ""
    one = made([0.1, 0.2], {name: values[:1], "learning_rate": ("1e-3", "1e-4")})
    assert summarise(one, infos([0.1, 0.2])).best is not None


def test_progress_counts_epochs_and_steps() -> None:
    listed = [
        info("run0"),
        info("run1", State.RUNNING, phase="training", epoch=3, step=5, steps=10),
        info("run2", State.CANCELLED, epoch=1),
        info("run3", State.QUEUED, epoch=0),
    ]
    shown = summarise(made([None] * 4), listed)
    assert shown.progress == pytest.approx((1 + 2.5 / 4 + 1 / 4 + 0) / 4)
    assert shown.state is State.RUNNING
    early = [info(f"run{at}", epoch=2) for at in range(4)]  # patience ended them
    assert summarise(made([None] * 4), early).progress == 1


@pytest.mark.parametrize(
    ("states", "missing", "state"),
    [
        ("done done", 0, "done"),
        ("done done", 1, "interrupted"),
        ("", 2, "interrupted"),
        ("done queued", 0, "queued"),
        ("failed queued running", 0, "running"),
        ("failed queued", 1, "queued"),
        ("cancelled failed done interrupted", 0, "failed"),
        ("cancelled done interrupted", 0, "interrupted"),
        ("cancelled done", 0, "cancelled"),
        ("cancelled done", 1, "cancelled"),
    ],
)
def test_the_state_of_a_group(states: str, missing: int, state: str) -> None:
    given = [State(word) for word in states.split()]
    assert overall(given, missing) == overall(given[::-1], missing) == State(state)


def test_what_a_page_needs_is_offered_in_one_place() -> None:
    assert {"Sweeps", "SweepInfo", "expand", "summarise"} <= set(dir(module))


# The whole of it


def test_a_sweep_of_two_rates_and_two_seeds(
    store: RunStore, phantoms: Path, dataset: Dataset
) -> None:
    sweeps = Sweeps(store)
    recipe = replace(SHORT, standardise=True, epochs=2)
    rates = {"learning_rate": ("1e-6", "1e-2"), "seed": ("0", "1")}
    sweep = sweeps.submit(recipe, rates, dataset)
    assert summarise(sweep, store.list()).state is State.RUNNING
    for run in sweep.runs:
        assert wait_for_end(store, run) is State.DONE, store.log_tail(run)
    shown = summarise(sweep, store.list())
    assert (shown.state, shown.progress) == (State.DONE, 1.0)
    losses = {run: store.history(run)["val_loss"].min() for run in sweep.runs}
    means = [statistics.fmean(losses[run] for run in one.runs) for one in shown.settings]
    for setting, mean in zip(shown.settings, means, strict=True):
        assert setting.val_loss == pytest.approx(mean)
        spread = statistics.stdev(losses[run] for run in setting.runs)
        assert setting.val_loss_std == pytest.approx(spread)
    # Why means over seeds are compared: both settings are validated on the same images, a seed's.
    one, other = ([store.job(run)["split"] for run in setting.runs] for setting in shown.settings)
    assert one == other
    assert one[0] != one[1]
    assert shown.best is not None
    assert shown.best.setting == shown.settings[means.index(min(means))]
    assert shown.best.run == min(shown.best.setting.runs, key=losses.__getitem__)

    started = [store.status(run)["started"] for run in sweep.runs]
    assert started == sorted(started)
    again = Sweeps(store).submit(recipe, rates, scanned(phantoms, store.settings.home))
    assert again == sweep
    assert states(store, sweep) == [State.DONE] * 4
    assert [store.status(run)["attempt"] for run in sweep.runs] == [1] * 4
