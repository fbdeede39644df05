"""Training images and their copies are known again; other images are not taken for them."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from covidcore.data import duplicates
from covidcore.data.known import NOTHING, KnownImages, look_hashes
from covidcore.data.phantoms import PhantomSpec, draw
from covidcore.data.pixels import resize
from covidcore.inference.hashed import Hashed
from covidcore.inference.memory import Memory, thumbnail

COUNT, SIDE = 30, 224
SPEC = PhantomSpec(size=128)


def phantom(number: int) -> np.ndarray:
    label = SPEC.classes[number % 3]
    return draw(SPEC, label, number, number, SPEC.sources[number % 2], False)[0]


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return [phantom(number) for number in range(COUNT)]


@pytest.fixture(scope="module", params=["thumbnails", "hashes"])
def memory(request: pytest.FixtureRequest, images: list[np.ndarray]) -> Memory | Hashed:
    names = tuple(f"{number}.png" for number in range(COUNT))
    if request.param == "thumbnails":
        return Memory(names, np.stack([thumbnail(resize(image, SIDE)) for image in images]))
    small = b"".join(duplicates.thumbnail(image) for image in images)
    levels = np.frombuffer(small, np.uint8).reshape(COUNT, 16, 16)
    return Hashed(KnownImages(names, look_hashes(levels)))


def jpeg(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=50)
    return np.asarray(Image.open(file))


def smaller(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((100, 75), Image.Resampling.BICUBIC))


def brighter(image: np.ndarray) -> np.ndarray:
    return np.clip(image * 1.1 + 8.0, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda image: image,
    "JPEG": jpeg,
    "size": smaller,
    "exposure": brighter,
    "one border cut": lambda image: image[:, :122],
    "two borders cut": lambda image: image[3:, 6:],
    "all borders cut": lambda image: image[6:-6, 3:-6],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_copies_are_known_by_name(
    memory: Memory | Hashed, images: list[np.ndarray], change: Callable[[np.ndarray], np.ndarray]
) -> None:
    found = [memory.find(resize(np.ascontiguousarray(change(image)), SIDE)) for image in images]
    named = sum(name == f"{number}.png" for number, name in enumerate(found))
    assert named >= 0.9 * COUNT, found


def test_other_images_are_not_known(memory: Memory | Hashed) -> None:
    found = [memory.find(resize(phantom(number), SIDE)) for number in range(100, 100 + COUNT)]
    assert found.count(None) >= 0.9 * COUNT, found
    assert memory.find(np.full((SIDE, SIDE), 9, np.uint8)) is None


def test_an_image_itself_is_certain(memory: Memory | Hashed, images: list[np.ndarray]) -> None:
    likeness, number = memory.closest(resize(images[7], SIDE))
    assert number == 7
    if isinstance(memory, Memory):
        assert round(likeness, 5) == 1.0
    else:
        assert likeness <= 8  # bits of 480: the hash is of the file, the question of its square


def test_nothing_is_like_nothing() -> None:
    assert Memory((), np.zeros((0, 32, 32), np.uint8)).find(resize(phantom(0), SIDE)) is None
    assert Hashed(NOTHING).find(resize(phantom(0), SIDE)) is None
