"""Torch and ONNX Runtime asked the same by the shipped model: answers, speed, memory.

    python -m benchmarks.backends FOLDER IMAGES

Each backend answers in processes of its own, in turns: ONNX Runtime, torch in the format that is
fastest here, torch in single precision. One image at a time on one processor, as the server does;
then all on all processors, as ``predict`` does. Needs requirements-onnx.txt.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from covidcore.inference.predictor import Predictor
from covidcore.model.weights import SHIPPED

_ROUNDS = 2
_BACKENDS = ("onnx", "torch", "torch fp32")
_SINGLE = 60
_WARM_UP = 3


def asked(backend: str, folder: Path, images: int, scratch: Path) -> dict[str, Any]:
    """What one process finds; ``scratch`` holds the model, and is its home."""
    files = sorted(folder.rglob("*.png"))
    items = [(str(path), path) for path in files[:: max(1, len(files) // images)][:images]]
    began = time.perf_counter()
    name, _, single = backend.partition(" ")
    home = None if single else scratch  # which remembers that another format is faster
    predictor = Predictor.open(scratch / "model", home, backend=name)
    opened = time.perf_counter() - began
    predictor.forward.alone()
    clock, processor = [], []
    for item in items[: _SINGLE + _WARM_UP]:
        started, worked = time.perf_counter(), time.process_time()
        predictor.predict([item])
        clock.append(1000 * (time.perf_counter() - started))
        processor.append(1000 * (time.process_time() - worked))
    memory = _resident()
    many = Predictor(predictor.forward, predictor.contract, predictor.known, os.cpu_count() or 1)
    started, worked = time.perf_counter(), time.process_time()
    said = many.predict(items, anyway=True)
    return {
        "opened_s": opened,
        "one_ms": statistics.median(clock[_WARM_UP:]),
        "one_processor_ms": statistics.median(processor[_WARM_UP:]),
        "images_s": len(items) / (time.perf_counter() - started),
        "image_processor_ms": 1000 * (time.process_time() - worked) / len(items),
        "resident_mb": memory,
        "torch": "torch" in sys.modules,
        "making_peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "said": [(one["refused"], one["answer"], one["probabilities"]) for one in said],
    }


def _resident() -> float:
    """MB after the single predictions."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def main(folder: Path, images: int) -> None:
    """Ask both in turns, and compare what they said."""
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(SHIPPED, Path(scratch) / "model")
        found: dict[str, list[dict[str, Any]]] = {backend: [] for backend in _BACKENDS}
        for backend in _BACKENDS * _ROUNDS:  # the first makes the graph
            command = [sys.executable, "-m", "benchmarks.backends", str(folder), str(images)]
            done = subprocess.run(
                [*command, backend, scratch], stdout=subprocess.PIPE, text=True, check=True
            )
            found[backend].append(json.loads(done.stdout))
            figures = {name: one for name, one in found[backend][-1].items() if name != "said"}
            print(backend, {name: round(one, 1) for name, one in figures.items()}, flush=True)
    said = {backend: runs[-1]["said"] for backend, runs in found.items()}
    for backend in _BACKENDS[1:]:
        pairs = list(zip(said["onnx"], said[backend], strict=True))
        apart = [abs(p[2][name] - o[2][name]) for p, o in pairs for name in p[2]]
        refused = sum(p[0] != o[0] for p, o in pairs)
        answers = sum(p[1] != o[1] for p, o in pairs)
        print(
            f"onnx and {backend}, {len(pairs)} images: refusals that differ {refused}, answers "
            f"{answers}; largest difference of a probability {max(apart):.2g}"
        )


if __name__ == "__main__":
    place, count, *rest = sys.argv[1:]
    if rest:
        print(json.dumps(asked(rest[0], Path(place), int(count), Path(rest[1]))))
    else:
        main(Path(place), int(count))
