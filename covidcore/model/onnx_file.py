"""A model as an ONNX file that programs without torch can ask, checked before it appears.

The graph takes preprocessed images ``(N, 3, S, S)`` and gives logits ``(N, C)``; what has to be
known beside it (classes, preprocessing, temperature, golden inputs) is in its metadata and, as
JSON, in a file of the same name with ``.json`` behind it.
"""

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from covidcore import storage
from covidcore.config import DISCLAIMER
from covidcore.errors import CheckpointError
from covidcore.model import checkpoint, golden
from covidcore.model.checkpoint import Contract
from covidcore.model.preprocess import normalise

TOLERANCE = 1e-4
"""Largest difference of an output between ONNX Runtime and torch on the golden inputs."""
INPUT, OUTPUT = "image", "logits"


def write(folder: Path, to: Path) -> dict[str, Any]:
    """Write the model in ``folder`` to ``to``; returns the largest difference and the sizes.

    Needs the packages of requirements-onnx.txt. Raises: CheckpointError where the model is not
    usable, or ONNX Runtime answers otherwise than torch; DataError where the disk refuses. Nothing
    is written then.
    """
    model, contract = checkpoint.load(folder)
    _, digest = checkpoint.read_contract(folder)
    asked = contract.golden or golden.make(model, contract.classes, contract.preprocessing)
    squares = torch.from_numpy(golden.squares(asked, contract.preprocessing))
    images = normalise(squares, contract.preprocessing)
    about = describe(contract, asked, digest)
    data = graph(model, images, INPUT, (OUTPUT,), about)
    worst = difference(data, model, images, INPUT)
    check(worst)
    text = json.dumps(storage.plain(about), indent=1, ensure_ascii=False)
    storage.write_text(to.with_name(f"{to.name}.json"), f"{text}\n")
    storage.write_bytes(to, data)
    return {"bytes": len(data), "difference": worst, "golden": len(asked)}


def describe(contract: Contract, asked: tuple[golden.Golden, ...], digest: str) -> dict[str, Any]:
    """What the JSON file and the metadata say."""
    spec = contract.preprocessing
    return {
        "disclaimer": DISCLAIMER,
        "arch": contract.arch,
        "classes": list(contract.classes),
        "input": {"name": INPUT, "shape": ["batch", 3, spec.image_size, spec.image_size]},
        "output": {"name": OUTPUT, "shape": ["batch", len(contract.classes)]},
        "preprocessing": spec.to_json(),
        "temperature": contract.temperature,
        "probabilities": "softmax(logits / temperature)",
        "checkpoint": digest,
        "golden": [one.to_json() for one in asked],
    }


def graph(
    model: nn.Module,
    images: torch.Tensor,
    given: str,
    outputs: tuple[str, ...],
    about: dict[str, Any],
) -> bytes:
    """The file's bytes, of a network in evaluation mode that takes one batch such as ``images``.

    ``given`` and ``outputs`` name what goes in and what comes out; ``about`` is its metadata.
    """
    import onnx

    with _silence():
        program = torch.onnx.export(
            model,
            (images[:2].contiguous(),),
            dynamo=True,
            input_names=[given],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(proto, {name: _text(value) for name, value in about.items()})
    onnx.checker.check_model(proto)
    data: bytes = proto.SerializeToString()
    return data


def _text(value: Any) -> str:
    """Metadata are words: those of JSON, but for what is a word already."""
    return value if isinstance(value, str) else storage.canonical_json(value).decode()


def difference(data: bytes, model: nn.Module, images: torch.Tensor, given: str) -> float:
    """The largest difference of any output, asked all at once and one by one."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def ask(batch: torch.Tensor) -> list[NDArray[np.float32]]:
        return list(session.run(None, {given: batch.contiguous().numpy()}))

    with torch.inference_mode():
        said = model(images)
    expected = [one.numpy() for one in (said if isinstance(said, tuple) else (said,))]
    by_one = [ask(images[at : at + 1]) for at in range(len(images))]
    found = [ask(images), [np.concatenate(parts) for parts in zip(*by_one, strict=True)]]
    apart = [np.abs(one - of) for some in found for one, of in zip(some, expected, strict=True)]
    return float(np.max([one.max() for one in apart]))  # NaN where any is


def check(worst: float) -> None:
    """Raises: CheckpointError for a ``difference`` that is too large."""
    if not worst <= TOLERANCE:  # NaN too
        raise CheckpointError(
            f"ONNX Runtime does not say to the golden inputs what torch says (an output differs by "
            f"{worst:.2g}; at most {TOLERANCE:g} is let pass): the file was not written."
        )


@contextlib.contextmanager
def _silence() -> Any:
    """The exporter tells its progress, and warns of what is settled inside of torch."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
