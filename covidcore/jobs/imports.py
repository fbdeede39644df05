"""A model that somebody brings in: a checkpoint as a folder or a zip, judged before it is seen.

Safetensors and JSON are read, nothing else, and nothing is ever unpickled. The files are copied
aside, and what was copied is what is checked: names, sizes, hashes, shapes, values, and what the
model says to its golden inputs. Only then it gets its place among the runs, under an id that is
a hash of its contract: the same checkpoint is the same model, however often it is brought in.
"""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidcore import storage
from covidcore.data.archives import contents, write_file
from covidcore.data.filenames import is_hidden
from covidcore.data.staging import publish, staging
from covidcore.errors import CheckpointError, CovidcoreError, DataError, RunError
from covidcore.jobs.folder import IMPORTED, RunFolder, State, now
from covidcore.jobs.import_checks import WHY, checked
from covidcore.jobs.models import PARTS
from covidcore.model.weights import SHIPPED
from covidcore.training.recipe import Recipe
from covidcore.wording import visible

if TYPE_CHECKING:
    from covidcore.jobs.store import RunStore

MOST_BYTES = dict(zip(PARTS, (256 * 2**20, 4 * 2**20, 256 * 2**20, 64 * 2**20), strict=True))
"""Of each part: a ResNet-50 has 100 MB, the gate of 20,000 images 25, their hashes 2."""

OWN_NAME = "The project's own model"

_CONTRACT = PARTS[1]
_PICKLES = (".bin", ".ckpt", ".dill", ".joblib", ".pickle", ".pkl", ".pt", ".pth")
_CHUNK = 2**20


@dataclass(frozen=True)
class Imported:
    """A model that can be asked from now on, by its id."""

    run: str
    name: str
    classes: tuple[str, ...]
    arch: str
    cached: bool
    """It was here already."""


def import_model(store: "RunStore", source: Path, title: str = "") -> Imported:
    """Bring in the checkpoint in ``source``, which messages call ``title``.

    Imports torch. Raises: RunError in a public demo; CheckpointError, ArchiveError or DataError, in
    a sentence, for whatever is not exactly a checkpoint; nothing is left of it then.
    """
    store.rules.refuse("no model is imported here")
    title = visible(title or source.name)
    if not source.exists():
        raise DataError(f"{visible(source)} is not there.")
    with staging(store.queue.folder / "model") as aside:
        try:
            (_from_folder if source.is_dir() else _from_archive)(source, aside, title)
        except OSError as error:
            raise DataError(f"{title} can not be copied: {error.strerror or error}.") from error
        contract = checked(aside, title)
        run = storage.sha256_file(aside / _CONTRACT)[:16]
        name = f"{Path(title).stem[:80]}, imported"
        job = _job(contract.classes, contract.facts, name, title)
        cached = _place(store, run, aside, job)
    name = store.info(run).name  # which it may have had before
    return Imported(run, name, contract.classes, contract.arch, cached)


def _from_folder(source: Path, to: Path, title: str) -> None:
    for path in sorted(source.iterdir()):
        if not is_hidden(path.name):
            _check_name(path.name, title)
            if path.is_symlink() or not path.is_file():
                raise CheckpointError(
                    f"{title} is refused: {path.name} in it is a link or a folder. Give the files "
                    "themselves."
                )
            _copy(path, to / path.name, title)


def _copy(path: Path, to: Path, title: str) -> None:
    """Copy a plain file, and no more of it than its kind may have."""
    left = MOST_BYTES[path.name]
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file, to.open("wb") as copy:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CheckpointError(f"{title} is refused: {path.name} in it is no file.")
        while chunk := file.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise _too_large(path.name, title)
            copy.write(chunk)


def _from_archive(source: Path, to: Path, title: str) -> None:
    if source.suffix.lower() in _PICKLES:
        raise CheckpointError(f"{title} is a pickle, or may hold one, {WHY}")
    with source.open("rb") as file:
        files = contents(file, title)
        folders = {one.to.rpartition("/")[0] for one in files}
        above = f"{folders.pop()}/" if len(folders) == 1 and folders != {""} else ""
        for one in files:
            name = one.to.removeprefix(above)
            _check_name(name, title)
            if one.entry.size > MOST_BYTES[name]:
                raise _too_large(name, title)
        for one in files:
            write_file(file, one, to / one.to.removeprefix(above), title)


def _check_name(name: str, title: str) -> None:
    """Raises: CheckpointError for whatever is no part of a checkpoint."""
    if name.lower().endswith(_PICKLES):
        raise CheckpointError(f"{title} holds {name}: a pickle, or what may hold one, {WHY}")
    if name not in PARTS:
        raise CheckpointError(
            f"{title} is refused: {name} in it is no part of a checkpoint, which is "
            f"{', '.join(PARTS[:-1])} and {PARTS[-1]}, and nothing else."
        )


def _too_large(name: str, title: str) -> CheckpointError:
    most = MOST_BYTES[name] // 2**20
    return CheckpointError(f"{title} is refused: {name} in it is larger than {most} MiB.")


def own_model(store: "RunStore") -> str:
    """The id of the model that comes with the project.

    It is given its place among the runs where it has none, or is damaged there. No torch: what
    comes with the program is not judged as what a stranger sends. Raises: RunError in a copy of
    the program without one.
    """
    try:
        contract = storage.read_json(SHIPPED / _CONTRACT)
        run = storage.sha256_file(SHIPPED / _CONTRACT)[:16]
    except (DataError, OSError) as error:
        raise RunError("This copy comes without a trained model: train a run first.") from error
    folder = RunFolder(store.queue.folder / run)
    if not folder.is_imported() or folder.damaged():
        with staging(store.queue.folder / "model") as aside:
            for name in PARTS:
                storage.write_bytes(aside / name, (SHIPPED / name).read_bytes())
            job = _job(contract["classes"], contract, OWN_NAME, "covidcore")
            _place(store, run, aside, job)
    return run


def _job(classes: Sequence[str], facts: Mapping[str, Any], name: str, title: str) -> dict[str, Any]:
    """A job file; of the training what the contract says and can be understood, else nothing."""
    return {
        "kind": IMPORTED,
        "recipe": _recipe(facts.get("recipe")),
        "dataset": _hash(facts.get("dataset")),
        "dataset_name": _word(facts.get("dataset_name")),
        "classes": list(classes),
        "split": _hash(facts.get("split")),
        "weights": _weights(facts.get("weights")),
        "name": name,
        "created": now(),
        "from": title,
    }


def _recipe(values: Any) -> dict[str, Any] | None:
    try:
        return Recipe.from_json(values).to_json()
    except (CovidcoreError, AttributeError, TypeError, ValueError, OverflowError):
        return None


def _weights(values: Any) -> dict[str, str] | None:
    if not isinstance(values, dict) or not _word(values.get("name")):
        return None
    return {"name": _word(values["name"]), "id": _hash(values.get("id"))}


def _word(value: Any) -> str:
    return visible(value)[:80] if isinstance(value, str) else ""


def _hash(value: Any) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{8,64}", value) else ""


def _place(store: "RunStore", run: str, aside: Path, job: dict[str, Any]) -> bool:
    """Give a checked model its folder, or its files where they were damaged; True: it was whole."""
    made, folder = RunFolder(aside), RunFolder(store.queue.folder / run)
    with store.queue.locked("submit"):
        if not folder.path.exists():
            storage.write_json(made.job, job)
            made.write_status(State.DONE, finished=job["created"], artefacts=made.hash_model())
            publish(aside, folder.path)
            return False
        if folder.is_lost():  # the id says that it was this one
            storage.write_json(folder.job, job)
        if not folder.is_imported():
            raise RunError(f"{folder.path} is in the way, and damaged: remove it first.")
        if not folder.damaged():
            return True
        found = made.hash_model()
        for name in found:
            os.replace(aside / name, folder.path / name)
        storage.sync_folder(folder.path)
        folder.write_status(State.DONE, artefacts=found)
        return False
