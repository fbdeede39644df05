"""PyTorch Lightning: a LightningModule, a Trainer with its defaults, a DataLoader."""

import logging
import os
import queue
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import lightning
import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets

from benchmarks.peers import clock
from benchmarks.peers.notebook import TRANSFORM, network


class Classifier(lightning.LightningModule):
    """ResNet-18."""

    def __init__(self, frozen: bool) -> None:
        super().__init__()
        self.model = network(frozen)

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        """Cross-entropy of a batch."""
        images, labels = batch
        return functional.cross_entropy(self.model(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam((p for p in self.parameters() if p.requires_grad), lr=3e-5)


class Teller(lightning.Callback):
    """Says after each batch how many images it had."""

    def __init__(self) -> None:
        self.told: queue.Queue[int] = queue.Queue()

    def on_train_batch_end(self, trainer, module, outputs, batch, number) -> None:  # type: ignore[no-untyped-def]
        """Count."""
        self.told.put(len(batch[0]))


def work(folder: Path, what: str, images: int) -> Iterator[int]:
    """Batches of 32."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    teller = Teller()
    loader = DataLoader(datasets.ImageFolder(str(folder), TRANSFORM), batch_size=32, shuffle=True)
    trainer = lightning.Trainer(
        max_epochs=1000,
        callbacks=[teller],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        default_root_dir=tempfile.gettempdir(),
    )
    threading.Thread(
        target=trainer.fit, args=(Classifier(what == "frozen"), loader), daemon=True
    ).start()
    while True:
        yield teller.told.get()


if __name__ == "__main__":
    clock.main(work)
    os._exit(0)  # the trainer has no end
