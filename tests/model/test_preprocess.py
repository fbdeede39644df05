"""The one preprocessing is torchvision's, and a stored description is followed or refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydicom.uid import JPEG2000Lossless
from torchvision import transforms

from covidcore.data.decode import decode
from covidcore.data.index import scan
from covidcore.data.pixels import pixel_array
from covidcore.errors import CheckpointError
from covidcore.model.preprocess import Preprocessing, normalise, preprocess
from covidcore.model.weights import IMAGENET_MEAN, IMAGENET_STD
from tests import dicoms, hostile
from tests.pictures import picture

SPEC = Preprocessing(64, IMAGENET_MEAN, IMAGENET_STD)


def torchvisions(image: np.ndarray) -> torch.Tensor:
    steps = transforms.Compose(
        [
            transforms.Resize((SPEC.image_size, SPEC.image_size)),
            transforms.ToTensor(),
            transforms.Normalize(SPEC.mean, SPEC.std),
        ]
    )
    made: torch.Tensor = steps(Image.fromarray(image).convert("RGB"))
    return made


def test_normalise_is_to_tensor_and_normalize() -> None:
    every_grey = np.arange(64 * 64, dtype=np.uint32).reshape(64, 64).astype(np.uint8)
    made = normalise(torch.from_numpy(every_grey[None]), SPEC)
    assert made.dtype == torch.float32
    assert made.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(made[0], torchvisions(every_grey), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(64, 64), (48, 100), (299, 299), (33, 32)])
def test_preprocess_is_the_usual_torchvision_chain(shape: tuple[int, int]) -> None:
    image = picture(3, *shape)
    made = preprocess([image, image[::-1]], SPEC)
    assert made.shape == (2, 3, 64, 64)
    torch.testing.assert_close(made[0], torchvisions(image), atol=1e-5, rtol=1e-5)


def in_every_format(grey: np.ndarray) -> dict[str, bytes]:
    """One picture by the name of a file."""
    deep = grey.astype(np.uint16) * 16 + 7
    coloured = np.dstack([grey, grey, grey])
    return {
        "grey.png": hostile.saved(grey),
        "rgb.png": hostile.saved(coloured),
        "deep.png": hostile.saved(deep),
        "photo.jpg": hostile.saved(grey, "JPEG", quality=95),
        "lossy.webp": hostile.saved(grey, "WEBP", quality=95),
        "lossless.webp": hostile.saved(grey, "WEBP", lossless=True),
        "plain.bmp": hostile.saved(coloured, "BMP"),
        "plain.tif": hostile.saved(grey, "TIFF", compression="tiff_lzw"),
        "deep.tiff": hostile.saved(deep, "TIFF"),
        "raw.dcm": dicoms.dicom(deep, BitsStored=12),
        "packed.dcm": dicoms.compressed(deep, JPEG2000Lossless, BitsStored=12),
        "negative.dcm": dicoms.dicom(255 - grey, PhotometricInterpretation="MONOCHROME1"),
    }


def test_a_file_is_the_same_tensor_in_training_and_as_an_upload(tmp_path: Path, home: Path) -> None:
    for number, label in enumerate(("a", "b")):
        (tmp_path / "set" / label).mkdir(parents=True)
        for name, data in in_every_format(picture(number, 96, 80)).items():
            (tmp_path / "set" / label / name).write_bytes(data)
    dataset = scan(tmp_path / "set", home)
    assert len(dataset.index) == 2 * 12 and not dataset.unreadable
    trained_on = pixel_array(dataset, SPEC.image_size, home)
    first: dict[str, torch.Tensor] = {}
    for row, file in enumerate(dataset.index["file"]):
        stored = normalise(torch.from_numpy(np.array(trained_on[row : row + 1])), SPEC)
        upload = preprocess([decode((dataset.root / file).read_bytes()).pixels], SPEC)
        assert torch.equal(stored, upload), file
        other = first.setdefault(file[0], upload)
        assert (upload - other).abs().mean() < 0.05, file


def test_the_description_survives_json() -> None:
    stored = json.loads(json.dumps(SPEC.to_json()))
    assert Preprocessing.from_json(stored) == SPEC


@pytest.mark.parametrize(
    "change",
    [
        {"resize": "nearest"},
        {"channels": "rgb"},
        {"mean": [0.5, 0.5]},
        {"mean": None},
        {"mean": ["a", "b", "c"]},
        {"mean": [float("nan"), 0.5, 0.5]},
        {"std": [0.2, 0.2, 0.0]},
        {"image_size": 10**9},
        {"image_size": "64"},
        {"crop": 224},
    ],
    ids=str,
)
def test_a_description_that_can_not_be_followed_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError):
        Preprocessing.from_json({**SPEC.to_json(), **change})


def test_a_description_that_lacks_something_is_refused() -> None:
    stored = SPEC.to_json()
    del stored["std"]
    with pytest.raises(CheckpointError):
        Preprocessing.from_json(stored)
