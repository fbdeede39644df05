"""Where in an upload lies what speaks for its answer, and how much of that is inside the lungs.

A heatmap proves nothing: Grad-CAM is the best of seven such methods and still points well beside
what radiologists point at. Source: Saporta et al. 2022, Nature Machine Intelligence 4:867.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from covidcore.data.decode import decode
from covidcore.data.lungs import central_box
from covidcore.data.pixels import resize
from covidcore.errors import CovidcoreError
from covidcore.evaluation.stress import attention
from covidcore.inference.forward import Forward
from covidcore.inference.onnx_forward import NO_HEAT
from covidcore.inference.predictor import Predictor
from covidcore.model.explain import grad_cam
from covidcore.model.preprocess import preprocess


@dataclass(frozen=True, eq=False)
class Heat:
    """A map of one image, for one class."""

    cells: NDArray[np.float32]
    """``(h, w)``, 0 and above."""
    box: NDArray[np.bool_]
    """``(S, S)``: the middle of the image, which stands for the lungs, as uploads have no mask."""
    inside: float
    """Share of the heat in the box; NaN where there is no heat, or too few cells to tell."""

    @property
    def area(self) -> float:
        """Share of the picture that the box takes."""
        return float(self.box.mean())


def heat_of(model: Predictor, source: Path | bytes, answer: str, invert: bool = False) -> Heat:
    """What in a file speaks for one of the model's classes.

    Raises: DecodeError; CovidcoreError where another than torch computes the model's answers.
    """
    if not isinstance(model.forward, Forward):
        raise CovidcoreError(NO_HEAT)
    pixels = decode(source).pixels
    spec = model.contract.preprocessing
    square = resize(255 - pixels if invert else pixels, spec.image_size)
    chosen = torch.tensor([model.classes.index(answer)])
    images, arch = preprocess([square], spec), model.contract.arch
    with model.turn:
        cells = grad_cam(model.forward.model, arch, images, chosen)
    box = central_box(spec.image_size)
    return Heat(cells[0], box, attention(cells, box[None], [""])["share"])
