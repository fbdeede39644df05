"""Where training starts: pre-trained weights, found, fetched, and named by their hash.

Knows no torch, so that a page can ask; `transfer` copies them into a network.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from covidcore.config import Settings, child_environment
from covidcore.data.known import NOTHING, KnownImages
from covidcore.data.known import load as load_known
from covidcore.errors import DataError, WeightsError
from covidcore.model.beside import About, about
from covidcore.storage import sha256_file, write_bytes

# torchvision's own files; the digits before the ending begin the file's SHA-256.
IMAGENET_FILES = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-11ad3fa6.pth",
    "densenet121": "densenet121-a639ec97.pth",
    "efficientnet_b0": "efficientnet_b0_rwightman-7f5810bc.pth",
    "mobilenet_v3_large": "mobilenet_v3_large-5c1a4163.pth",
}
ARCHITECTURES = tuple(IMAGENET_FILES)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SHIPPED = Path(__file__).parent.parent / "shipped"
"""The model that comes with the project: a folder as of a run (docs/model-card.md)."""
SHIPPED_ARCH = "resnet18"
_FETCH_SECONDS = 900
_RETRY_SECONDS = 600  # how long a failed download is not tried again


@dataclass(frozen=True)
class Weights:
    """Resolved weights: what they are, where they lie, and the normalisation they expect."""

    name: str
    """imagenet, radiographs, none, or the file's name."""
    id: str
    """What a run's identity depends on: SHA-256 of the file, or ``none``."""
    path: str | None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    note: str = ""
    """A sentence for the user where something else was taken than might be expected."""
    known: dict[str, Any] | None = None
    """What is stated of the images that they were trained on, where that is known."""

    def to_json(self) -> dict[str, Any]:
        """Every field by name."""
        return asdict(self)


NONE = Weights("none", "none", None, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def resolve(name: str, arch: str, settings: Settings) -> Weights:
    """Find the weights that a recipe names, fetching ImageNet's if need be.

    ``auto`` takes ImageNet's where they are on disk, or a radiograph backbone that somebody put
    there; else ImageNet's where they can be had; else the backbone that comes with the project;
    else none, and says so in ``note``. Raises: WeightsError, saying how to get the file.
    """
    if name == "none":
        return NONE
    if name == "imagenet":
        return _imagenet(arch, settings)
    if name == "radiographs":
        return _radiographs(arch, settings)
    if name == "auto":
        return _auto(arch, settings)
    path = Path(name).expanduser()
    if not path.is_file():
        raise WeightsError(
            f"There are no weights “{name}”: use auto, imagenet, radiographs, none, or the path "
            "of a .safetensors or .pth file."
        )
    return _described(path, path.name)


def _auto(arch: str, settings: Settings) -> Weights:
    if settings.weights and settings.weights.is_file():
        return _described(settings.weights, settings.weights.name)
    found = _find(IMAGENET_FILES[arch], settings)
    if found:
        return _imagenet(arch, settings)
    if _find_radiographs(arch, settings):
        return _radiographs(arch, settings)
    for source in (_imagenet, _radiographs):
        with contextlib.suppress(WeightsError):
            return source(arch, settings)
    note = (
        "No pre-trained weights could be found or fetched: training starts from random weights, "
        "which needs far more images for the same result."
    )
    return Weights(**{**NONE.to_json(), "note": note})


def on_disk(arch: str, settings: Settings) -> dict[str, str | None]:
    """Which weights for ``arch`` are on this machine, and where; nothing is fetched."""
    backbone = _find_radiographs(arch, settings) or shipped(arch)
    imagenet = _find(IMAGENET_FILES[arch], settings)
    return {
        "imagenet": str(imagenet) if imagenet else None,
        "radiographs": str(backbone) if backbone else None,
    }


def _search_folders(settings: Settings) -> list[Path]:
    torch_home = os.environ.get("TORCH_HOME") or "~/.cache/torch"
    folders = [settings.home / "weights", Path(torch_home).expanduser() / "hub" / "checkpoints"]
    if settings.weights:
        folders.insert(
            0, settings.weights if settings.weights.is_dir() else settings.weights.parent
        )
    return folders


def _find(file: str, settings: Settings) -> Path | None:
    return next((f / file for f in _search_folders(settings) if (f / file).is_file()), None)


def _imagenet(arch: str, settings: Settings) -> Weights:
    file = IMAGENET_FILES[arch]
    path = _find(file, settings)
    if path is None:
        path = _fetch(arch, file, settings)
    digest = sha256_file(path)
    begin = file.rsplit("-", 1)[1].removesuffix(".pth")
    if not digest.startswith(begin):
        raise WeightsError(f"{path} is damaged (its hash does not begin with {begin}): remove it.")
    return Weights("imagenet", digest, str(path))


def _fetch(arch: str, file: str, settings: Settings) -> Path:
    """Download in a child process: torchvision knows the address, and importing it is costly."""
    folder = settings.home / "weights"
    if lately_failed(arch, settings):
        raise _not_fetched(arch, file, folder)
    command = [sys.executable, "-m", "covidcore.model.fetch", arch, str(folder)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
            env=child_environment(),
            check=False,
        )
        answer = done.stdout.strip().splitlines()
    except subprocess.TimeoutExpired:
        answer = []
    path = folder / file
    if not answer or not path.is_file():
        write_bytes(_failed(arch, settings), b"")
        raise _not_fetched(arch, file, folder)
    return path


def _failed(arch: str, settings: Settings) -> Path:
    return settings.home / "weights" / f".{arch}-not-fetched"


def lately_failed(arch: str, settings: Settings) -> bool:
    """Whether ImageNet's weights could not be fetched a short while ago; it is not tried again."""
    try:
        age = time.time() - _failed(arch, settings).stat().st_mtime
        return 0 <= age < _RETRY_SECONDS  # below 0: the clock was set back
    except OSError:
        return False


def _not_fetched(arch: str, file: str, folder: Path) -> WeightsError:
    return WeightsError(
        f"ImageNet's weights for {arch} are not on this machine and could not be downloaded. "
        f"Put torchvision's file {file} into {folder} or into a folder named by "
        "COVIDCORE_WEIGHTS, or train with weights=radiographs or weights=none."
    )


def _find_radiographs(arch: str, settings: Settings) -> Path | None:
    names = [f"{arch}-radiographs.{ending}" for ending in ("safetensors", "pth")]
    return next((found for found in (_find(name, settings) for name in names) if found), None)


def shipped(arch: str) -> Path | None:
    """The backbone for ``arch`` that comes with the project, if there is one."""
    path = SHIPPED / "best.safetensors"
    return path if arch == SHIPPED_ARCH and path.is_file() else None


def _radiographs(arch: str, settings: Settings) -> Weights:
    path = _find_radiographs(arch, settings) or shipped(arch)
    if path:
        return _described(path, "radiographs")
    raise WeightsError(
        f"There is no radiograph backbone for {arch} on this machine. Put the file "
        f"{arch}-radiographs.safetensors (or .pth, with its .json) into a folder named by "
        "COVIDCORE_WEIGHTS, or train with weights=imagenet or weights=none."
    )


def _described(path: Path, name: str) -> Weights:
    """Weights of a file, with what is said beside it."""
    mean, std, known = about(path, About(IMAGENET_MEAN, IMAGENET_STD))
    named = identity(sha256_file(path), mean, std)
    return Weights(name, named, str(path.absolute()), mean, std, known=known)


def identity(digest: str, mean: tuple[float, ...], std: tuple[float, ...]) -> str:
    """What a run's identity has of weights: the file's SHA-256, and the normalisation."""
    return hashlib.sha256(f"{digest}:{mean}:{std}".encode()).hexdigest()


def known_images(weights: Weights) -> KnownImages:
    """Hashes of the images that they were trained on; nothing where that is not known.

    Raises: WeightsError where they are stated and can not be read.
    """
    if weights.path is None or weights.known is None:
        return NOTHING
    try:
        return load_known(Path(weights.path).parent, weights.known)
    except DataError as error:
        raise WeightsError(str(error)) from error
