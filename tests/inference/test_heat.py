"""The heat of an upload is Grad-CAM's, for the class asked about, beside a box."""

from pathlib import Path

import numpy as np
import pytest

from covidcore.data.decode import decode
from covidcore.errors import DecodeError
from covidcore.evaluation.stress import attention
from covidcore.inference.forward import Forward
from covidcore.inference.heat import heat_of
from covidcore.inference.predictor import Predictor
from covidcore.model.explain import grad_cam
from covidcore.model.preprocess import preprocess
from tests import hostile
from tests.runs import Trained, trained


@pytest.fixture(scope="module")
def finished(phantoms: Path) -> Trained:
    return trained(phantoms)


@pytest.fixture(scope="module")
def predictor(finished: Trained) -> Predictor:
    return Predictor.open(finished.folder)


def test_heat_is_of_the_class_that_is_asked_about(finished: Trained, predictor: Predictor) -> None:
    file = finished.dataset.root / finished.dataset.index["file"][0]
    said = predictor.predict([("x", file)])[0]
    images = preprocess([decode(file).pixels], predictor.contract.preprocessing)
    assert isinstance(predictor.forward, Forward)
    own = grad_cam(predictor.forward.model, predictor.contract.arch, images)[0]
    for name in predictor.classes:
        heat = heat_of(predictor, file, name)
        assert heat.cells.min() >= 0
        assert heat.area == pytest.approx(0.64, abs=0.08)
        assert np.array_equal(heat.cells, own) == (name == said["answer"]) or not own.any()
        expected = attention(heat.cells[None], heat.box[None], ["x"])["share"]
        assert heat.inside == pytest.approx(expected, nan_ok=True)


def test_a_negative_is_turned_before(finished: Trained, predictor: Predictor) -> None:
    grey = decode(finished.dataset.root / finished.dataset.index["file"][0]).pixels
    name = predictor.classes[0]
    turned = heat_of(predictor, hostile.saved(255 - grey), name, invert=True)
    plain = heat_of(predictor, hostile.saved(grey), name)
    assert np.allclose(turned.cells, plain.cells, atol=1e-5)


def test_what_is_no_image_has_no_heat(predictor: Predictor) -> None:
    with pytest.raises(DecodeError):
        heat_of(predictor, b"no image", predictor.classes[0])
