"""Which number format is fastest here: measured in a second, not guessed from the model name."""

import contextlib
import platform
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from covidcore import storage
from covidcore.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GAIN = 1.15  # bf16 has to be this much faster to be taken
_TRIALS = 8


def device() -> torch.device:
    """The first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def on_device(array: "NDArray[Any]") -> torch.Tensor:
    """The array as a tensor where the work is done; a GPU is given it without waiting."""
    values = torch.from_numpy(array)
    if torch.cuda.is_available():  # only memory that is pinned is copied beside other work
        return values.pin_memory().to(device(), non_blocking=True)
    return values


def choose(asked: str, home: Path) -> str:
    """``fp32`` or ``bf16``: as asked, or for ``auto`` what a short trial on this machine prefers.

    The trial's answer is kept in ``home`` for this processor, torch, number of threads and way
    of trying (the number at the end: answers of an earlier way are not asked).
    """
    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    cpu = torch.backends.cpu.get_cpu_capability()
    threads = torch.get_num_threads()
    key = f"{platform.machine()} {cpu} torch {torch.__version__} x{threads} trial 2"
    path = home / "probes.json"
    try:
        known = dict(storage.read_json(path))
    except (DataError, TypeError, ValueError):
        known = {}
    if known.get(key) not in ("fp32", "bf16"):
        known[key] = _faster()
        storage.write_json(path, known)
    return str(known[key])


def _faster() -> str:
    """Time a training step of a small convolution in both formats; the best of eight each.

    In turns, so that what else runs on the machine meets both: one after the other, a busy second
    once had bf16 taken for slow where it is more than twice as fast, and that was remembered.
    """
    layer = nn.Conv2d(128, 128, 3, padding=1).to(memory_format=torch.channels_last)
    images = torch.zeros(16, 128, 28, 28).to(memory_format=torch.channels_last)
    seconds: dict[str, list[float]] = {"fp32": [], "bf16": []}
    for _ in range(1 + _TRIALS):
        for name, trials in seconds.items():
            start = time.perf_counter()
            with autocast(name):
                layer(images).float().sum().backward()
            trials.append(time.perf_counter() - start)
    fp32, bf16 = (min(seconds[name][1:]) for name in ("fp32", "bf16"))
    return "bf16" if fp32 > _GAIN * bf16 else "fp32"


def autocast(precision: str) -> AbstractContextManager[object]:
    """Run a forward pass in ``precision`` on the device in use."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device().type, dtype=torch.bfloat16)
