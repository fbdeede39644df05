"""Arguments and result of a peer: ``FOLDER WORK IMAGES`` in, one line of JSON out."""

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

WARM_UP = 3
"""Batches that do not count."""
Work = Callable[[Path, str, int], Iterable[int]]
"""Does the work and yields the number of images after each batch, without an end."""


def main(work: Work) -> None:
    """Run until ``IMAGES`` were counted after the warm-up."""
    folder, what, wanted = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    done, started = 0, 0.0
    for number, images in enumerate(work(folder, what, wanted)):
        if number < WARM_UP:
            started = time.perf_counter()
            continue
        done += images
        if done >= wanted:
            break
    print(json.dumps({"images": done, "seconds": time.perf_counter() - started}))
