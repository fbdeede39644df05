"""What this machine has, for a person who wonders why something does not work."""

import importlib.metadata
import os
import platform
import shutil
from typing import Any

from covidcore import __version__, storage
from covidcore.config import Settings
from covidcore.errors import CovidcoreError, DataError
from covidcore.jobs.runners import open_runner
from covidcore.model.weights import on_disk

_PACKAGES = (
    *("streamlit", "torch", "torchvision", "pillow", "pandas", "plotly", "scikit-learn"),
    "onnxruntime",
)


def examine(settings: Settings) -> dict[str, Any]:
    """Versions, device, threads, the home and its disk, the weights that are there."""
    import torch

    from covidcore.training.precision import device

    probe = settings.home / ".doctor"
    try:
        storage.write_bytes(probe, b"")
        probe.unlink()
        writable = True
    except DataError:
        writable = False
    found = settings.home if settings.home.exists() else settings.home.parent
    return {
        "covidcore": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "backend": settings.backend,
        "device": device().type,
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
        "home": str(settings.home),
        "home_writable": writable,
        "disk_free_gb": round(shutil.disk_usage(found).free / 1e9, 1) if found.exists() else None,
        "data": str(settings.data) if settings.data else None,
        "weights": on_disk("resnet18", settings),
        "runner": settings.runner,
        "runner_answers": _answer(settings),
        "demo": settings.demo,
    }


def _answer(settings: Settings) -> str:
    """What the place where jobs run says of itself, or why it does not."""
    try:
        return open_runner(settings.runner, settings).version()
    except CovidcoreError as error:
        return str(error)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
