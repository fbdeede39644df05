"""How long the figures of a run take: ``python -m benchmarks.figures [IMAGES...]``.

Made-up predictions of four classes (5,000 images of 4,500 patients, unless told), one thread.
Prints one JSON document to standard output and a Markdown table to standard error.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.tables import print_seconds
from covidcore.evaluation import compare, curves, operating, predictions, subgroups
from covidcore.evaluation.operating import OperatingPoint

CLASSES = ("COVID-19", "Lung Opacity", "NORMAL", "Viral Pneumonia")
_TIMES = 5


def main(counts: list[int]) -> None:
    """Measure each figure on tables of so many rows."""
    measured = {count: measure(count) for count in counts}
    print(json.dumps({"benchmark": "figures", "processors": os.cpu_count(), "seconds": measured}))
    print_seconds([f"{count:,} images" for count in counts], list(measured.values()))


def table_of(images: int, seed: int) -> pd.DataFrame:
    """Predictions that are right nine times of ten; validation images as many as test images."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0).integers(0, 4, 2 * images)
    rows = pd.DataFrame(
        {
            "file": [f"{at}.png" for at in range(2 * images)],
            "split": np.repeat(["test", "val"], images),
            "label": np.asarray(CLASSES)[truth],
            "source": [f"s{at % 7}" for at in range(2 * images)],
            "group": [f"p{at * 9 // 10}" for at in range(2 * images)],
        }
    )
    logits = rng.normal(0, 1, (2 * images, 4)) + 2.6 * np.eye(4)[truth]
    return predictions.build(rows, logits, CLASSES)


def measure(images: int) -> dict[str, tuple[float, float]]:
    """Median seconds of each figure."""
    one, other = table_of(images, 1), table_of(images, 2)
    test = one[one["split"] == "test"]
    _, truth = predictions.arrays(one, CLASSES)
    shares, groups = operating.probabilities(test, CLASSES), test["group"].tolist()
    sources = test.set_index("file")["source"]
    point = OperatingPoint({"COVID-19": 0.3}, "COVID-19", 0.05, 10)
    matrix = np.array(predictions.evaluate(one, CLASSES, run="", dataset="")["confusion"])
    return {
        "evaluate: all figures": timed(
            lambda: predictions.evaluate(one, CLASSES, run="", dataset="")
        ),
        "curves with bands": timed(lambda: curves.curves(shares, truth, groups)),
        "operating point": timed(
            lambda: (operating.applied(one, CLASSES, point), operating.screening(matrix, 0, 0.05))
        ),
        "cheapest threshold": timed(lambda: operating.cheapest(one, CLASSES, point)),
        "compare two runs": timed(lambda: compare.compare({"a": one, "b": other}, CLASSES)),
        "subgroups of 7": timed(lambda: subgroups.by(test, sources, CLASSES)),
    }


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Median wall time and processor time of some repetitions, after one that does not count."""
    work()
    walls, processors = [], []
    for _ in range(_TIMES):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return statistics.median(walls), statistics.median(processors)


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or [581, 5000])
