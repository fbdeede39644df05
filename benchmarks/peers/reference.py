"""A plain loop after torchvision's reference scripts: crops, flips, SGD, two loader processes."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, models, transforms

from benchmarks.peers import clock


def work(folder: Path, what: str, images: int) -> Iterator[int]:
    """Batches of 32."""
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(224),
            transforms.RandomHorizontalFlip(),
            transforms.PILToTensor(),
            transforms.ConvertImageDtype(torch.float),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    dataset = datasets.ImageFolder(str(folder), transform)
    loader = DataLoader(dataset, batch_size=32, shuffle=True, num_workers=2)
    model = models.resnet18(num_classes=3)
    if what == "frozen":
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name.startswith("fc")
    optimizer = torch.optim.SGD(
        (p for p in model.parameters() if p.requires_grad), lr=0.1, momentum=0.9, weight_decay=1e-4
    )
    criterion = nn.CrossEntropyLoss()
    model.train()
    for image, target in itertools.chain.from_iterable(itertools.repeat(loader)):
        loss = criterion(model(image), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield len(image)


if __name__ == "__main__":
    clock.main(work)
