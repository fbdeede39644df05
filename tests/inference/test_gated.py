"""A run refuses what is unlike its training images, and knows those again; or says it can not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from covidcore import storage
from covidcore.data.decode import decode
from covidcore.data.phantoms import PhantomSpec
from covidcore.errors import CheckpointError
from covidcore.inference import familiar
from covidcore.inference.gate import NEGATIVE
from covidcore.inference.predictor import Predictor
from tests import hostile
from tests.once import drawn
from tests.runs import SHORT, Trained, trained

RECIPE = replace(SHORT, split="50/40/10")


@pytest.fixture(scope="module")
def finished() -> Trained:
    return trained(drawn(PhantomSpec(images=66, size=96), "phantoms"), RECIPE)


@pytest.fixture(scope="module")
def predictor(finished: Trained) -> Predictor:
    return Predictor.open(finished.folder)


def files(finished: Trained, which: str) -> list[str]:
    split = finished.store.split(finished.run)
    return list(split.loc[split["split"] == which, "file"])


def strict(predictor: Predictor, threshold: float) -> Predictor:
    """The same, with another distance from which on features are too far."""
    assert predictor.known is not None
    features = replace(predictor.known.features, threshold=threshold)
    known = replace(predictor.known, features=features)
    return Predictor(predictor.forward, predictor.contract, known)


def test_a_threshold_from_validation_images_is_stated_in_the_contract(
    finished: Trained, predictor: Predictor
) -> None:
    stated = storage.read_json(finished.folder / "contract.json")["gate"]
    assert predictor.known is not None and predictor.missing == ""
    assert stated["percentile"] == 99
    assert stated["feature_threshold"] == pytest.approx(predictor.known.features.threshold)
    assert stated["images"] == len(files(finished, "train"))


def test_training_images_are_known_and_others_are_answered(
    finished: Trained, predictor: Predictor
) -> None:
    root = finished.dataset.root
    for file in files(finished, "train")[:8]:
        grey = decode(root / file).pixels
        copies = [(root / file).read_bytes(), hostile.saved(grey, "JPEG", quality=70)]
        for answer in predictor.predict([("mine", copy) for copy in copies]):
            assert answer["near_training_image"] == file
    others = predictor.predict((file, root / file) for file in files(finished, "test"))
    assert sum(one["near_training_image"] is not None for one in others) <= 1
    held = predictor.predict((file, root / file) for file in files(finished, "val"))
    assert sum(one["refused"] is None for one in held) >= 0.9 * len(held)


def test_distances_are_those_of_training(finished: Trained, predictor: Predictor) -> None:
    """What training measured on cached features, a prediction measures on the file."""
    assert predictor.known is not None
    root, images = finished.dataset.root, files(finished, "val")
    asked = predictor._ask([decode(root / file).pixels for file in images])
    excess = np.array([one for _, one, _ in asked])
    # The threshold is at least the 99th percentile of these very images.
    assert 0.4 < excess.max() < 1.1


REFUSED = {
    "noise": np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8),
    "steps": np.arange(0, 256, 2).astype(np.uint8)[None].repeat(96, 0),
    "a sign": np.pad(np.zeros((30, 30), np.uint8), 33, constant_values=255),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_radiograph_is_refused(predictor: Predictor, name: str) -> None:
    (answer,) = predictor.predict([(name, hostile.saved(REFUSED[name]))])
    assert answer["answer"] is None and answer["probabilities"] == {}
    assert answer["refused"] in ("not_a_chest_radiograph", "outside_training_data")
    assert answer["reason"].endswith(".")


def test_a_colour_picture_is_refused(finished: Trained, predictor: Predictor) -> None:
    grey = decode(finished.dataset.root / files(finished, "test")[0]).pixels
    tinted = np.dstack([grey, grey // 2, grey // 3])
    (answer,) = predictor.predict([("x", hostile.saved(tinted))])
    assert answer["refused"] == "colour_photo"
    marked = np.dstack([grey] * 3)
    marked[:6, :10] = (255, 0, 0)  # a word in red does not make it one
    (answer,) = predictor.predict([("x", hostile.saved(marked))])
    assert answer["refused"] != "colour_photo"


def test_a_negative_is_refused_until_it_is_turned(finished: Trained, predictor: Predictor) -> None:
    grey = decode(finished.dataset.root / files(finished, "train")[0]).pixels
    negative = ("x", hostile.saved(255 - grey))
    (answer,) = predictor.predict([negative])
    assert (answer["refused"], answer["reason"]) == (NEGATIVE.code, NEGATIVE.reason)
    (turned,) = predictor.predict([negative], invert=True)
    (plain,) = predictor.predict([("x", hostile.saved(grey))])
    assert turned["refused"] is None
    assert turned["probabilities"] == pytest.approx(plain["probabilities"], abs=1e-6)


def test_far_features_are_refused_and_further_ones_are_no_radiograph(
    finished: Trained, predictor: Predictor
) -> None:
    assert predictor.known is not None
    item = [("x", finished.dataset.root / files(finished, "test")[0])]
    ((_, excess, _),) = predictor._ask([decode(item[0][1]).pixels])
    distance = excess * predictor.known.features.threshold
    for share, code in (
        (1.1, None),
        (0.9, "outside_training_data"),
        (0.4, "not_a_chest_radiograph"),
    ):
        (answer,) = strict(predictor, share * distance).predict(item)
        assert answer["refused"] == code
        assert (answer["answer"] is None) == (code is not None)


def test_an_answer_anyway_carries_the_refusal(finished: Trained, predictor: Predictor) -> None:
    asked = strict(predictor, 1.0)
    good = ("good", finished.dataset.root / files(finished, "test")[0])
    items = [
        good,
        ("noise", hostile.saved(REFUSED["noise"])),
        ("text", b"no image at all"),
        ("blank", hostile.saved(np.zeros((64, 64), np.uint8))),
    ]
    refused = asked.predict(items)
    anyway = asked.predict(items, anyway=True)
    assert [one["refused"] for one in anyway] == [one["refused"] for one in refused]
    assert [one["reason"] for one in anyway] == [one["reason"] for one in refused]
    assert all(one["answer"] is None for one in refused)
    assert [one["answer"] is None for one in anyway] == [False, False, True, False]
    (plain,) = predictor.predict([good])
    assert anyway[0]["probabilities"] == pytest.approx(plain["probabilities"], abs=1e-5)


def test_a_run_of_an_earlier_version_opens_and_says_what_is_missing(
    finished: Trained, tmp_path: Path
) -> None:
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    (folder / familiar.FILE).unlink()
    values = storage.read_json(folder / "contract.json")
    del values["gate"], values["golden"]
    (folder / "contract.json").write_text(json.dumps({**values, "format": 1}))
    old = Predictor.open(folder)
    assert "earlier version" in old.missing
    (answer,) = old.predict([("noise", hostile.saved(REFUSED["noise"]))])
    assert answer["refused"] is None and answer["near_training_image"] is None


def test_too_few_validation_images_are_told(phantoms: Path) -> None:
    assert "too few validation images" in Predictor.open(trained(phantoms, SHORT).folder).missing


@pytest.mark.parametrize("harm", ["gone", "cut", "changed", "another"])
def test_a_damaged_gate_is_not_used(finished: Trained, tmp_path: Path, harm: str) -> None:
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    path = folder / familiar.FILE
    data = path.read_bytes()
    if harm == "gone":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(data[:-1])
    elif harm == "changed":
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    else:
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="missing or damaged"):
        Predictor.open(folder)


def test_what_is_stored_comes_back(finished: Trained, predictor: Predictor, tmp_path: Path) -> None:
    known = predictor.known
    assert known is not None
    stated = familiar.save(tmp_path, known)
    again = familiar.load(tmp_path, stated)
    assert again is not None
    assert again.memory.files == known.memory.files == tuple(files(finished, "train"))
    vectors = np.random.default_rng(0).normal(size=(5, known.features.means.shape[1]))
    np.testing.assert_array_equal(again.features.excess(vectors), known.features.excess(vectors))
    assert familiar.save(tmp_path, again) == stated
