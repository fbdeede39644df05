"""What the hash in a checkpoint costs: ``python -m benchmarks.checkpoint``.

ResNet-18 with everything trained, the largest checkpoint of the presets: its size, and medians of
writing it, of reading it back, and of the SHA-256 alone, in processor and in wall time.
"""

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from covidcore.jobs import resumable
from covidcore.jobs.folder import RunFolder
from covidcore.model.network import build, cut
from covidcore.training.loop import EpochResult, make_optimiser
from covidcore.training.recipe import preset

_TRIALS = 7


def main() -> None:
    """Print one row a step."""
    tail = cut(build("resnet18", 3), "resnet18", "all")[1]
    optimiser = make_optimiser(tail, preset("full"))
    for parameter in tail.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    position = resumable.Position("fp32")
    position.add(EpochResult(1, 1.0, 0.5, 1.0, 0.5, 1e-3), tail)
    with tempfile.TemporaryDirectory() as path:
        folder = RunFolder(Path(path))
        steps: dict[str, Callable[[], object]] = {
            "write": lambda: resumable.save(folder, tail, optimiser, position),
            "read back": lambda: resumable.restore(folder, tail, optimiser),
        }
        for name, step in steps.items():
            _measure(name, step)
        data = folder.last.read_bytes()
        _measure("SHA-256 of it, once", lambda: hashlib.sha256(data).digest())
        print(f"{len(data):,} bytes")


def _measure(name: str, step: Callable[[], object]) -> None:
    processor, wall = [], []
    for _ in range(_TRIALS):
        used, began = time.process_time(), time.perf_counter()
        step()
        processor.append(1e3 * (time.process_time() - used))
        wall.append(1e3 * (time.perf_counter() - began))
    print(
        f"{name}: {statistics.median(processor):.0f} ms of processor time, "
        f"{min(wall):.0f} to {max(wall):.0f} ms on the clock ({_TRIALS} times)"
    )


if __name__ == "__main__":
    main()
