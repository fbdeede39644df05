"""Whether files that a stranger sent are a checkpoint, and the model is what it was.

Each file is of the kind that its name says and has the hash that the contract says; values are
numbers within bounds; the golden inputs are answered as they were where the model was trained.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from covidcore.data.known import load as load_known
from covidcore.errors import CheckpointError, DataError
from covidcore.jobs.models import PARTS
from covidcore.training.recipe import LARGEST_IMAGE
from covidcore.wording import visible

if TYPE_CHECKING:
    from covidcore.model.checkpoint import Contract

MOST_CLASSES = 100
MOST_LETTERS = 100
"""Of the name of a class."""
WHY = (
    "which may run any program when it is opened, and is never opened here. A model is brought in "
    f"as {', '.join(PARTS[:-1])} and {PARTS[-1]}, as “export RUN --checkpoint” writes them."
)
"""Goes on after the name of a pickle."""

_CONTRACT, _FAMILIAR, _KNOWN = PARTS[1:]
_CURE = "export it again"
_MAX_HEADER = 2**20  # of safetensors, in bytes; that of a DenseNet-121 has 90,000


def checked(folder: Path, title: str) -> "Contract":
    """What the contract in ``folder`` says, once all that it says was found to be so.

    Imports torch. Raises: CheckpointError, in a sentence in which the folder is called ``title``.
    """
    from covidcore.inference import familiar
    from covidcore.inference.forward import Forward
    from covidcore.inference.predictor import Predictor
    from covidcore.model import checkpoint

    for name in PARTS[:2]:
        if not (folder / name).exists():
            raise CheckpointError(f"{title} is no checkpoint: {name} is missing.")
    for path in sorted(folder.iterdir()):
        _check_beginning(path, title)
    contract, _ = checkpoint.read_contract(folder, title, _CURE)
    _check_contract(contract, title)
    model, contract = checkpoint.load(folder, title, _CURE)
    gate, images = contract.facts.get("gate"), contract.facts.get("known")
    for name, stated in ((_FAMILIAR, gate), (_KNOWN, images)):
        if (stated is not None) != (folder / name).exists():
            raise CheckpointError(f"{title}/{name} and the contract do not belong together.")
    try:
        load_known(folder, images)
    except DataError as error:
        raise CheckpointError(f"{title}/{_KNOWN} is damaged, or of another model.") from error
    try:
        known = familiar.load(folder, gate, images)
        asked = ((f"golden {at}", one.file) for at, one in enumerate(contract.golden))
        Predictor(Forward(model, contract), contract, known).predict(asked, anyway=True)
    except (CheckpointError, ValueError) as error:  # numpy's, where features are of another size
        raise CheckpointError(f"{title}/{_FAMILIAR} is damaged, or of another model.") from error
    return contract


def _check_beginning(path: Path, title: str) -> None:
    """Raises: CheckpointError for a file that is something else than its name says."""
    with path.open("rb") as file:
        head = file.read(16)
    if path.name == _CONTRACT:
        sound = head.lstrip()[:1] == b"{"
    else:
        length = int.from_bytes(head[:8], "little")
        sound = head[8:9] == b"{" and length <= min(_MAX_HEADER, path.stat().st_size - 8)
    if sound:
        return
    if re.match(rb"\x80[\x00-\x05]|PK\x03\x04|c[a-z_]+\n", head):
        raise CheckpointError(f"{title}/{path.name} is a pickle under another name, {WHY}")
    kind = "JSON object" if path.name == _CONTRACT else "safetensors file"
    raise CheckpointError(f"{title}/{path.name} is no {kind}: {_CURE}.")


def _check_contract(contract: "Contract", title: str) -> None:
    """What a run of ours has by itself, and a stranger's contract may not have."""
    if not contract.golden:
        raise CheckpointError(
            f"{title} has no golden inputs, by which a model is known to be what it was: it is of "
            "an earlier version. Resume or train the run again, and export it then."
        )
    if len(contract.classes) > MOST_CLASSES:
        raise CheckpointError(
            f"{title} has {len(contract.classes):,} classes; at most {MOST_CLASSES} are read."
        )
    for name in contract.classes:
        if not name or name != visible(name) or len(name) > MOST_LETTERS:
            raise CheckpointError(
                f"{title} is refused: the name of a class in it, “{visible(name)[:40]}”, is empty, "
                f"longer than {MOST_LETTERS} letters, or holds characters that can not be seen."
            )
    size = contract.preprocessing.image_size
    if size > LARGEST_IMAGE:
        raise CheckpointError(
            f"{title} asks for images of {size:,} pixels a side; at most {LARGEST_IMAGE} are given."
        )
