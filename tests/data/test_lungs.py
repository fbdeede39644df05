"""Where the lungs of an image are: by its mask, or a box that holds them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covidcore.data import lungs
from covidcore.data.index import Dataset, scan
from covidcore.data.phantoms import PhantomSpec, draw
from tests.conftest import MakeDataset
from tests.hostile import saved


@pytest.fixture
def masked(make_dataset: MakeDataset, home: Path) -> Dataset:
    """Four images with masks, of which one is empty and one is damaged; four without."""
    root = make_dataset({"a": 4}, inner="images", masks=True)
    make_dataset({"b": 4})
    whole = np.zeros((100, 100), np.uint8)
    whole[20:60, 50:80] = 255
    for number, data in enumerate((whole, whole.T, whole * 0), 1):
        (root / "a" / "masks" / f"a-{number}.png").write_bytes(saved(data))
    (root / "a" / "masks" / "a-4.png").write_bytes(b"no image")
    return scan(root, home)


def test_masks_where_there_are_some_else_the_box(masked: Dataset) -> None:
    found = lungs.lungs_of(masked, range(8), 50)
    assert found.areas.shape == (8, 50, 50)
    assert found.masked.tolist() == [True, True] + [False] * 6
    inside = np.zeros((50, 50), dtype=bool)
    inside[10:30, 25:40] = True
    # The border pixels that hold a little lung are lung, and no others.
    assert found.areas[0][inside].all()
    assert found.areas[0].sum() <= 22 * 17
    assert (found.areas[1] == found.areas[0].T).all()
    for area in found.areas[2:]:
        assert (area == lungs.central_box(50)).all()


def test_no_images_are_no_lungs(masked: Dataset) -> None:
    assert lungs.lungs_of(masked, [], 32).areas.shape == (0, 32, 32)


def test_the_box_holds_nearly_all_of_the_lungs_of_a_phantom() -> None:
    spec = PhantomSpec(images=12, size=64)
    masks = [draw(spec, "NORMAL", at, at, "Hospital A", cue=False)[1] for at in range(12)]
    box = lungs.central_box(64)
    assert 0.6 < box.mean() < 0.7
    assert all((mask & box).sum() > 0.9 * mask.sum() for mask in masks)


def test_out_and_only_are_black_where_they_say() -> None:
    squares = np.full((2, 4, 4), 9, np.uint8)
    areas = np.zeros((2, 4, 4), dtype=bool)
    areas[0, :2] = areas[1, :, :1] = True
    out, only = lungs.without(squares, areas), lungs.only(squares, areas)
    assert (out + only == squares).all() and out.dtype == np.uint8
    assert (out[areas] == 0).all() and (out[~areas] == 9).all()
    assert (only[areas] == 9).all()


def test_a_mask_is_brought_to_the_square_as_its_image_is(make_dataset, home: Path) -> None:
    """Also where it is of another size and shape than the image."""
    root = make_dataset({"a": 4, "b": 4}, inner="images", masks=True)
    wide = np.zeros((40, 80), np.uint8)
    wide[:, 40:] = 255
    Image.fromarray(wide).save(root / "a" / "masks" / "a-1.png")
    area = lungs.lungs_of(scan(root, home), [0], 40).areas[0]
    assert area[:, 20:].all() and not area[:, :19].any()
