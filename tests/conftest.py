"""Fixtures that many tests share: a home, settings, phantoms, small folders, the real data."""

import ctypes
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from covidcore.config import Settings
from covidcore.data.phantoms import PhantomSpec
from tests.hostile import saved
from tests.once import drawn, share_in
from tests.pictures import picture

ROOT = Path(__file__).resolve().parent.parent
# Hundreds of processes are started here: where this is set each compiles the program anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Several processes share the cores: threads of NumPy and torch would wait for each other's.
os.environ.setdefault("OMP_NUM_THREADS", "1")
_REAL = "radiography-2905"
_DEAREST = (  # each a minute or more on two cores
    *("jobs/test_contract.py", "test_cli.py", "jobs/test_store.py", "faults/test_causes.py"),
    *("browser/test_journey.py", "jobs/test_stress.py", "pages/test_evaluate_more.py"),
    *("jobs/test_outside.py", "browser/test_access.py", "jobs/test_demo.py", "test_tutorial.py"),
    *("jobs/test_models.py", "jobs/test_artefacts.py", "faults/test_kills.py"),
    *("jobs/test_ranks.py", "jobs/test_sweeps.py", "jobs/test_folds.py", "jobs/test_many.py"),
)


class MakeDataset(Protocol):
    def __call__(
        self,
        classes: Mapping[str, int] = ...,
        *,
        name: str = ...,
        inner: str = ...,
        pattern: str = ...,
        masks: bool = ...,
    ) -> Path: ...


def real_folder() -> Path:
    """Where the real radiographs are, if they are on this machine at all."""
    given = os.environ.get("COVIDCORE_TEST_DATA")
    return (Path(given) if given else ROOT.parent / "shared" / "data") / _REAL


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """What "-n auto" is: one more than cores, as tests wait for workers much of the time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Whole files are handed out: those of minutes first, so that none is alone at the end.
    first = {ROOT / "tests" / file: place for place, file in enumerate(_DEAREST)}
    items.sort(key=lambda item: first.get(item.path, len(first)))
    if real_folder().is_dir():
        return
    reason = f"no {_REAL} in COVIDCORE_TEST_DATA, nor in ../shared/data"
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.skip(reason=reason))


def run_obedient(command: Sequence[str]) -> str:
    """What a program prints that permissions bind, even where root runs the tests (on Linux)."""

    def obey() -> None:
        for capability in (1, 2):  # DAC_OVERRIDE and DAC_READ_SEARCH, from the next exec on
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)

    start = obey if os.getuid() == 0 else None
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, preexec_fn=start
    )
    return done.stdout


@pytest.fixture(autouse=True)
def no_stepping_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process of its own does first would slow every test that comes after in this one."""
    monkeypatch.setattr(os, "nice", lambda increment: 0)


@pytest.fixture(scope="session", autouse=True)
def shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where what is made once in a session is kept (see ``once``)."""
    share_in(tmp_path_factory.getbasetemp())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty COVIDCORE_HOME; not made yet, as on a new machine."""
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture(scope="session")
def phantoms() -> Path:
    """36 phantoms of 96 px in three classes, of two hospitals. Not to be written to."""
    return drawn(PhantomSpec(images=36, size=96), "small")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The 2,905 radiographs; ask for it in tests marked ``real`` only."""
    return real_folder()


@pytest.fixture
def make_dataset(tmp_path: Path) -> MakeDataset:
    """Make a folder of class folders; no two images, of all calls, are alike."""
    seed = 0

    def make(
        classes: Mapping[str, int] = {"a": 4, "b": 4},
        *,
        name: str = "set",
        inner: str = "",
        pattern: str = "{label}-{number}.png",
        masks: bool = False,
    ) -> Path:
        nonlocal seed
        for label, count in classes.items():
            folder = tmp_path / name / label / inner
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(1, count + 1):
                seed += 1
                file = folder / pattern.format(label=label, number=number)
                file.write_bytes(saved(picture(seed)))
                if masks:
                    mask = folder.parent / "masks" / file.name
                    mask.parent.mkdir(exist_ok=True)
                    mask.write_bytes(saved(picture(seed) // 128 * 255))
        return tmp_path / name

    return make
