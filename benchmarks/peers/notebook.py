"""The write-up's notebook: ImageFolder, DataLoader, ResNet-18, Adam at 3e-5, single precision."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, models, transforms

from benchmarks.peers import clock

TRANSFORM = transforms.Compose(
    [
        transforms.Resize((224, 224)),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)


def network(frozen: bool) -> nn.Module:
    """ResNet-18 with three outputs."""
    model: nn.Module = models.resnet18()
    if frozen:
        for parameter in model.parameters():
            parameter.requires_grad = False
    model.fc = nn.Linear(512, 3)
    return model


def work(folder: Path, what: str, images: int) -> Iterator[int]:
    """Batches of 32 in training; in prediction one file after the other."""
    if what == "predict":
        yield from predict(folder)
    loader = DataLoader(datasets.ImageFolder(str(folder), TRANSFORM), batch_size=32, shuffle=True)
    model = network(what == "frozen")
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=3e-5)
    model.train()
    running_loss, corrects = 0.0, 0
    for inputs, labels in itertools.chain.from_iterable(itertools.repeat(loader)):
        optimizer.zero_grad()
        outputs = model(inputs)
        _, preds = torch.max(outputs, 1)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * inputs.size(0)
        corrects += int(torch.sum(preds == labels))
        yield len(inputs)


@torch.no_grad()
def predict(folder: Path) -> Iterator[int]:
    """Open, transform, ask."""
    model = network(False).eval()
    for path in itertools.cycle(sorted(folder.rglob("*.png"))):
        image = Image.open(path).convert("RGB")
        torch.softmax(model(TRANSFORM(image).unsqueeze(0)), dim=1).argmax().item()
        yield 1


if __name__ == "__main__":
    clock.main(work)
