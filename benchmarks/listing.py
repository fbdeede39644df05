"""How long the list of runs takes: ``python -m benchmarks.listing [RUNS...]``.

Makes a temporary home of so many runs (1,000, then 10,000, unless told) from one template, with
every file that a listing looks at; three of them wait and two were interrupted. Measures the list
as a page asks for it, the queue's moving on included. Prints one JSON document to standard output
and a Markdown table to standard error. Nothing is trained.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.tables import Seconds, print_seconds
from covidcore.config import Settings
from covidcore.jobs.catalogue import INDEX
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.queue import Queue
from covidcore.jobs.store import RunStore
from covidcore.training.recipe import PRESETS

_SLOW, _QUICK = 3, 9  # repetitions: where every folder is read, and where few are
_EPOCHS = 20
_LATEST = datetime(2026, 11, 1, tzinfo=UTC)


def main(counts: list[int]) -> None:
    """Measure homes of so many runs, print the document and the table."""
    measured: dict[int, Seconds] = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), count)
            measured[count] = measure(Path(folder), count)
    homes = [{"runs": count, "seconds": seconds} for count, seconds in measured.items()]
    print(json.dumps({"benchmark": "listing", "processors": os.cpu_count(), "homes": homes}))
    print_seconds([f"{count:,} runs" for count in counts], list(measured.values()))


def make(home: Path, count: int) -> None:
    """Write the folders: finished ones but for the last five."""
    for number in range(count):
        state = State.DONE
        if number >= count - 5:
            state = State.QUEUED if number >= count - 3 else State.RUNNING
        _write(RunFolder(home / "runs" / f"{number * 2654435761 % 2**64:016x}"), number, state)


def _write(folder: RunFolder, number: int, state: State) -> None:
    created = _LATEST - timedelta(minutes=10 * number)
    moment = created.isoformat(timespec="milliseconds")
    recipe = PRESETS["standard"].recipe.to_json() | {"epochs": _EPOCHS, "seed": number}
    weights = {"name": "imagenet", "id": "0" * 64, "path": "weights/resnet18.pth", "note": ""}
    job = {
        "recipe": recipe,
        "dataset": "1d3429c66c48feb59d8e2c2d454f3490",
        "dataset_name": "COVID-19 Radiography Database",
        "classes": ["COVID-19", "NORMAL", "Viral Pneumonia"],
        "split": "9f7148d847fe066ca208878eb194ac1a",
        "weights": weights | {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "name": f"standard on COVID-19 Radiography Database, seed {number}",
        "created": moment,
    }
    status = {"submitted": moment, "order": f"{moment} {folder.run}", "attempt": 1, "message": ""}
    if state is not State.QUEUED:
        status |= {"started": moment, "finished": None}
    if state is State.DONE:
        finished = (created + timedelta(minutes=9)).isoformat(timespec="milliseconds")
        names = ("split.csv", "history.csv", "predictions.parquet", "report.json")
        artefacts = {name: "0" * 64 for name in (*names, "best.safetensors", "contract.json")}
        status |= {"finished": finished, "seconds": 540.123, "accuracy": 0.951, "best_epoch": 17}
        status |= {"val_loss": 0.1533072530812231, "artefacts": artefacts}
    folder.path.mkdir(parents=True)
    folder.job.write_text(json.dumps(job, indent=1))
    folder.status_file.write_text(json.dumps({"state": state.value, **status}, indent=1))
    if state is not State.QUEUED:
        handover = {"attempt": 1, "runner": "local", "key": "local-4242"}
        folder.handover.write_text(json.dumps(handover))
        folder.history.write_text("epoch,train_loss,val_loss\n" + "1,0.512,0.533\n" * _EPOCHS)
        folder.log.write_text('{"event": "progress", "phase": "training"}\n' * 200)
        folder.lock.touch()


def measure(home: Path, count: int) -> Seconds:
    """Each case's median."""
    store = RunStore(Settings(home=home, slots=0))  # with no slot, those who wait go on waiting
    plain, index = Queue(store.settings), home / "runs" / INDEX
    states = {folder: folder.status()["state"] for folder in store.queue.folders()}
    finished = next(folder for folder, state in states.items() if state == State.DONE)

    def listed() -> None:
        assert len(store.list()) == count

    def three(queue: Queue) -> None:
        assert len(queue.waiting()) == 3

    def damage() -> None:
        data = index.read_bytes()
        index.write_bytes(data[: len(data) // 2])

    return {
        "list, no index yet": _median(listed, _SLOW, lambda: index.unlink(missing_ok=True)),
        "list": _median(listed, _QUICK),
        "list, one run changed": _median(listed, _QUICK, lambda: finished.write_status(State.DONE)),
        "list, the index damaged": _median(listed, _SLOW, damage),
        "who waits": _median(lambda: three(store.queue), _QUICK),
        "who waits, as a worker asks": _median(lambda: three(plain), _SLOW),
    }


def _median(
    action: Callable[[], None], times: int, before: Callable[[], None] = lambda: None
) -> tuple[float, float]:
    """Medians of ``action`` alone: seconds, and seconds of processor."""
    taken = []
    for _ in range(times):
        before()
        started, processor = time.perf_counter(), time.process_time()
        action()
        taken.append((time.perf_counter() - started, time.process_time() - processor))
    wall, processors = (statistics.median(values) for values in zip(*taken, strict=True))
    return round(wall, 4), round(processors, 4)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [1_000, 10_000])
