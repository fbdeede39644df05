"""The shortcut lab in a process of its own: ``python -m covidcore.jobs.lab_process HOME SHARE``.

SHARE is in thousandths. Draws, trains, audits and blacks lungs; each step finds what an earlier
attempt has made. How far it is can be told from disk (`studies`).
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from covidcore.config import Settings
from covidcore.data.audit import audit
from covidcore.data.audit import doing as audit_step
from covidcore.data.index import Dataset, scan
from covidcore.data.phantom_spec import PhantomSpec
from covidcore.data.phantoms import VERSION, write
from covidcore.data.pixels import pixel_array
from covidcore.evaluation import stress
from covidcore.evaluation.metrics import class_positions
from covidcore.evaluation.stress import Where
from covidcore.jobs.awaited import wait_for_run
from covidcore.jobs.folder import now
from covidcore.jobs.lab import ARMS, NAME, Lab, conclusions, lab_study
from covidcore.jobs.store import RunStore
from covidcore.jobs.stress_process import Subject, subject_of, without_and_only_lungs
from covidcore.jobs.studies import Report


def main(home: str, thousandths: str) -> int:
    """Answer one lab."""
    settings = Settings.from_environment({**os.environ, "COVIDCORE_HOME": home})
    store, lab = RunStore(settings), Lab(int(thousandths) / 1000)
    return lab_study(store, lab.share).work(lambda report: answer(store, lab, report))


def answer(store: RunStore, lab: Lab, report: Report) -> dict[str, Any]:
    """The document of the lab; figures of both arms, and what they say.

    Raises: CovidcoreError with a sentence where a step fails.
    """
    started = time.monotonic()
    sets = {arm: _drawn(lab.spec(arm), lab.name(arm), store, report) for arm in ARMS}
    elsewhere = _drawn(lab.spec_elsewhere(), "elsewhere", store, report)
    # Both wait in the queue at once; the audits take the core that training leaves.
    runs = {
        arm: store.submit(lab.recipe, dataset, f"{NAME}: {lab.name(arm)}").run
        for arm, dataset in sets.items()
    }
    borders = {arm: _border(dataset, store, report) for arm, dataset in sets.items()}
    arms = {}
    for arm, run in runs.items():
        wait_for_run(store, run, report)
        report(f"Asking the run: {lab.name(arm)}", 0, 0)
        arms[arm] = {
            "name": lab.name(arm),
            "dataset": sets[arm].fingerprint,
            "border": borders[arm],
            **_asked(store, run, sets[arm], elsewhere, report),
        }
    document = {
        "share": lab.share,
        "marked_class": lab.spec("marked").classes[0],
        "images": lab.images,
        "arms": arms,
        "command": f"python -m covidcore lab --share {lab.share:g}",
    }
    return {
        **document,
        "conclusions": conclusions(document),
        "created": now(),
        "seconds": round(time.monotonic() - started, 3),
    }


def _drawn(spec: PhantomSpec, name: str, store: RunStore, report: Report) -> Dataset:
    """The phantoms, drawn where they are not there yet."""
    doing = f"Drawing phantoms: {name}"
    home = store.settings.home
    below = home / "phantoms" / f"v{VERSION}" / f"lab-{spec.signal:g}-{spec.images}-{spec.size}"
    title = f"lab, {name}"
    folder: Path = write(spec, below / title, lambda done, total: report(doing, done, total))
    return scan(folder, home)


def _border(dataset: Dataset, store: RunStore, report: Report) -> dict[str, Any]:
    """What the outer 5 % of the picture tells, and whether the audit warns of it."""
    found = audit(dataset, store.settings.home, progress=lambda *at: report(audit_step(at[0]), *at))
    one = found["border_only"]
    return {
        "n": one["n"],
        "accuracy": one["accuracy"],
        "accuracy_ci": one["accuracy_ci"],
        "chance": one["majority_accuracy"],
        "red": any(finding["kind"] == "border_only" for finding in found["findings"]),
    }


def _asked(
    store: RunStore, run: str, dataset: Dataset, elsewhere: Dataset, report: Report
) -> dict[str, Any]:
    """The run on its test images, on these with the lungs black, and on images from elsewhere."""
    whole = store.evaluation(run)
    subject = subject_of(store, run, dataset)
    level = stress.chance(subject.truth, subject.classes)
    figures = stress.accuracy(subject.predicted == subject.truth)
    where = Where(int(subject.lungs.masked.sum()), int((~subject.lungs.masked).sum()))
    out = without_and_only_lungs(subject, figures, level, where, report)["lungs_out"]
    return {
        "run": run,
        "n": whole["n"],
        "accuracy": whole["accuracy"],
        "accuracy_ci": whole["accuracy_ci"],
        "chance": level.share,
        "lungs_out": {**out, "red": out["finding"] == "above_chance"},
        "elsewhere": _on(elsewhere, subject, store),
    }


def _on(elsewhere: Dataset, subject: Subject, store: RunStore) -> dict[str, Any]:
    """Its accuracy on every image of another dataset of the same classes."""
    size = subject.contract.preprocessing.image_size
    squares = np.asarray(pixel_array(elsewhere, size, store.settings.home))
    truth = class_positions(elsewhere.index["label"], subject.classes)
    return stress.accuracy(subject.answers(squares) == truth)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
