"""ONNX Runtime in torch's place: the same answers and refusals, from a process without torch."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covidcore import storage
from covidcore.errors import CheckpointError, CovidcoreError
from covidcore.inference import onnx_forward, onnx_process
from covidcore.inference.forward import Forward
from covidcore.inference.heat import heat_of
from covidcore.inference.onnx_forward import FILE, NO_HEAT, OnnxForward, note
from covidcore.inference.predictor import BATCH, Predictor
from covidcore.model import checkpoint, onnx_file, onnx_packages
from covidcore.model.checkpoint import Contract
from covidcore.model.network import build
from covidcore.model.preprocess import Preprocessing
from tests import hostile
from tests.conftest import ROOT
from tests.pictures import picture
from tests.runs import SHORT, Trained, trained

needs_onnx = pytest.mark.skipif(
    bool(onnx_packages.missing(onnx_packages.WRITES)), reason="needs requirements-onnx.txt"
)
Patch = pytest.MonkeyPatch
Many = list[dict[str, Any]]


@pytest.fixture(scope="module")
def finished(phantoms: Path) -> Trained:
    return trained(phantoms, SHORT)


@pytest.fixture(scope="module")
def files(finished: Trained, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """More than a batch: radiographs, and what is refused by each look of the gate."""
    folder = tmp_path_factory.mktemp("files")
    noise = np.random.default_rng(0).integers(0, 255, (96, 96), np.uint8)
    others = {
        "black.png": hostile.saved(np.zeros((64, 64), np.uint8)),
        "colour.png": hostile.saved(np.dstack([picture(1), picture(2), picture(3)])),
        "noise.png": hostile.saved(noise),
        "negative.png": hostile.saved(255 - picture(4)),
        "text.png": b"this is no image",
    }
    for name, data in others.items():
        (folder / name).write_bytes(data)
    radiographs = [finished.dataset.root / file for file in finished.dataset.index["file"]]
    return [*radiographs, *(folder / name for name in others)]


@pytest.fixture(scope="module")
def home(finished: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(finished.settings.home, tmp_path_factory.mktemp("onnx") / "home")


@pytest.fixture(scope="module")
def said(finished: Trained, home: Path, files: list[Path]) -> tuple[Many, str]:
    """What the shell answers, by a graph that it has to make first; and what it has imported."""
    words = ["predict", finished.run, "--anyway", "--json", *map(str, files)]
    code = (
        "import sys\n"
        "from covidcore.cli import main\n"
        f"status = main({words!r})\n"
        "print('torch' in sys.modules, 'onnxruntime' in sys.modules, file=sys.stderr)\n"
        "sys.exit(status)\n"
    )
    names = {"COVIDCORE_HOME": str(home), "COVIDCORE_BACKEND": "onnx", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | names, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr.splitlines()[-1]


@pytest.fixture
def folder(finished: Trained, home: Path, said: object, tmp_path: Path) -> Path:
    """A run's folder with its graph, to be changed."""
    return shutil.copytree(home / "runs" / finished.run, tmp_path / "run")


@needs_onnx
def test_the_process_that_answers_never_imports_torch(said: tuple[Many, str]) -> None:
    assert said[1] == "False True"


@needs_onnx
def test_answers_and_refusals_are_those_of_torch(
    finished: Trained, files: list[Path], said: tuple[Many, str]
) -> None:
    by_torch = Predictor.open(finished.folder).predict(
        ((str(file), file) for file in files), anyway=True
    )
    assert len(said[0]) == len(by_torch) > BATCH
    assert {one["refused"] for one in by_torch} >= {"blank", "colour_photo", "unsupported_format"}
    spread = np.ptp([list(one["probabilities"].values()) for one in by_torch[:-1]], axis=0)
    assert spread.min() > 0.01  # or the comparison would say nothing
    for found, wanted in zip(said[0], by_torch, strict=True):
        changes = {"milliseconds": 0, "probabilities": 0}
        assert found | changes == wanted | changes
        assert found["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-5)


@needs_onnx
def test_the_graph_normalises_and_gives_features_as_torch_does(folder: Path) -> None:
    """Every grey there is, in batches of several sizes; also what the gate and neighbours use."""
    by_torch, _ = Forward.open(folder)
    by_onnx, contract = OnnxForward.open(folder)
    side = contract.preprocessing.image_size
    greys = np.arange(5 * side * side, dtype=np.uint32).reshape(5, side, side).astype(np.uint8)
    for squares in (greys, greys[:1], np.full_like(greys[:2], 255)):
        for found, wanted in zip(by_onnx(squares), by_torch(squares), strict=True):
            assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
            np.testing.assert_allclose(found, wanted, atol=1e-4)


@needs_onnx
def test_threads_answer_the_same_in_the_same_order(folder: Path, files: list[Path]) -> None:
    one, three = (
        Predictor.open(folder, threads=threads, backend="onnx").predict(
            (file.name, file) for file in files
        )
        for threads in (1, 3)
    )
    for left, right in zip(one, three, strict=True):
        assert left | {"milliseconds": 0} == right | {"milliseconds": 0}


def flipped(folder: Path) -> None:
    data = bytearray((folder / FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / FILE).write_bytes(data)


def noted(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        storage.write_json(note(folder), {**storage.read_json(note(folder)), **values})

    return change


def no_graph_at_all(folder: Path) -> None:
    (folder / FILE).write_bytes(b"graph")
    noted(sha256=storage.sha256_bytes(b"graph"))(folder)


def of_other_answers(folder: Path) -> None:
    """A contract whose golden inputs are answered otherwise, of the very same tensors."""
    contract = storage.read_json(folder / checkpoint.CONTRACT)
    for one in contract["golden"]:
        one["logits"] = {name: value + 0.01 for name, value in one["logits"].items()}
    storage.write_json(folder / checkpoint.CONTRACT, contract)


@needs_onnx
@pytest.mark.parametrize(
    "damage",
    [
        flipped,
        no_graph_at_all,
        of_other_answers,
        noted(checkpoint="another"),
        noted(format=0),
        lambda folder: (folder / FILE).unlink(),
        lambda folder: note(folder).write_text("{"),
    ],
)
def test_a_graph_that_is_damaged_or_anothers_is_made_anew(
    folder: Path, tmp_path: Path, monkeypatch: Patch, damage: Callable[[Path], None]
) -> None:
    whole, made = shutil.copytree(folder, tmp_path / "whole"), []

    def make(asked: Path) -> None:
        made.append(asked)
        shutil.copytree(whole, asked, dirs_exist_ok=True)

    monkeypatch.setattr(onnx_forward, "_make", make)
    OnnxForward.open(folder)
    assert made == []
    damage(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_forward, "_make", made.append)  # which makes nothing
        with pytest.raises(CheckpointError, match="can not be used: remove it"):
            OnnxForward.open(folder)
    if damage is not of_other_answers:  # there the contract is what changed
        OnnxForward.open(folder)
        assert made == [folder, folder]
        OnnxForward.open(folder)
        assert made == [folder, folder]


@needs_onnx
def test_a_graph_that_says_something_else_never_appears(
    folder: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    contract = checkpoint.read_contract(folder)[0]
    other = build(contract.arch, len(contract.classes), seed=9)
    checkpoint.save(tmp_path / "other", other, contract)
    graph = (folder / FILE).read_bytes()
    monkeypatch.setattr(onnx_file, "graph", lambda *_: graph)
    with pytest.raises(CheckpointError, match="does not say to the golden inputs what torch says"):
        onnx_process.write(tmp_path / "other")
    assert not (tmp_path / "other" / FILE).exists()
    assert not note(tmp_path / "other").exists()


def test_the_words_of_the_process_that_could_not_make_it(
    tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[1:3] == ["-m", onnx_process.__name__]
        return subprocess.CompletedProcess(
            command, status(*command[3:]), "", capsys.readouterr()[1]
        )

    monkeypatch.setattr(onnx_packages, "missing", lambda names: "")
    monkeypatch.setattr(subprocess, "run", run)
    spec = Preprocessing(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    checkpoint.save(tmp_path, build("resnet18", 2), Contract("resnet18", ("a", "b"), spec, 1.0))
    (tmp_path / checkpoint.TENSORS).write_bytes(b"damaged")
    status = onnx_process.main
    with pytest.raises(
        CheckpointError, match=r"best\.safetensors is damaged: train this run again"
    ):
        OnnxForward.open(tmp_path)
    status = lambda folder: sys.stderr.write("Traceback") and 1  # noqa: E731
    with pytest.raises(CheckpointError, match=r"^The model's graph for ONNX Runtime could not be"):
        OnnxForward.open(tmp_path)


def test_a_folder_that_can_not_be_written_to(finished: Trained, monkeypatch: Patch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(onnx_packages, "missing", lambda names: "")
    monkeypatch.setattr(onnx_forward, "FileLock", refuse)
    with pytest.raises(CheckpointError, match=r"can not be written to: Permission denied\.$"):
        OnnxForward.open(finished.folder)


@pytest.mark.parametrize("name", onnx_packages.WRITES)
def test_what_has_to_be_installed_is_said(finished: Trained, monkeypatch: Patch, name: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None if asked == name else 1)
    with pytest.raises(CheckpointError, match=rf"requirements-onnx\.txt \({name} is missing\)"):
        Predictor.open(finished.folder, backend="onnx")


def test_no_heat_without_gradients(finished: Trained) -> None:
    class Other:
        def __call__(self, squares: Any) -> Any:
            raise AssertionError

        alone = __call__

    contract = checkpoint.read_contract(finished.folder)[0]
    with pytest.raises(CovidcoreError, match=NO_HEAT):
        heat_of(Predictor(Other(), contract), hostile.saved(picture(1)), contract.classes[0])
