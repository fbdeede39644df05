"""A home with all that is kept of a dataset and a run; everybody who reads it, by name."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from covidcore import storage
from covidcore.config import Settings
from covidcore.data import audit, index, means, pixels
from covidcore.evaluation.operating import OperatingPoint
from covidcore.inference.predictor import Predictor
from covidcore.jobs import alike, folds, imports, openings, outside, rates, stress, ties
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.learned import learned
from covidcore.jobs.store import RunStore
from covidcore.jobs.sweeps import Sweeps
from covidcore.training import stored
from tests.hostile import saved
from tests.pictures import picture

UPLOAD = saved(picture(7, 96))
SIDE = 32
"""Of the recipe that the run was trained by."""


@dataclass(frozen=True)
class Home:
    """A home with one dataset, one finished run of it, and all that can be asked about these."""

    path: Path
    run: str
    fingerprint: str
    root: Path

    @property
    def store(self) -> RunStore:
        return RunStore(Settings(home=self.path))

    @property
    def dataset(self) -> index.Dataset:
        return index.load(self.fingerprint, self.path)

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.path / "runs" / self.run)

    def copied(self, to: Path) -> "Home":
        """The same elsewhere, by links: who harms a file puts another in its place."""
        shutil.copytree(self.path, to, copy_function=lambda a, b: Path(b).hardlink_to(a))
        return Home(to, self.run, self.fingerprint, self.root)

    @classmethod
    def at(cls, path: Path, root: Path) -> "Home":
        """The home in ``path``, of one dataset and one run that was trained there."""
        (run,) = [info for info in RunStore(Settings(home=path)).list() if not info.imported]
        return cls(path, run.run, run.dataset, root)


def make(trained: Path, to: Path, root: Path) -> None:
    """A copy of the home ``trained`` in ``to / "home"``, with all that is kept of its run."""
    fill(Home.at(shutil.copytree(trained, to / "home"), root))


def fill(home: Home) -> None:
    """Have everything made that is kept of a dataset and a run, but for what takes minutes."""
    store, dataset = home.store, home.dataset
    audit.audit(dataset, home.path)
    means.pixel_statistics(dataset, home.path)
    model = Predictor.open(home.folder.path)
    search = alike.Search(store, home.run, model)
    search.keep([search.look(chunk) for chunk in search.chunks])
    point = OperatingPoint({dataset.classes[0]: 0.4}, dataset.classes[0], 0.1, 7.0)
    store.save_operating(home.run, point)
    openings.note_opened(home.folder.path)
    # Of what processes find out only that it is there, and as it was: values do not matter.
    for study in (
        folds.folds_study(store, home.run, 3, 2),
        stress.stress_study(store, home.run),
        outside.outside_study(store, home.run, dataset),
    ):
        document = {"stamp": study.stamp, "created": "2026-01-01", "accuracy": 0.625, "n": 16}
        storage.write_json(study.result, document)
    table = store.predictions(home.run)
    storage.write_table(next(home.folder.outside.glob("*.json")).with_suffix(".parquet"), table)
    measured = rates.Rates(1.0, 2.0, 0.25, 0.5, 0.125, 0.0625, 0.5, "fp32")
    rates.RateFile(home.path).keep("key", measured)
    sweep = {"id": "f00d", "name": "s", "dataset": home.fingerprint, "dataset_name": "small"}
    recipe, grid = store.recipe(home.run), {"seed": [str(store.recipe(home.run).seed)]}
    sweep |= {"base": recipe.to_json(), "grid": grid, "runs": [home.run], "created": "2026-01-01"}
    storage.write_json(home.path / "sweeps/f00d.json", sweep)
    imports.own_model(store)
    store.list()  # makes the index


Reader = Callable[[Home], Any]


def _runs(home: Home) -> Any:
    store = home.store
    infos = {info.run: info._asdict() for info in store.list()}
    return {run: infos.get(run) for run in (*infos, *store.lost)} | {"lost": bool(store.lost)}


def _answer(home: Home) -> Any:
    (said,) = Predictor.open(home.folder.path).predict([("x.png", UPLOAD)], anyway=True)
    return {**said, "milliseconds": 0}


def _own_answer(home: Home) -> Any:
    run = imports.own_model(home.store)
    (said,) = Predictor.open(home.store.path(run)).predict([("x.png", UPLOAD)], anyway=True)
    return {**said, "milliseconds": 0}


def _dataset(home: Home) -> Any:
    dataset = home.dataset
    return dataset.to_json() | {"index": _frame(dataset.index), "unused": dataset.ignored_files}


def _known(home: Home) -> Any:
    return [info.__dict__ for info in index.known(home.path)]


def _scan(home: Home) -> Any:
    dataset = index.scan(home.root, home.path)
    found = dataset.to_json() | {"seconds": 0, "index": _frame(dataset.index)}
    return found | {"pairs": dataset.duplicates}


def _squares(home: Home) -> Any:
    found = pixels.squares(home.dataset, [0, 5, 35], SIDE, home.path)
    return [None if one is None else one.tobytes() for one in found]


def _arrays(home: Home) -> Any:
    dataset = home.dataset
    return [storage.sha256_bytes(np.ascontiguousarray(pixels.pixel_array(dataset, side, home.path)))
            for side in (SIDE, 224)]  # fmt: skip


def _features(home: Home) -> Any:
    """What is taken for whole, for it would be trained on."""
    found = sorted(home.path.glob("datasets/*/activations/*.npy"))
    return {one.name: storage.sha256_file(one) for one in found if stored.is_as_written(one)}


def _alike(home: Home) -> Any:
    found = alike.known(home.store, home.run)
    return None if found is None else (found.files, found.features.tolist())


def _outside(home: Home) -> Any:
    found = outside.outside_results(home.store, home.run)
    tables = [outside.outside_predictions(home.store, home.run, one["key"]) for one in found]
    return [found, [_frame(table) for table in tables]]


def _statistics(home: Home) -> Any:
    found = means.stored(home.dataset, home.path)
    return None if found is None else [part.tolist() for part in found]


def _frame(table: Any) -> Any:
    return json.loads(table.map(lambda v: v.hex() if isinstance(v, bytes) else v).to_json())


READERS: dict[str, Reader] = {
    "list": _runs,
    "run": lambda home: home.store.info(home.run)._asdict(),
    "job": lambda home: home.store.job(home.run),
    "recipe": lambda home: home.store.recipe(home.run).to_json(),
    "history": lambda home: _frame(home.store.history(home.run)),
    "split": lambda home: _frame(home.store.split(home.run)),
    "figures": lambda home: home.store.evaluation(home.run),
    "predictions": lambda home: _frame(home.store.predictions(home.run)),
    "ties": lambda home: str(ties.places(home.store, home.store.list())),
    "answer": _answer,
    "own answer": _own_answer,
    "operating point": lambda home: str(home.store.operating(home.run)),
    "looks": lambda home: openings.times_opened(home.folder.path),
    "alike": _alike,
    "folds": lambda home: folds.folds_study(home.store, home.run, 3, 2).stored(),
    "stress": lambda home: stress.stress_study(home.store, home.run).stored(),
    "outside": _outside,
    "learned": lambda home: {k: one.__dict__ for k, one in learned([home.folder.path]).items()},
    "sweeps": lambda home: [one.to_json() for one in Sweeps(home.store).list()],
    "rates": lambda home: {key: one.__dict__ for key, one in _rates(home).items()},
    "datasets": _known,
    "dataset": _dataset,
    "squares": _squares,
    "arrays": _arrays,
    "features": _features,
    "statistics": _statistics,
    "audit": lambda home: audit.stored(home.dataset, home.path),
    "scan": _scan,
}


def _rates(home: Home) -> dict[str, rates.Rates]:
    return rates.RateFile(home.path).costs()


_OF_DATA = {
    "pixel-statistics": ("statistics",),
    "audit": ("audit",),
    "pixels-": ("squares", "arrays"),
    "near-pairs": ("dataset", "scan"),
    "index.parquet": ("datasets", "dataset", "scan"),
    "dataset.json": ("datasets", "dataset", "scan"),
    "": ("features", "datasets"),
}
"""How the name of a file below ``datasets`` begins, and who reads it."""
_OF_RUNS = {
    "best": ("answer", "figures"),
    "contract": ("answer", "figures", "alike", "stress"),
    "familiar": ("answer", "figures"),
    "known": ("figures",),
    "alike": ("alike",),
    "report": ("figures", "list"),
    "predictions": ("predictions", "ties"),
    "history": ("history", "run", "figures"),
    "split": ("split", "figures"),
    "operating": ("operating point",),
    "opened": ("looks",),
    "folds": ("folds",),
    "stress": ("stress",),
    "outside": ("outside",),
    "log": ("learned", "run"),
    "job": ("list", "run", "job", "recipe", "split", "figures", "operating point", "sweeps"),
    "status": ("list", "run", "history", "split", "figures", "predictions", "learned"),
    "": ("list", "run"),
}
"""The same below ``runs``."""


def readers_of(file: str) -> list[str]:
    """Who may read a file, by its place in the home; in the benchmark all are asked."""
    top, _, rest = file.partition("/")
    name = rest.partition("/")[2]
    if top in ("datasets", "runs"):
        readers = _OF_DATA if top == "datasets" else _OF_RUNS
        return list(next(known for begin, known in readers.items() if name.startswith(begin)))
    return ["scan"] if top == "scans" else ["sweeps", "rates", "list"]
