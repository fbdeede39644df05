"""A model to take away: as a checkpoint that `jobs.imports` brings in again, or as ONNX."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from covidcore import sealed, storage
from covidcore.config import child_environment
from covidcore.data.staging import publish, staging
from covidcore.errors import RunError
from covidcore.jobs.models import PARTS, whole_model
from covidcore.model import onnx_packages

if TYPE_CHECKING:
    from covidcore.jobs.store import RunStore

_CONTRACT = PARTS[1]
_CHUNK = 2**20
_SECONDS = 600
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip knows: the same model is the same bytes


def export_checkpoint(store: "RunStore", run: str, to: Path, share: bool = False) -> dict[str, Any]:
    """Write the model of ``run`` as a zip, or as a folder where ``to`` does not end so.

    With ``share`` it is as `jobs.shipping` makes one to pass on: half the size, hashes in place of
    thumbnails, with its figures; imports torch. Returns what is in it, by name, in bytes. Raises:
    RunError in a public demo, where the model is not whole, and with ``share`` for a model that
    was imported; DataError where the disk refuses, or ``to`` is a folder with something in it.
    """
    store.rules.refuse("no model is taken away here")
    folder = whole_model(store, run)
    if not share:
        return _export(folder, to)
    from covidcore.jobs.shipping import ship

    with tempfile.TemporaryDirectory() as place:
        ship(store, run, Path(place))
        return _export(Path(place), to)


def _export(folder: Path, to: Path) -> dict[str, Any]:
    if to.suffix.lower() == ".zip":
        with storage.replacing(to) as file:
            _pack(folder, file)
    else:
        with staging(to) as aside:
            for name in _parts(folder):
                storage.write_bytes(aside / name, _part(folder, name))
            publish(aside, to)
    return {name: len(_part(folder, name)) for name in _parts(folder)}


def export_onnx(store: "RunStore", run: str, to: Path) -> dict[str, Any]:
    """Write the model of ``run`` as an ONNX file, and beside it ``<name>.json``. Imports torch.

    Raises: as ``export_checkpoint``, RunError where a package is missing, and CheckpointError where
    ONNX Runtime does not answer the golden inputs as torch does; nothing is written then.
    """
    store.rules.refuse("no model is taken away here")
    if missing := onnx_missing():
        raise RunError(missing)
    from covidcore.model.onnx_file import write

    return write(whole_model(store, run), to)


def onnx_missing() -> str:
    """A sentence where a package lacks that ``export_onnx`` needs; else empty."""
    return onnx_packages.missing(onnx_packages.WRITES)


def checkpoint_bytes(store: "RunStore", run: str, share: bool = False) -> bytes:
    """The zip of ``export_checkpoint``, for a browser."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.zip"
        export_checkpoint(store, run, path, share)
        return path.read_bytes()


def onnx_bytes(store: "RunStore", run: str) -> bytes:
    """The file of ``export_onnx``, for a browser; made in a process of its own.

    The exporter brings torch's compiler along, 0.4 GB that a server would not lose again.
    Raises: as ``export_onnx``, but RunError for all of it.
    """
    store.rules.refuse("no model is taken away here")
    whole_model(store, run)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        command = [sys.executable, "-m", "covidcore", "export", run, "--onnx", str(path)]
        environment = {**child_environment(), "COVIDCORE_HOME": str(store.settings.home)}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise RunError("The export took too long and was stopped: try again later.") from error
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise RunError(said[-1] if done.returncode == 1 and said else "The export failed.")
        return path.read_bytes()


def _parts(folder: Path) -> list[str]:
    return [name for name in PARTS if (folder / name).exists()]


def _part(folder: Path, name: str) -> bytes:
    """A file as it is passed on: the contract without the place of weights on this machine."""
    data = (folder / name).read_bytes()
    if name != _CONTRACT:
        return data
    values = sealed.parse(data)
    if not isinstance(values.get("weights"), dict) or values["weights"].get("path") is None:
        return data
    values["weights"]["path"] = None
    return sealed.json_bytes(values)


def _pack(folder: Path, file: IO[bytes]) -> None:
    """Stored, not deflated: weights hardly shrink."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in _parts(folder):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), _part(folder, name))
