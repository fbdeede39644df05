"""Which packages ONNX needs beside those of the app, and whether they are here (no torch)."""

import importlib.util

RUNS = ("onnxruntime",)
WRITES = ("onnx", "onnxscript", *RUNS)
"""A file is written by two packages, and asked by the third before it appears."""


def missing(names: tuple[str, ...]) -> str:
    """A sentence on the first of these packages that is not installed; else empty."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            return (
                "ONNX needs packages that nothing else here needs: install them with pip install "
                f"-r requirements-onnx.txt ({name} is missing)."
            )
    return ""
