"""One prediction, with the model loaded, on one thread as the server computes."""

import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from covidcore.data.pixels import resize
from covidcore.inference.predictor import Predictor
from covidcore.model import checkpoint
from covidcore.model.preprocess import preprocess
from covidcore.model.weights import SHIPPED

_TIMES = 60


def single(folder: Path, home: Path) -> dict[str, float]:
    """Median milliseconds in turns: ours, and decoding with Pillow and a bare forward pass."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    predictor = Predictor.open(SHIPPED, home)
    model, contract = checkpoint.load(SHIPPED)

    def ours(path: Path) -> None:
        predictor.predict([(path.name, path)])

    def bare(path: Path) -> None:
        pixels = np.asarray(Image.open(path).convert("L"))
        batch = preprocess([resize(pixels, 224)], contract.preprocessing)
        with torch.inference_mode():
            model(batch)

    works: dict[str, Callable[[Path], None]] = {"ours": ours, "bare": bare}
    found: dict[str, list[float]] = {name: [] for name in works}
    for path in itertools.islice(sorted(folder.rglob("*.png")), _TIMES):
        for name, do in works.items():
            started = time.perf_counter()
            do(path)
            found[name].append(1000 * (time.perf_counter() - started))
    torch.set_num_threads(threads)
    return {name: statistics.median(values[3:]) for name, values in found.items()}
