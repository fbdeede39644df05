"""A finished run answers about files, or says why not; and as it did in its evaluation."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydicom.uid import JPEG2000Lossless

from covidcore.data.decode import decode
from covidcore.data.pixels import pixel_array
from covidcore.errors import CheckpointError, DataError
from covidcore.evaluation.operating import OperatingPoint
from covidcore.inference.predictor import Predictor
from covidcore.model.preprocess import normalise, preprocess
from tests import dicoms, hostile
from tests.pictures import picture
from tests.runs import Trained, trained

KEYS = [
    *("file", "answer", "refused", "reason", "probabilities", "warnings"),
    *("near_training_image", "milliseconds"),
]
REFUSED: dict[str, tuple[bytes, str]] = {
    "text.png": (b"this is no image", "unsupported_format"),
    "empty.png": (b"", "unreadable"),
    "cut.png": (hostile.saved(picture(1))[:200], "unreadable"),
    "dot.png": (hostile.saved(picture(1, 1, 1)), "too_small"),
    "black.png": (hostile.saved(np.zeros((64, 64), dtype=np.uint8)), "blank"),
    "wide.png": (hostile.declaring(60_000, 60_000), "too_many_pixels"),
    "long.png": (hostile.declaring(20_000, 64), "too_many_pixels"),
    "page.gif": (b"GIF89a" + bytes(100), "unsupported_format"),
}


@pytest.fixture(scope="module")
def finished(phantoms: Path) -> Trained:
    return trained(phantoms)


@pytest.fixture(scope="module")
def predictor(finished: Trained) -> Predictor:
    return Predictor.open(finished.folder)


def test_good_files_are_answered(finished: Trained, predictor: Predictor) -> None:
    files = list(finished.dataset.index["file"])[:5]
    answers = predictor.predict((file, finished.dataset.root / file) for file in files)
    assert [answer["file"] for answer in answers] == files
    for answer in answers:
        assert list(answer) == KEYS
        assert (answer["refused"], answer["reason"]) == (None, None)
        assert tuple(answer["probabilities"]) == predictor.classes == finished.dataset.classes
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-9)
        assert answer["answer"] == max(predictor.classes, key=answer["probabilities"].__getitem__)
        assert answer["milliseconds"] > 0


def test_the_same_picture_in_every_format_gets_the_same_answer(
    finished: Trained, predictor: Predictor
) -> None:
    for file in list(finished.dataset.index["file"])[::7]:
        grey = decode(finished.dataset.root / file).pixels
        fine = grey.astype(np.uint16) * 16 + 7
        wide = {"BitsStored": 12, "WindowCenter": "2048", "WindowWidth": "4096"}
        formats = {
            "png": hostile.saved(grey),
            "16-bit png": hostile.sixteen_bit_png(fine[..., np.newaxis]),
            "jpeg": hostile.saved(grey, "JPEG", quality=95),
            "dicom": dicoms.dicom(grey),
            "dicom of 12 bits": dicoms.dicom(fine, BitsStored=12),
            "dicom with a window": dicoms.dicom(fine, **wide),
            "negative": dicoms.dicom(255 - grey, PhotometricInterpretation="MONOCHROME1"),
            "compressed": dicoms.compressed(fine, JPEG2000Lossless, BitsStored=12),
        }
        first, *others = predictor.predict(formats.items())
        for other in others:
            assert other["answer"] == first["answer"], other["file"]
            for name, chance in first["probabilities"].items():
                assert abs(other["probabilities"][name] - chance) < 0.02, other["file"]


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("on_disk", [True, False])
def test_what_is_no_radiograph_is_refused_with_its_reason(
    predictor: Predictor, tmp_path: Path, name: str, on_disk: bool
) -> None:
    data, code = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    (answer,) = predictor.predict([(name, tmp_path / name if on_disk else data)])
    assert list(answer) == KEYS
    assert (answer["file"], answer["answer"], answer["refused"]) == (name, None, code)
    assert answer["reason"].endswith(".")
    assert "\n" not in answer["reason"]
    assert answer["probabilities"] == {}


def test_a_file_that_is_not_there_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.png", tmp_path):
        (answer,) = predictor.predict([("x", path)])
        assert answer["refused"] == "unreadable"


def test_order_is_kept_among_answers_and_refusals(finished: Trained, predictor: Predictor) -> None:
    """More files than a batch holds, good and bad ones in turn, each answered as it is alone."""
    good = list(finished.dataset.index["file"])
    bad = list(REFUSED)
    items: list[tuple[str, Path | bytes]] = []
    for number, file in enumerate(good):
        items.append((file, finished.dataset.root / file))
        items.append((bad[number % len(bad)], REFUSED[bad[number % len(bad)]][0]))
    answers = predictor.predict(items)
    assert [answer["file"] for answer in answers] == [name for name, _ in items]
    assert [answer["refused"] for answer in answers[1::2]] == [
        REFUSED[name][1] for name, _ in items[1::2]
    ]
    for number in (0, 20, len(items) - 2):
        (alone,) = predictor.predict([items[number]])
        assert alone["answer"] == answers[number]["answer"]
        assert answers[number]["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)


def test_training_and_upload_see_the_same_tensor(finished: Trained, predictor: Predictor) -> None:
    spec = predictor.contract.preprocessing
    pixels = pixel_array(finished.dataset, spec.image_size, finished.settings.home)
    for row in (0, 17, 35):
        file = finished.dataset.root / finished.dataset.index["file"].iloc[row]
        trained_on = normalise(torch.from_numpy(np.array(pixels[row : row + 1])), spec)
        for source in (file, file.read_bytes()):
            assert torch.equal(preprocess([decode(source).pixels], spec), trained_on)


def test_answers_are_those_of_the_evaluation(finished: Trained, predictor: Predictor) -> None:
    table = finished.store.predictions(finished.run)
    table = table[table["split"] == "test"]
    answers = predictor.predict((file, finished.dataset.root / file) for file in table["file"])
    spread = max(table[f"p:{name}"].std() for name in predictor.classes)
    assert spread > 0.005  # or the comparison would say nothing
    for answer, row in zip(answers, table.to_dict("records"), strict=True):
        stored = {name: row[f"p:{name}"] for name in predictor.classes}
        # Not exact, for training kept activations in 16 bits.
        assert answer["probabilities"] == pytest.approx(stored, abs=min(0.02, spread / 10))
        if max(stored.values()) - sorted(stored.values())[-2] > spread / 5:
            assert answer["answer"] == row["predicted"]


def test_probabilities_are_calibrated(predictor: Predictor) -> None:
    warmer = replace(predictor.contract, temperature=2 * predictor.contract.temperature)
    images = [picture(seed) for seed in range(3)]
    sharp = predictor.probabilities(images)
    expected = np.sqrt(sharp) / np.sqrt(sharp).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Predictor(predictor.forward, warmer).probabilities(images), expected)
    assert np.abs(sharp - expected).max() > 1e-3


def test_many_threads_get_the_answers_of_one(finished: Trained, predictor: Predictor) -> None:
    items = [(file, finished.dataset.root / file) for file in finished.dataset.index["file"][:6]]
    expected = [answer["probabilities"] for answer in predictor.predict(items)]
    found: list[list[dict[str, float]]] = []

    def ask() -> None:
        found.append([answer["probabilities"] for answer in predictor.predict(items)])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [expected] * 4


def test_nothing_asked_is_nothing_answered(predictor: Predictor) -> None:
    assert predictor.predict([]) == []
    assert predictor.probabilities([]).shape == (0, 3)


def test_a_damaged_run_can_not_be_opened(finished: Trained, tmp_path: Path) -> None:
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    (folder / "contract.json").write_text("{}")
    with pytest.raises(CheckpointError):
        Predictor.open(folder)
    with pytest.raises(CheckpointError, match="no usable model"):
        Predictor.open(tmp_path / "nowhere")


def test_thresholds_decide_and_say_so(finished: Trained, predictor: Predictor) -> None:
    file = finished.dataset.root / finished.dataset.index["file"].iloc[0]
    (plain,) = predictor.predict([("a", file)])
    first, second, _ = sorted(predictor.classes, key=plain["probabilities"].__getitem__)[::-1]
    assert plain["answer"] == first and plain["warnings"] == []
    low = OperatingPoint({second: plain["probabilities"][second] / 2})
    (moved,) = predictor.predict([("a", file)], low)
    assert moved["answer"] == second
    assert f"The most probable class is {first}" in moved["warnings"][0]
    assert f"{second} is answered from" in moved["warnings"][0]
    (strict,) = predictor.predict([("a", file)], OperatingPoint({first: 1.0}))
    assert strict["answer"] == second and "does not reach its threshold" in strict["warnings"][0]
    assert moved["probabilities"] == strict["probabilities"] == plain["probabilities"]
    (same,) = predictor.predict([("a", file)], OperatingPoint({first: 0.01}))
    assert same["answer"] == first and same["warnings"] == []
    with pytest.raises(DataError, match="'cat' is not one of"):
        predictor.predict([("a", file)], OperatingPoint({"cat": 0.5}))
