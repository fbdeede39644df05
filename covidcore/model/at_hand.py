"""Which weights a recipe would start from, told at once: no network, each file hashed once.

Knows no torch.
"""

import functools
import os
from pathlib import Path

from covidcore.config import Settings
from covidcore.errors import WeightsError
from covidcore.model.beside import stated_in
from covidcore.model.weights import Weights, lately_failed, on_disk, resolve, shipped


def at_hand(name: str, arch: str, settings: Settings) -> Weights | None:
    """What ``resolve`` would give; None where it would have to ask the network, or would fail.

    A file is hashed once while its size and time stay the same, for pages ask often; ``resolve``
    always reads it.
    """
    imagenet, backbone = (Path(p) if p else None for p in on_disk(arch, settings).values())
    given = settings.weights if settings.weights and settings.weights.is_file() else None
    if name == "imagenet" and not imagenet:
        return None
    given_one = given or imagenet or (backbone and backbone != shipped(arch))
    if name == "auto" and not given_one and not lately_failed(arch, settings):
        return None  # what comes with the project is taken where ImageNet's can not be had
    named = None if name in ("auto", "imagenet", "radiographs", "none") else Path(name).expanduser()
    files = [path for path in (given, imagenet, backbone, named) if path and path.is_file()]
    files += [beside for path in files for beside in stated_in(path)]
    stamps = tuple((str(p), s.st_size, s.st_mtime_ns) for p in files if (s := _stat(p)))
    try:
        return _resolved(name, arch, settings, stamps)
    except WeightsError:
        return None


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


@functools.lru_cache(maxsize=32)
def _resolved(name: str, arch: str, settings: Settings, _: tuple[object, ...]) -> Weights:
    return resolve(name, arch, settings)
