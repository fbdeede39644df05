"""Small pictures keep the shape of what they show; heat is laid where it is."""

import base64
import io

import numpy as np
from PIL import Image

from covidcore.data.lungs import central_box
from covidcore.inference import pictures
from tests.pictures import picture


def test_a_preview_keeps_the_shape() -> None:
    large = picture(1, 1200, 600)
    assert pictures.reduced(large).shape == (448, 224)
    small = picture(1, 40, 30)
    assert pictures.reduced(small) is small
    assert pictures.reduced(picture(1, 2000, 3), 100).shape == (100, 1)


def test_a_preview_comes_back_nearly_as_it_was() -> None:
    grey = picture(2, 96)
    back = pictures.from_jpeg(pictures.as_jpeg(grey))
    assert back.shape == grey.shape
    assert np.abs(back.astype(int) - grey).mean() < 4


def test_a_thumbnail_holds_itself() -> None:
    kind, _, text = pictures.data_uri(picture(3, 300, 200)).partition(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        assert image.size == (48, 72)


def test_heat_is_where_the_map_is() -> None:
    grey = np.full((80, 40), 100, np.uint8)
    cells = np.zeros((4, 4), np.float32)
    cells[0, 0] = 3.0
    mixed = pictures.heated(grey, cells, central_box(20)).astype(int)
    assert mixed.shape == (80, 40, 3)
    hot, cold = mixed[2, 2], mixed[70, 1]
    assert hot[0] - hot[2] > 60  # vermilion
    assert cold.tolist() == [100, 100, 100]
    assert (mixed == pictures.BOX).all(axis=2).sum() > 80  # the border of the box is drawn
    assert tuple(mixed[8, 20]) == pictures.BOX  # at a tenth of the height
    assert tuple(mixed[40, 20]) == (100, 100, 100)  # not within


def test_no_heat_leaves_the_picture() -> None:
    grey = picture(4, 64)
    nothing = pictures.heated(grey, np.zeros((7, 7), np.float32), np.zeros((8, 8), bool))
    assert (nothing == grey[..., np.newaxis]).all()
