"""The model that comes with the project is what its card says, and answers offline."""

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from covidcore.config import Settings
from covidcore.data import known
from covidcore.data.hashes import dhash
from covidcore.data.phantoms import PhantomSpec, draw
from covidcore.inference.predictor import Predictor
from covidcore.jobs.models import PARTS
from covidcore.jobs.store import RunStore
from covidcore.model.weights import SHIPPED, known_images, resolve
from covidcore.wording import percent
from tests.hostile import saved

MOST_BYTES = 25_000_000
CARD = Path(__file__).parent.parent / "docs" / "model-card.md"
CLASSES = ["COVID-19", "NORMAL", "Viral Pneumonia"]


@pytest.fixture(scope="module")
def contract() -> dict:
    return json.loads((SHIPPED / "contract.json").read_text())


def test_it_is_small_and_whole() -> None:
    assert {path.name for path in SHIPPED.iterdir()} == set(PARTS)
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= MOST_BYTES


def test_no_picture_goes_along() -> None:
    assert "thumbnails" not in load_file(SHIPPED / "familiar.safetensors")
    images = known.load(SHIPPED, json.loads((SHIPPED / "contract.json").read_text())["known"])
    assert images.hashes.shape == (len(images), known.BITS // 8)
    assert len(images) > 8000


def test_it_answers_or_says_why_not(settings: Settings) -> None:
    store = RunStore(settings)
    predictor = Predictor.open(store.path(store.find("shipped")))
    assert list(predictor.classes) == CLASSES
    spec = PhantomSpec(size=256)
    chest = draw(spec, spec.classes[0], 1, 1, spec.sources[0], False)[0]
    assert dhash(chest)
    said, text = predictor.predict([("chest", saved(chest)), ("text", b"no image")], anyway=True)
    assert said["answer"] in CLASSES
    assert sum(said["probabilities"].values()) == pytest.approx(1)
    assert text["refused"] == "unreadable" or text["refused"] == "unsupported_format"


def test_training_starts_from_it(settings: Settings, contract: dict) -> None:
    weights = resolve("radiographs", "resnet18", settings)
    assert weights.path == str(SHIPPED / "best.safetensors")
    assert weights.mean == (0.5, 0.5, 0.5)
    assert len(known_images(weights)) == contract["known"]["images"]


def test_the_card_says_what_the_contract_says(contract: dict) -> None:
    card, figures = CARD.read_text(), contract["figures"]
    low, high = (100 * end for end in figures["accuracy_ci"])
    said = f"{percent(figures['accuracy'])} ({low:.1f}-{high:.1f}) of {figures['n']:,}"
    assert said in card
    for name, one in figures["per_class"].items():
        assert f"| {name} | {percent(one['recall'])}" in card
    assert f"logits / {contract['temperature']:.3f}" in card
    assert f"{contract['known']['images']:,} images" in card
