"""Homes in odd places, homes that can only be read, two apps on one home, and a clock set back."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.index import known, load, scan
from covidcore.data.pixels import pixel_array
from covidcore.errors import DataError
from covidcore.inference.predictor import Predictor
from covidcore.jobs import folder as folder_module
from covidcore.jobs import rates
from covidcore.jobs.folder import State
from covidcore.jobs.info import describe
from covidcore.jobs.rates import RateFile
from covidcore.jobs.store import RunStore
from covidcore.model import weights
from tests.conftest import ROOT, run_obedient
from tests.faults.conftest import ODD
from tests.faults.wholeness import assert_readable
from tests.hostile import saved
from tests.once import scanned
from tests.pictures import picture
from tests.runs import (
    SHORT,
    Trained,
    trained,
    write_run,
)


@pytest.fixture
def whole(phantoms: Path) -> Trained:
    return trained(phantoms, SHORT)


def test_a_home_of_an_odd_name(home: Path, phantoms: Path, whole: Trained) -> None:
    """It is read as any other; the other tests here train in such a home."""
    shutil.copytree(whole.settings.home, home)
    store = RunStore(Settings(home=home))
    (info,) = store.list()
    assert (home / "runs/.index.sqlite").is_file() and [info] == store.list()
    assert store.evaluation(whole.run) == whole.store.evaluation(whole.run)
    dataset = scan(shutil.copytree(phantoms, home / ODD / phantoms.name), home)
    assert dataset.fingerprint == whole.dataset.fingerprint
    assert load(dataset.fingerprint, home).root == dataset.root
    assert store.submit(SHORT, dataset).cached
    (answer,) = Predictor.open(store.path(whole.run)).predict([("x", saved(picture(1)))])
    assert answer["file"] == "x"
    asked = Settings.from_environment({"COVIDCORE_HOME": str(home)})  # as a worker is told
    assert asked.home == home


ONLY_READ = """
import json, os, sys
from streamlit.testing.v1 import AppTest
from covidcore.config import Settings
from covidcore.data.index import load
from covidcore.errors import CovidcoreError
from covidcore.jobs.store import RunStore

settings = Settings.from_environment()
store, said = RunStore(settings), {}
assert not os.access(settings.home, os.W_OK)
(info,) = [one for one in store.list() if not one.imported]
said["list"] = [info.run, info.accuracy == store.evaluation(info.run)["accuracy"]]
try:
    store.submit(store.recipe(info.run).with_overrides({"seed": "5"}),
                 load(info.dataset, settings.home))
except CovidcoreError as error:
    said["submit"] = str(error)
for page in ("home", "explore", "train", "evaluate", "predict"):
    app = AppTest.from_file(sys.argv[1], default_timeout=60)
    app.switch_page(f"pages/{page}.py").run()
    if page == "predict":
        said["uploaders"] = len(app.file_uploader)
    said[page] = [[one.message for one in app.exception], [one.value for one in app.error]]
print(json.dumps(said))
"""


def test_a_home_that_can_only_be_read(
    tmp_path: Path, whole: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there can be looked at, and asked; what would be written is a sentence."""
    home = shutil.copytree(whole.settings.home, tmp_path / "home")
    monkeypatch.setenv("COVIDCORE_HOME", str(home))
    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    try:
        entry = str(ROOT / "streamlit_app.py")
        out = run_obedient([sys.executable, "-c", ONLY_READ, entry])
    finally:
        for path in folders:
            path.chmod(0o755)
    said = json.loads(out.splitlines()[-1])
    assert said["list"] == [whole.run, True]
    assert "can not be written to: Permission denied." in said["submit"]
    for page in ("home", "explore", "train", "evaluate", "predict"):
        exceptions, errors = said[page]
        assert exceptions == [], page
        assert all("can not be written to" in error for error in errors), (page, errors)
    assert not said["predict"][1] and not said["evaluate"][1], said
    assert said["uploaders"], said


AN_APP = """
import sys
from pathlib import Path
from covidcore.config import Settings
from covidcore.data.index import scan
from covidcore.data.pixels import pixel_array
from covidcore.jobs.rates import RateFile, Rates
from covidcore.jobs.store import RunStore
settings = Settings(home=Path(sys.argv[1]), slots=0)
sys.stdin.readline()
dataset = scan(Path(sys.argv[2]), settings.home)
pixel_array(dataset, 48, settings.home)
store = RunStore(settings)
for seed in range(6):
    recipe = store.recipe("shared").with_overrides({"seed": str(seed)})
    store.submit(recipe, dataset)
    RateFile(settings.home).keep_reading(f"{sys.argv[3]} {seed}", 0.5)
    assert len(store.list()) > seed
"""


def test_two_apps_on_one_home(home: Path, phantoms: Path) -> None:
    """Both bring in the same folder, look at it, and ask for the same runs at the same time."""
    write_run(home, "shared", State.DONE)
    command = [sys.executable, "-c", AN_APP, str(home), str(phantoms)]
    apps = [
        subprocess.Popen([*command, name], cwd=ROOT, stdin=subprocess.PIPE) for name in ("a", "b")
    ]
    for app in apps:
        assert app.stdin
        app.stdin.write(b"\n")
        app.stdin.flush()
    assert [app.wait(240) for app in apps] == [0, 0]
    assert_readable(home)
    (info,) = known(home)
    dataset = load(info.fingerprint, home)
    assert pixel_array(dataset, 48, home).shape == (36, 48, 48)
    store = RunStore(Settings(home=home, slots=0))
    waiting = [info for info in store.list() if info.state is State.QUEUED]
    assert len(waiting) == 6 and not store.lost
    assert [store.status(one.run)["attempt"] for one in waiting] == [1] * 6
    assert len(RateFile(home).reading()) == 12
    left = [path for path in home.rglob(".*-*") if not path.name.endswith(".lock")]
    assert not left


@pytest.fixture
def an_hour_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the clock goes an hour slow, as where it is set while the app runs."""
    before = rates.time.time
    monkeypatch.setattr(rates.time, "time", lambda: before() - 3600)

    class Late(datetime):
        @classmethod
        def now(cls, zone: object = None) -> datetime:
            return datetime.now(UTC) - timedelta(hours=1)

    monkeypatch.setattr(folder_module, "datetime", Late)


def test_a_clock_set_back_lets_nobody_jump_the_queue(
    home: Path, phantoms: Path, request: pytest.FixtureRequest
) -> None:
    store = RunStore(Settings(home=home, slots=0))
    dataset = scanned(phantoms, home)
    first = [store.submit(replace(SHORT, seed=seed), dataset).run for seed in (1, 2)]
    request.getfixturevalue("an_hour_back")
    later = [store.submit(replace(SHORT, seed=seed), dataset).run for seed in (3, 4)]
    assert store.status(later[0])["submitted"] < store.status(first[0])["submitted"]
    assert store.waiting() == [*first, *later]
    store.move(later[1], -3)
    assert store.waiting() == [later[1], *first, later[0]]
    store.cancel(first[0])
    store.resume(first[0])
    assert store.waiting() == [later[1], first[1], later[0], first[0]]


def test_a_clock_set_back_makes_no_time_negative(home: Path) -> None:
    begin, end = "2026-01-01T12:00:00.000+00:00", "2026-01-01T11:00:30.000+00:00"
    told = {"started": begin, "finished": end}
    measured = write_run(home, "measured", State.DONE, **told, seconds=90.0)
    assert describe(measured, State.DONE).seconds == 90
    assert describe(write_run(home, "old", State.DONE, **told), State.DONE).seconds == 0
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    running = write_run(home, "running", State.RUNNING, started=ahead)
    assert describe(running, State.RUNNING).seconds == 0


def test_a_clock_set_back_keeps_nothing_waiting(home: Path, request: pytest.FixtureRequest) -> None:
    """Neither a probe nor a download counts as tried a short while ago."""
    settings = Settings(home=home)
    RateFile(home).note_asked(["key"])
    failed = weights._failed("resnet18", settings)
    failed.parent.mkdir(parents=True)
    failed.touch()
    assert RateFile(home).asked("key") and weights.lately_failed("resnet18", settings)
    request.getfixturevalue("an_hour_back")
    assert not RateFile(home).asked("key")
    assert not RateFile(home).just_asked()
    assert not weights.lately_failed("resnet18", settings)


def test_a_home_in_a_file_is_a_sentence(tmp_path: Path, phantoms: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(DataError, match=r"home.* (can not be written to|could not be made): "):
        scan(phantoms, tmp_path / "home")
