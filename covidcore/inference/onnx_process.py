"""The process that makes the graph which `onnx_forward` asks; once a checkpoint.

It has torch, whose exporter takes some seconds and more memory than a small server has.
"""

import sys
from pathlib import Path

import torch
from torch import nn

from covidcore import storage
from covidcore.errors import CovidcoreError
from covidcore.inference.forward import fold
from covidcore.inference.onnx_forward import FILE, FORMAT, INPUT, OUTPUTS, REFUSED, note
from covidcore.model import checkpoint, golden, network, onnx_file
from covidcore.model.preprocess import Preprocessing, normalise


class _Answers(nn.Module):
    """All of ``forward.Forward`` in single precision, its normalisation of squares included."""

    def __init__(self, body: nn.Module, head: nn.Module, spec: Preprocessing) -> None:
        super().__init__()
        self._body, self._head, self._spec = body, head, spec

    def forward(self, squares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self._body(normalise(squares, self._spec))
        return self._head(features), features


def write(folder: Path) -> float:
    """Write the graph of the checkpoint in ``folder`` beside it, and the note on it.

    Returns the largest difference from torch on the golden inputs. Raises: CheckpointError where
    the checkpoint is not usable, or ONNX Runtime answers otherwise than torch; DataError where the
    disk refuses.
    """
    model, contract = checkpoint.load(folder)
    _, digest = checkpoint.read_contract(folder)
    spec = contract.preprocessing
    asked = contract.golden or golden.make(model, contract.classes, spec)
    images = torch.from_numpy(golden.squares(asked, spec))
    fold(model)
    answers = _Answers(*network.cut(model, contract.arch, "head"), spec).eval()
    data = onnx_file.graph(answers, images, INPUT, OUTPUTS, {"checkpoint": digest})
    worst = onnx_file.difference(data, answers, images, INPUT)
    onnx_file.check(worst)
    storage.write_bytes(folder / FILE, data)
    about = {"format": FORMAT, "checkpoint": digest, "sha256": storage.sha256_bytes(data)}
    storage.write_json(note(folder), {**about, "difference": worst})
    return worst


def main(folder: str) -> int:
    """For ``onnx_forward``: what goes wrong is a sentence on standard error."""
    try:
        write(Path(folder))
    except CovidcoreError as error:
        sys.stderr.write(str(error))
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
