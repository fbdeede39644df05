"""What lies beside a file of weights and says how they were made. Knows no torch.

Beside a plain file that is a JSON of the same name, with mean and std. A checkpoint of this program
has its contract, which says those too, and on which images the weights were trained.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

from covidcore import sealed
from covidcore.errors import WeightsError

_CHECKPOINT, _CONTRACT = "best.safetensors", "contract.json"


class About(NamedTuple):
    """The normalisation that weights expect, and what is stated of the images behind them."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    known: dict[str, Any] | None = None
    """``sha256`` and ``images`` of the file of their hashes, see `data.known`."""


def about(path: Path, otherwise: About) -> About:
    """What is said beside the weights ``path``, or ``otherwise`` where nothing is.

    Raises: WeightsError where that is there and can not be understood.
    """
    contract, plain = path.with_name(_CONTRACT), path.with_suffix(".json")
    if path.name == _CHECKPOINT and contract.is_file():
        return _read(contract, lambda values: (values["preprocessing"], values.get("known")))
    if plain.is_file():
        return _read(plain, lambda values: (values, None))
    return otherwise


def stated_in(path: Path) -> tuple[Path, Path]:
    """The files that `about` looks at."""
    return path.with_name(_CONTRACT), path.with_suffix(".json")


def _read(file: Path, parts: Any) -> About:
    try:
        said, known = parts(sealed.parse(file.read_bytes()))
        mean, std = (tuple(float(v) for v in said[key]) for key in ("mean", "std"))
        if len(mean) != 3 or len(std) != 3 or not all(map(math.isfinite, (*mean, *std))):
            raise ValueError("three numbers each")
        if not min(std) > 0:
            raise ValueError("a deviation is above zero")
        if known is not None:
            known = {"sha256": str(known["sha256"]), "images": int(known["images"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{file} does not state mean and std, three numbers each.") from error
    return About(mean, std, known)
