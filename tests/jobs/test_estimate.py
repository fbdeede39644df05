"""What a run will take: sums, what is on disk already, what a probe and finished runs say."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.data.pixels import pixel_array
from covidcore.jobs import probe
from covidcore.jobs.estimate import (
    Forecaster,
    estimate,
    parts_in_words,
    probe_lock,
    probing,
    start_probe,
    to_probe,
)
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.learned import learned
from covidcore.jobs.rates import RateFile, Rates, cost_key, machine, reading_key
from covidcore.model.weights import NONE
from covidcore.training.recipe import PRESETS, Recipe
from tests.edited import edit
from tests.runs import LONG, SHORT, Trained

RATES = Rates(
    start=4.0,
    finish=2.0,
    plain=0.1,
    varied=0.2,
    train=0.05,
    validate=0.01,
    save=0.5,
    precision="fp32",
)
RECIPE = replace(LONG, split="50/25/25", epochs=3)  # 36 images: 18, 9 and 9


def known(recipe: Recipe, dataset: Dataset, home: Path, rates: Rates = RATES, **more):
    found = estimate(recipe, dataset, home, rates, **{"reading": 0.25, **more})
    assert found is not None
    return found


def test_parts_are_counts_times_rates(dataset: Dataset, home: Path) -> None:
    found = known(RECIPE, dataset, home)
    assert found.parts == pytest.approx(
        {
            "starting": 4.0,
            "reading images": 36 * 0.25,
            "features": 36 * (0.1 + 3 * 0.2),
            "training": 3 * (18 * 0.05 + 0.5),
            "validation": 3 * 9 * 0.01,
            "evaluation": 18 * 0.01 + 2.0,
        }
    )
    assert found.seconds == pytest.approx(sum(found.parts.values()))
    assert found.low < found.seconds < found.high


def test_without_augmentation_there_is_one_pass_over_the_images(dataset, home) -> None:
    found = known(replace(RECIPE, augment="none"), dataset, home)
    assert found.parts["features"] == pytest.approx(36 * 0.1)


def test_everything_trained_needs_no_features(dataset, home) -> None:
    recipe = replace(RECIPE, trainable="all")
    assert known(recipe, dataset, home).parts["features"] == 0


def test_small_images_of_the_first_epochs_cost_less(dataset, home) -> None:
    recipe = replace(RECIPE, trainable="all", image_size=224, progressive=True)
    parts = known(recipe, dataset, home).parts
    shares = (192 / 224) ** 2 + 2
    assert parts["training"] == pytest.approx(18 * 0.05 * shares + 3 * 0.5)


def test_images_that_are_read_already_cost_nothing(dataset, home) -> None:
    pixel_array(dataset, RECIPE.image_size, home)
    assert known(RECIPE, dataset, home, reading=None).parts["reading images"] == 0


def test_features_that_are_there_cost_nothing(finished: Trained) -> None:
    """Those of a finished run, for the same weights; each variant counts by itself."""
    home, of = finished.settings.home, finished.dataset
    assert known(LONG, of, home, weights=NONE).parts["features"] == 0
    other = replace(NONE, id="other")
    assert known(LONG, of, home, weights=other).parts["features"] > 0
    assert known(LONG, of, home).parts["features"] > 0  # not known which weights
    bf16 = replace(RATES, precision="bf16")
    assert known(LONG, of, home, bf16, weights=NONE).parts["features"] > 0


def test_left_out_sources_are_not_trained_on_but_have_features(dataset, home) -> None:
    sources = dataset.index["source"].value_counts()
    recipe = replace(RECIPE, exclude_sources=(sources.index[0],))
    parts, whole = known(recipe, dataset, home).parts, known(RECIPE, dataset, home).parts
    assert parts["features"] == whole["features"]
    assert parts["validation"] == pytest.approx(whole["validation"] * (1 - sources.iloc[0] / 36))


def test_patience_may_end_it_early(dataset, home) -> None:
    usual = known(replace(RECIPE, epochs=100), dataset, home)
    patient = known(replace(RECIPE, epochs=100, patience=5), dataset, home)
    assert patient.low < usual.low
    assert (patient.seconds, patient.high) == (usual.seconds, usual.high)


def test_crowd_at_the_probe_makes_the_shortest_time_shorter(dataset, home) -> None:
    quiet, crowded = (
        known(RECIPE, dataset, home, replace(RATES, crowding=crowding)) for crowding in (1.0, 4.0)
    )
    assert crowded.low == pytest.approx(quiet.low / 4)
    assert crowded.high == quiet.high


@pytest.mark.parametrize("lacking", ["plain", "varied", "reading"])
def test_no_estimate_from_rates_that_are_not_known(dataset, home, lacking: str) -> None:
    rates = RATES if lacking == "reading" else replace(RATES, **{lacking: None})
    reading = None if lacking == "reading" else 0.25
    assert estimate(RECIPE, dataset, home, rates, reading=reading) is None


def test_words_are_no_more_exact_than_the_figure(dataset, home) -> None:
    text = str(known(RECIPE, dataset, home))
    assert text.startswith("about 45 s (")
    words = parts_in_words({"training": 61.0, "features": 5.0, "validation": 0.3})
    assert words == "training 1 min 1 s, features 5 s"


def test_cost_depends_on_what_it_should(dataset) -> None:
    same = (
        {"epochs": 9}, {"seed": 3}, {"learning_rate": 0.1}, {"split": "60/20/20"},
        {"weights": "imagenet"}, {"schedule": "constant"},
    )  # fmt: skip
    other = (
        {"arch": "resnet18"}, {"image_size": 64}, {"trainable": "all"}, {"precision": "bf16"},
        {"threads": 2}, {"batch_size": 4}, {"augment": "none"},
    )  # fmt: skip
    for change in same:
        assert cost_key(replace(LONG, **change)) == cost_key(LONG), change
    for change in other:
        assert cost_key(replace(LONG, **change)) != cost_key(LONG), change
    assert cost_key(replace(LONG, batch_size=64)) == cost_key(replace(LONG, batch_size=32))


def test_rates_of_another_machine_are_not_used(home: Path) -> None:
    file = RateFile(home)
    file.keep("key", RATES)
    file.keep_reading("images", 0.5)
    assert file.costs() == {"key": RATES}
    assert file.reading() == {"images": 0.5}
    path = home / "rates.json"
    edit(path, machine(), "another")
    assert (file.costs(), file.reading()) == ({}, {})
    file.keep("key", RATES)
    assert set(storage.read_json(path)) == {"another", machine()}


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"MACHINE": 3}', '{"MACHINE": {"costs": []}}'])
def test_damaged_rates_are_measured_anew(home: Path, damage: str) -> None:
    home.mkdir()
    (home / "rates.json").write_text(damage.replace("MACHINE", machine()))
    assert RateFile(home).costs() == {}
    RateFile(home).keep("key", RATES)
    assert RateFile(home).costs() == {"key": RATES}


def test_a_probe_measures_a_recipe(dataset: Dataset, settings: Settings) -> None:
    """A real one: every rate is a time, and the estimate is of the run's own parts."""
    (recipe,) = to_probe(settings, dataset, [SHORT, replace(SHORT, epochs=9)])
    process = start_probe(settings, dataset, [recipe])
    assert process is not None
    assert probing(settings)
    assert start_probe(settings, dataset, [recipe]) is None
    assert process.wait(280) == 0
    rates = RateFile(settings.home).costs()[cost_key(SHORT)]
    assert rates.varied is None  # it is not augmented
    for seconds in (rates.start, rates.finish, rates.plain, rates.train, rates.validate):
        assert seconds is not None and seconds > 0
    assert (rates.precision, rates.origin) == ("fp32", "probe")
    assert rates.crowding >= 1
    assert set(RateFile(settings.home).reading()) == {reading_key(dataset.fingerprint, 32)}
    assert not list(settings.home.glob(".probe-*"))
    found = Forecaster(settings).estimate(SHORT, dataset)
    assert found is not None and found.parts["features"] == pytest.approx(36 * rates.plain)
    assert to_probe(settings, dataset, [SHORT]) == []


def test_probe_goes_when_a_run_begins(dataset, settings, store) -> None:
    """It would slow the run, and measure it; what is not measured may be asked for again."""
    folder = RunFolder(store.queue.folder / "0123456789abcdef")
    folder.path.mkdir(parents=True)
    RateFile(settings.home).note_asked([cost_key(SHORT)])
    with FileLock(folder.lock):
        assert probe.main(settings.home, dataset.fingerprint, [SHORT]) == 0
    assert RateFile(settings.home).costs() == {}
    assert to_probe(settings, dataset, [SHORT]) == [SHORT]


def test_one_probe_at_a_time(dataset, settings) -> None:
    assert not probing(settings)
    with FileLock(probe_lock(settings.home)):
        assert probing(settings)
        assert start_probe(settings, dataset, [SHORT]) is None
    assert not probing(settings)


def test_nobody_asks_twice_or_for_another_machine(dataset, settings) -> None:
    assert to_probe(settings, dataset, [SHORT]) == [SHORT]
    RateFile(settings.home).note_asked([cost_key(SHORT)])
    assert to_probe(settings, dataset, [SHORT]) == []
    away = replace(settings, runner="ray:http://127.0.0.1:1")
    assert to_probe(away, dataset, [LONG]) == []
    RateFile(settings.home).keep(cost_key(SHORT), RATES)
    assert Forecaster(away).estimate(SHORT, dataset) is None


def test_crowded_rates_are_measured_again_after_a_while(dataset, settings) -> None:
    pixel_array(dataset, SHORT.image_size, settings.home)
    for rates, again in (
        (replace(RATES, crowding=3.0, measured=1.0), [SHORT]),
        (replace(RATES, crowding=1.1, measured=1.0), []),
    ):
        RateFile(settings.home).keep(cost_key(SHORT), rates)
        assert to_probe(settings, dataset, [SHORT]) == again


def test_clock_leaves_the_warming_lap_out() -> None:
    from covidcore.jobs.trial import Clock

    clock = Clock()
    clock._laps = [(3.0, 10), (1.0, 10), (1.2, 10), (0.8, 10)]
    assert clock.rate == pytest.approx(0.1)
    assert clock.warming == pytest.approx(2.0)


def test_finished_run_teaches(finished: Trained) -> None:
    """Sums over its own log are what it took."""
    status = finished.store.status(finished.run)
    rates = learned([finished.folder])[cost_key(LONG)]
    assert rates.origin == "run"
    assert rates.precision == "fp32"
    found = Forecaster(finished.settings, [finished.folder]).estimate(LONG, finished.dataset)
    assert found is not None and found.origin == "run"
    history = [
        json.loads(line)
        for line in RunFolder(finished.folder).log.read_text().splitlines()
        if '"epoch"' in line and line.startswith('{"event": "epoch"')
    ]
    epochs = sum(event["seconds"] for event in history)
    learnt = found.parts["training"] + found.parts["validation"]
    assert learnt == pytest.approx(epochs, rel=0.1)  # counts of the sets are shares here
    assert found.seconds <= status["seconds"] * 1.1  # its features are on disk by now


def test_nothing_is_learnt_from_what_did_not_go_through(finished: Trained, tmp_path) -> None:
    names = ("job.json", "status.json", "split.csv", "log.txt", "contract.json")

    def copy(name: str) -> RunFolder:
        for file in names:
            storage.write_bytes(tmp_path / name / file, (finished.folder / file).read_bytes())
        return RunFolder(tmp_path / name)

    assert learned([copy("whole").path])
    copy("failed").write_status(State.FAILED)
    elsewhere = copy("elsewhere")
    edit(elsewhere.log, machine(), "another")
    resumed = copy("resumed")
    lines = resumed.log.read_text().splitlines()
    resumed.log.write_text("\n".join(line for line in lines if '"epoch": 1,' not in line))
    copy("empty").log.write_text("")
    copy("damaged").split.write_text("no table")
    for name in ("failed", "elsewhere", "resumed", "empty", "damaged", "missing"):
        assert learned([tmp_path / name]) == {}, name


def test_run_wins_over_probe_which_fills_the_gaps(finished: Trained) -> None:
    home = finished.settings.home
    before = learned([finished.folder])[cost_key(LONG)]
    RateFile(home).keep(cost_key(LONG), replace(RATES, train=100.0, save=100.0))
    try:
        found = Forecaster(finished.settings, [finished.folder]).estimate(LONG, finished.dataset)
        assert found is not None and found.origin == "run"
        assert found.parts["training"] < 100
        assert before.train < 100
        alone = Forecaster(finished.settings).estimate(LONG, finished.dataset)
        assert alone is not None and alone.origin == "probe" and alone.parts["training"] > 1000
    finally:
        (home / "rates.json").unlink()


def test_run_that_would_be_opened_is_told(finished: Trained) -> None:
    store, of = finished.store, finished.dataset
    existing = store.existing(LONG, of)
    assert existing is not None and existing.run == finished.run
    assert store.existing(replace(LONG, seed=7), of) is None
    assert store.existing(replace(LONG, threads=2), of) is not None  # not of a run's identity
    assert store.existing(replace(LONG, weights="imagenet"), of) is None  # not at hand


def test_presets_share_what_costs_the_same() -> None:
    keys = {name: cost_key(preset.recipe) for name, preset in PRESETS.items()}
    assert keys["quick"] == keys["writeup"]
    assert len(set(keys.values())) == 3
