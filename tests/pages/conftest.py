"""Pages under AppTest, each test with a home of its own; one trained run for all who read one."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from covidcore.config import Settings
from covidcore.jobs import imports
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.rates import RateFile, cost_key
from covidcore.jobs.store import RunStore
from covidcore.training.recipe import PRESETS
from tests.once import once, phantoms_in
from tests.runs import wait_for_end, wait_until

ENTRY = Path(__file__).parents[2] / "streamlit_app.py"

OpenPage = Callable[..., AppTest]


@pytest.fixture(scope="session", autouse=True)
def no_components() -> Iterator[None]:
    """Streamlit reads about every package of the machine for each page that is opened, in 0.2 s.

    It looks for components of others, of which the app uses none.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", list)
        yield


@pytest.fixture(autouse=True)
def nothing_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own model stays away, but for the test that asks it: runs are counted here."""
    monkeypatch.setattr(imports, "SHIPPED", tmp_path / "nothing")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; no other COVIDCORE variable is set."""
    for name in ("DATA", "DEMO", "RUNNER", "SLOTS", "TRAINING", "WEIGHTS"):
        monkeypatch.delenv(f"COVIDCORE_{name}", raising=False)
    monkeypatch.setenv("COVIDCORE_HOME", str(tmp_path / "home"))
    send_no_probe(tmp_path / "home")
    return tmp_path / "home"


def send_no_probe(home: Path) -> None:
    """Let the train page believe that a probe was sent: no test but its own pays for one."""
    keys = [cost_key(preset.recipe) for preset in PRESETS.values()]
    RateFile(home).note_asked(keys, ago=60)


@pytest.fixture
def open_page() -> OpenPage:
    """Open a page by name as a deep link into a cold server would; "" is home."""

    def open_one(name: str = "", **query: str) -> AppTest:
        app = AppTest.from_file(str(ENTRY), default_timeout=30)
        if name:
            app.switch_page(f"pages/{name}.py")
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
        assert not app.exception
        return app

    return open_one


def train_quick(home: Path, epochs: int) -> None:
    """A finished run of so many epochs on 60 phantoms, by a real worker, in this home."""
    store, dataset = RunStore(Settings(home=home)), phantoms_in(home, 60)
    recipe = PRESETS["quick"].recipe.with_overrides({"weights": "none", "epochs": str(epochs)})
    run = store.submit(recipe, dataset).run
    assert wait_for_end(store, run) is State.DONE, store.info(run).message
    wait_until(lambda: not RunFolder(store.path(run)).locked(), "the worker to go")


def with_a_run(home: Path) -> None:
    """Make it a copy of the home with a finished run of three epochs."""
    kept = once("trained-home", lambda home: train_quick(home, 3))
    shutil.copytree(kept, home, dirs_exist_ok=True)
    phantoms_in(home, 60)  # which were those of the other home
    send_no_probe(home)


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with phantoms and a finished run; of this process alone."""
    home = tmp_path_factory.mktemp("trained")
    with_a_run(home)
    return home


@pytest.fixture
def trained(trained_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """The trained home, set as this test's home."""
    monkeypatch.setenv("COVIDCORE_HOME", str(trained_home))
    return RunStore(Settings(home=trained_home))


def texts(app) -> str:
    """All text of a page that is rendered as Markdown."""
    kinds = (app.markdown, app.caption, app.header, app.subheader, app.info, app.warning)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def click(app, label: str):
    """Press the button of that name and run the page."""
    (button,) = (one for one in app.button if one.label == label)
    button.click().run()
    assert not app.exception
    return app
