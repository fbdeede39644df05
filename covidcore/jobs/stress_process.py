"""Stress tests of a run: ``python -m covidcore.jobs.stress_process HOME RUN``.

Lets the finished model look at altered test images. A process of its own, for it imports torch and
takes a minute; how far it is can be told from disk (`studies`).
"""

import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from covidcore.config import Settings
from covidcore.data import lungs
from covidcore.data.index import Dataset, load
from covidcore.data.pixels import squares
from covidcore.errors import DataError
from covidcore.evaluation import stress
from covidcore.evaluation.corruptions import CORRUPTIONS, corrupt
from covidcore.evaluation.metrics import IntArray, class_positions
from covidcore.evaluation.stress import Chance, Where
from covidcore.jobs.folder import RunFolder, now
from covidcore.jobs.store import RunStore
from covidcore.jobs.stress import IMAGES, LADDER_IMAGES, stress_study
from covidcore.jobs.stress_sources import leave_one_out
from covidcore.jobs.studies import Report
from covidcore.lean import keep_memory

if TYPE_CHECKING:
    from torch import nn

    from covidcore.model.checkpoint import Contract

Grey = NDArray[np.uint8]


def main(home: str, run: str) -> int:
    """Test one run."""
    keep_memory()
    settings = Settings.from_environment({**os.environ, "COVIDCORE_HOME": home})
    store = RunStore(settings)

    def answer(report: Report) -> dict[str, Any]:
        started = time.monotonic()
        document = examine(store, run, report)
        seconds = round(time.monotonic() - started, 3)
        return {**document, "created": now(), "seconds": seconds}

    return stress_study(store, run).work(answer)


@dataclass(frozen=True)
class Subject:
    """The test images, and the model that looks at them."""

    files: list[str]
    pixels: Grey
    lungs: lungs.Lungs
    truth: IntArray
    predicted: IntArray
    """As stored with the run."""
    groups: list[str]
    classes: tuple[str, ...]
    model: "nn.Module"
    contract: "Contract"
    precision: str
    seed: int

    def answers(self, pixels: Grey) -> IntArray:
        """What the model answers ``(N,)`` about squares ``(N, S, S)``."""
        from covidcore.inference.scoring import score_squares

        spec = self.contract.preprocessing
        return np.asarray(
            score_squares(self.model, spec, pixels, self.precision).argmax(axis=1), dtype=np.int64
        )


def examine(store: RunStore, run: str, report: Report) -> dict[str, Any]:
    """The document of ``stress``.

    Raises: RunError where the run is not done or damaged, DataError where images are gone.
    """
    whole = store.evaluation(run)
    dataset = load(store.job(run)["dataset"], store.settings.home)
    report("Loading the model", 0, 0)
    subject = subject_of(store, run, dataset)
    level = stress.chance(subject.truth, subject.classes)
    where = Where(int(subject.lungs.masked.sum()), int((~subject.lungs.masked).sum()))
    figures = stress.accuracy(subject.predicted == subject.truth)
    return {
        "run": run,
        "dataset": dataset.fingerprint,
        "of": whole["n"],
        **figures,
        "classes": list(subject.classes),
        "chance": level.share,
        "chance_class": level.answer,
        "lungs": {"masks": where.masks, "boxes": where.boxes},
        **without_and_only_lungs(subject, figures, level, where, report),
        **_ladder(subject, level, report),
        "attention": _attention(subject, report),
        "leave_one_source_out": leave_one_out(store, run, dataset, report),
        "command": f"python -m covidcore stress {run}",
    }


def subject_of(store: RunStore, run: str, dataset: Dataset) -> Subject:
    """A finished run's model beside its test images, `IMAGES` of them at most.

    Raises: RunError where the run is damaged, DataError where an image is gone.
    """
    from covidcore.model import checkpoint
    from covidcore.training.precision import choose

    model, contract = checkpoint.load(RunFolder(store.path(run)).path)
    recipe, table = store.recipe(run), store.predictions(run)
    table = table[table["split"] == "test"].reset_index(drop=True)
    truth = class_positions(table["label"], contract.classes)
    chosen = stress.sample(truth, IMAGES, recipe.seed)
    table = table.iloc[chosen]
    row_of = dict(zip(dataset.index["file"], dataset.index.index, strict=True))
    rows = [int(row_of[file]) for file in table["file"]]
    size = contract.preprocessing.image_size
    return Subject(
        files=table["file"].tolist(),
        pixels=_read(dataset, rows, size, store),
        lungs=lungs.lungs_of(dataset, rows, size),
        truth=truth[chosen],
        predicted=class_positions(table["predicted"], contract.classes),
        groups=table["group"].tolist(),
        classes=contract.classes,
        model=model,
        contract=contract,
        precision=choose(recipe.precision, store.settings.home),  # as its test images were
        seed=recipe.seed,
    )


def _read(dataset: Dataset, rows: list[int], size: int, store: RunStore) -> Grey:
    found = squares(dataset, rows, size, store.settings.home)
    for row, square in zip(rows, found, strict=True):
        if square is None:
            file = str(dataset.index.at[row, "file"])
            raise DataError(f"{file} can not be read any more: scan the dataset again.")
    return np.stack([square for square in found if square is not None])


def without_and_only_lungs(
    subject: Subject, whole: dict[str, Any], level: Chance, where: Where, report: Report
) -> dict[str, Any]:
    """Lungs out and lungs only, and an image of each class to look at."""
    answers = {}
    for step, (name, alter) in enumerate(
        (("lungs_out", lungs.without), ("lungs_only", lungs.only))
    ):
        report("Lungs out, lungs only", step * len(subject.truth), 2 * len(subject.truth))
        answers[name] = subject.answers(alter(subject.pixels, subject.lungs.areas))
    figures = {
        name: {
            **stress.accuracy(found == subject.truth),
            **stress.usual_answer(found, subject.classes),
        }
        for name, found in answers.items()
    }
    judges = {"lungs_out": stress.lungs_out, "lungs_only": stress.lungs_only}
    shown = np.concatenate(
        [np.flatnonzero(subject.truth == at)[:1] for at in range(len(subject.classes))]
    )
    answers = {"whole": subject.predicted, **answers}
    return {
        **{
            name: {**found, **judges[name](found, whole, level, where)}
            for name, found in figures.items()
        },
        "examples": [
            {
                "file": subject.files[at],
                "label": subject.classes[subject.truth[at]],
                "masked": bool(subject.lungs.masked[at]),
                **{name: subject.classes[found[at]] for name, found in answers.items()},
            }
            for at in shown
        ],
    }


def _ladder(subject: Subject, level: Chance, report: Report) -> dict[str, Any]:
    """Every corruption at every level, on some of the images."""
    chosen = stress.sample(subject.truth, LADDER_IMAGES, subject.seed)
    pixels, truth = subject.pixels[chosen], subject.truth[chosen]
    steps = [(one, at) for one in CORRUPTIONS.values() for at in one.levels]
    whole = stress.accuracy(subject.answers(pixels) == truth)
    found: dict[str, list[dict[str, Any]]] = {one: [] for one in CORRUPTIONS}
    for done, (one, at) in enumerate(steps):
        report(f"Corruptions, {one.kind}", done, len(steps))
        answers = subject.answers(corrupt(pixels, one.kind, at, subject.seed))
        figures = stress.accuracy(answers == truth)
        found[one.kind].append({"level": at, **figures})
    kinds = [
        {
            "kind": one.kind,
            "unit": one.unit,
            "levels": found[one.kind],
            "falls_at": stress.falls_at(found[one.kind], whole["accuracy"]),
        }
        for one in CORRUPTIONS.values()
    ]
    judged = stress.ladder(kinds, whole, level)
    return {
        "ladder": {**whole, "finding": judged["finding"]},
        "corruptions": kinds,
        "corruptions_verdict": judged["verdict"],
    }


def _attention(subject: Subject, report: Report) -> dict[str, Any]:
    from covidcore.inference.scoring import maps_of_squares

    report("Where it looks", 0, 0)
    chosen = stress.sample(subject.truth, LADDER_IMAGES, subject.seed)
    maps = maps_of_squares(
        subject.model,
        subject.contract.arch,
        subject.contract.preprocessing,
        subject.pixels[chosen],
        subject.precision,
    )
    areas, masked = subject.lungs.areas[chosen], subject.lungs.masked[chosen]
    groups = [subject.groups[at] for at in chosen]
    found = stress.attention(maps, areas, groups, subject.seed)
    where = Where(int(masked.sum()), int((~masked).sum()))
    return {**found, **stress.attention_verdict(found, where)}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
