"""Five pictures and what a model said to them when it was stored; asked again when it is opened.

The pictures are files, so that everything between bytes and logits is asked: grey from colour and
from 16 bits, EXIF, resizing, mean and deviation, the order of classes, and torch. They are
phantoms: a checkpoint that is passed on holds nobody's radiograph for it.

Torch is imported by the functions that ask a network of torch.
"""

import base64
import copy
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covidcore.data.decode import decode
from covidcore.data.phantoms import PhantomSpec, draw
from covidcore.errors import CheckpointError, DecodeError
from covidcore.model.preprocess import Preprocessing, as_squares, normalise

if TYPE_CHECKING:
    from torch import nn

COUNT = 5
TOLERANCE = 1e-3
"""Largest difference of a logit; other processors differ by a hundredth of it."""

_SIDE = 96
_DIGITS = 6
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Golden:
    """One input, and the logits that belong to it."""

    file: bytes
    """A PNG file."""
    logits: dict[str, float]
    """By class: so an order of classes that was changed is noticed."""

    def to_json(self) -> dict[str, Any]:
        """The picture in base 64, and the logits."""
        return {"png": base64.b64encode(self.file).decode(), "logits": self.logits}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Golden":
        """The inverse of ``to_json``. Raises: KeyError, TypeError, ValueError."""
        logits = {str(name): float(value) for name, value in values["logits"].items()}
        return cls(base64.b64decode(values["png"], validate=True), logits)


def make(model: "nn.Module", classes: Sequence[str], spec: Preprocessing) -> tuple[Golden, ...]:
    """Draw the pictures and note what ``model`` says to them on this processor, in fp32."""
    files = _files()
    found = _logits(copy.deepcopy(model).cpu().eval(), _squares(files, spec), spec)
    return tuple(
        Golden(
            file,
            {name: round(float(value), _DIGITS) for name, value in zip(classes, row, strict=True)},
        )
        for file, row in zip(files, found, strict=True)
    )


def check(
    model: "nn.Module", classes: Sequence[str], spec: Preprocessing, golden: Sequence[Golden]
) -> None:
    """Ask a model, in evaluation mode, again.

    Raises: CheckpointError where a logit differs by more than ``TOLERANCE``.
    """
    import torch

    found = _logits(model, squares(golden, spec), spec)
    compare(found, classes, golden, f"torch {torch.__version__}")


def squares(golden: Sequence[Golden], spec: Preprocessing) -> NDArray[np.uint8]:
    """The pictures as the network's input size has them, ``(G, S, S)``.

    Raises: CheckpointError where one can not be read.
    """
    try:
        return _squares([one.file for one in golden], spec)
    except DecodeError as error:
        raise CheckpointError(f"A golden input of this model can not be read: {error}") from error


def compare(
    found: NDArray[np.float64], classes: Sequence[str], golden: Sequence[Golden], by: str
) -> None:
    """Compare the logits ``(G, C)`` that ``by``, a program and its version, found.

    Raises: CheckpointError where one differs by more than ``TOLERANCE``.
    """
    expected = np.array([[one.logits.get(name, np.nan) for name in classes] for one in golden])
    worst = float(np.abs(found - expected).max())
    if not worst <= TOLERANCE:  # NaN too
        raise CheckpointError(
            "This model does not say to its golden inputs what it said when it was stored (a logit "
            f"differs by {worst:.2g}): its classes, its preprocessing or its weights were changed, "
            f"or {by} computes otherwise here. It is not used; train it again."
        )


def _squares(files: Sequence[bytes], spec: Preprocessing) -> NDArray[np.uint8]:
    return as_squares([decode(file).pixels for file in files], spec)


def _logits(
    model: "nn.Module", images: NDArray[np.uint8], spec: Preprocessing
) -> NDArray[np.float64]:
    import torch

    batch = normalise(torch.from_numpy(images), spec)
    with torch.inference_mode():
        found: NDArray[np.float64] = model(batch).double().numpy()
    return found


def _files() -> list[bytes]:
    """Grey, coloured, of 12 bits, not square, and lying on its side."""
    spec = PhantomSpec(size=_SIDE)
    grey, red, deep, wide, turned = (
        draw(
            spec, spec.classes[number % len(spec.classes)], number, number, spec.sources[0], False
        )[0]
        for number in range(COUNT)
    )
    colours = np.dstack([red, red[:, ::-1], 255 - red])
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    return [
        _png(grey),
        _png(colours),
        _png(deep.astype(np.uint16) * 16 + 9),
        _png(wide[16:80]),
        _png(turned, exif=exif),
    ]


def _png(pixels: NDArray[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()
