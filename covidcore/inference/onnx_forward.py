"""The forward pass by ONNX Runtime: what `forward` says, in a process that never imports torch.

The network is a graph beside the weights, from grey squares to logits and features, so that there
is one normalisation: torch's own, which was exported. A process of its own (`onnx_process`) makes
it once; here its hash and the golden inputs are asked each time it is opened.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from covidcore import storage
from covidcore.config import child_environment
from covidcore.errors import CheckpointError
from covidcore.model import checkpoint, golden, onnx_packages
from covidcore.model.checkpoint import Contract

FILE = "answers.onnx"
FORMAT = 1
REFUSED = 3
"""The status with which the process that makes the graph ends where it says why it did not."""
INPUT, OUTPUTS = "squares", ("logits", "features")
NO_HEAT = (
    "There are no heatmaps here: they need gradients, which ONNX Runtime does not compute. "
    "COVIDCORE_BACKEND=torch has them."
)

_SECONDS = 600
_READ_ONLY = "{folder} has no {file} for ONNX Runtime yet, and can not be written to: {reason}."


class OnnxForward:
    """Logits and features of images, each batch on the one processor of the thread that asks."""

    def __init__(self, path: Path) -> None:
        """Raises: what ONNX Runtime raises where the file is no graph that it knows."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it would keep the memory of the largest batch
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    @classmethod
    def open(cls, folder: Path) -> "tuple[OnnxForward, Contract]":
        """Of the checkpoint in a folder; its graph is made first where there is none, or another's.

        Raises: CheckpointError where a package is missing, the checkpoint can not be used, the
        graph can not be made, or it answers otherwise than torch.
        """
        if sentence := onnx_packages.missing(onnx_packages.RUNS):
            raise CheckpointError(sentence)
        contract, digest = checkpoint.read_contract(folder)
        forward = _stored(folder, contract, digest)
        if forward is None:
            path = folder / FILE
            try:
                with FileLock(path.with_suffix(".lock")):
                    forward = _stored(folder, contract, digest)  # by who held it before
                    if forward is None:
                        storage.sweep(path)
                        _make(folder)
                        forward = _stored(folder, contract, digest)
            except OSError as error:
                reason = error.strerror or error
                said = _READ_ONLY.format(folder=folder, file=FILE, reason=reason)
                raise CheckpointError(said) from error
        if forward is None:
            raise CheckpointError(f"{folder / FILE} was made, but can not be used: remove it.")
        return forward, contract

    def __call__(
        self, squares: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Logits ``(N, C)`` and features ``(N, F)`` of grey squares ``(N, S, S)``."""
        logits, features = self._session.run(OUTPUTS, {INPUT: squares})
        return logits.astype(np.float64), features

    def alone(self) -> None:
        """Each thread that asks computes on one processor as it is."""


def note(folder: Path) -> Path:
    """The file beside the graph that says of which checkpoint it is, and its hash."""
    return folder / f"{FILE}.json"


def _stored(folder: Path, contract: Contract, digest: str) -> OnnxForward | None:
    """The graph of this very checkpoint; None where there is none, or it is damaged."""
    try:
        values = storage.read_json(note(folder))
        if (values["format"], values["checkpoint"]) != (FORMAT, digest):
            return None
        if values["sha256"] != storage.sha256_file(folder / FILE):
            return None
        forward = OnnxForward(folder / FILE)
        if contract.golden:
            found, _ = forward(golden.squares(contract.golden, contract.preprocessing))
            golden.compare(found, contract.classes, contract.golden, "ONNX Runtime")
    except Exception:  # whatever a damaged file does to its reader; it is made anew
        return None
    return forward


def _make(folder: Path) -> None:
    """Raises: CheckpointError, in the words of the process that could not make it."""
    if sentence := onnx_packages.missing(onnx_packages.WRITES):
        raise CheckpointError(sentence)
    command = [sys.executable, "-m", "covidcore.inference.onnx_process", os.fspath(folder)]
    try:
        done = subprocess.run(
            command, env=child_environment(), capture_output=True, text=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise CheckpointError("The model's graph took too long: try again later.") from error
    if done.returncode:
        said = done.stderr.strip() if done.returncode == REFUSED else ""
        raise CheckpointError(said or "The model's graph for ONNX Runtime could not be made.")
