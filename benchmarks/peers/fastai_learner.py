"""fastai: ``ImageDataLoaders.from_folder`` and ``vision_learner``, as its book begins."""

import itertools
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

from fastai.vision.all import (
    Callback,
    ImageDataLoaders,
    Resize,
    accuracy,
    resnet18,
    vision_learner,
)

from benchmarks.peers import clock


class Teller(Callback):  # type: ignore[misc]
    """Says after each batch how many images it had."""

    def __init__(self) -> None:
        self.told: queue.Queue[int] = queue.Queue()

    def after_batch(self) -> None:
        """Count."""
        if self.training:
            self.told.put(len(self.x))


def work(folder: Path, what: str, images: int) -> Iterator[int]:
    """Batches of 32; two loader processes."""
    loaders = ImageDataLoaders.from_folder(
        folder, valid_pct=0.2, seed=0, item_tfms=Resize(224), bs=32, num_workers=2
    )
    teller = Teller()
    learner = vision_learner(loaders, resnet18, metrics=accuracy, pretrained=False, cbs=teller)
    if what == "frozen":
        learner.freeze()
    else:
        learner.unfreeze()

    def fit() -> None:
        with learner.no_bar(), learner.no_logging():
            for _ in itertools.count():
                learner.fit_one_cycle(1)

    threading.Thread(target=fit, daemon=True).start()
    while True:
        yield teller.told.get()


if __name__ == "__main__":
    clock.main(work)
    os._exit(0)  # the learner has no end
