"""A model as an ONNX file: it says what torch says, or there is no file."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from covidcore.cli import main
from covidcore.data.decode import decode
from covidcore.errors import CheckpointError
from covidcore.jobs.exports import onnx_missing
from covidcore.model import checkpoint
from covidcore.model.checkpoint import Contract
from covidcore.model.golden import Golden
from covidcore.model.network import build
from covidcore.model.preprocess import Preprocessing, preprocess
from tests.runs import SHORT, Trained, trained

needs_onnx = pytest.mark.skipif(bool(onnx_missing()), reason="needs requirements-onnx.txt")
CLASSES = ("<b>x", "NORMAL", "Ünïcode")


@pytest.fixture(scope="module")
def finished(phantoms: Path) -> Trained:
    torch.set_num_threads(1)
    return trained(phantoms, SHORT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with more than convolutions: squeezes, hard sigmoids, dropout."""
    folder = tmp_path_factory.mktemp("model")
    spec = Preprocessing(64, (0.5, 0.4, 0.3), (0.25, 0.25, 0.3))
    model = build("mobilenet_v3_large", 3, seed=3)
    checkpoint.save(folder, model, Contract("mobilenet_v3_large", CLASSES, spec, 1.7))
    return folder


@pytest.fixture(scope="module")
def file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from covidcore.model.onnx_file import write

    path = tmp_path_factory.mktemp("out") / "model.onnx"
    assert write(folder, path)["difference"] <= 1e-4
    return path


@needs_onnx
def test_it_says_what_torch_says_for_any_number_of_images(folder: Path, file: Path) -> None:
    import onnxruntime

    model, _ = checkpoint.load(folder)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for number in (1, 3, 8):
        images = torch.randn(number, 3, 64, 64)
        with torch.inference_mode():
            expected = model(images).numpy()
        (found,) = session.run(["logits"], {"image": images.numpy()})
        assert found.shape == (number, 3)
        np.testing.assert_allclose(found, expected, atol=1e-4)


@needs_onnx
def test_what_has_to_be_known_goes_along_twice(folder: Path, file: Path) -> None:
    """A program that knows only the two files can answer the golden inputs."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    inside = session.get_modelmeta().custom_metadata_map
    beside = json.loads(file.with_name("model.onnx.json").read_text())
    assert set(inside) == set(beside)
    for name, value in beside.items():
        assert (
            inside[name] == value if isinstance(value, str) else json.loads(inside[name]) == value
        )
    assert tuple(beside["classes"]) == CLASSES
    assert beside["temperature"] == 1.7
    assert beside["checkpoint"] == checkpoint.read_contract(folder)[1]
    spec = Preprocessing.from_json(beside["preprocessing"])
    for one in map(Golden.from_json, beside["golden"]):
        image = preprocess([decode(one.file).pixels], spec).contiguous().numpy()
        (logits,) = session.run(None, {"image": image})
        assert logits[0] == pytest.approx([one.logits[name] for name in CLASSES], abs=1e-3)


@needs_onnx
def test_a_file_that_says_something_else_never_appears(
    folder: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx
    from onnx import numpy_helper

    from covidcore.model import onnx_file

    wrong = onnx.load(file)
    (bias,) = (one for one in wrong.graph.initializer if one.name == "classifier.3.bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 0.01, bias.name))
    monkeypatch.setattr(onnx_file, "graph", lambda *_: wrong.SerializeToString())
    (tmp_path / "model.onnx").write_bytes(b"as it was")
    with pytest.raises(CheckpointError, match="does not say to the golden inputs what torch says"):
        onnx_file.write(folder, tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_bytes() == b"as it was"


def test_without_the_packages_a_sentence_says_which(finished: Trained, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import importlib.util as util\n"
        "util.find_spec = lambda name: None if name == 'onnxruntime' else name\n"
        "from covidcore.cli import main\n"
        f"sys.exit(main(['export', {finished.run!r}, '--onnx', 'model.onnx']))\n"
    )
    root = Path(__file__).parents[2]
    environment = {"COVIDCORE_HOME": str(finished.settings.home), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "requirements-onnx.txt (onnxruntime is missing)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_one_kind_at_a_time_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--onnx", "a.onnx", "--checkpoint", "b.zip"]):
        with pytest.raises(SystemExit) as ended:
            main(["export", "latest", *words])
        assert ended.value.code == 2
    assert "--checkpoint" in capsys.readouterr().err
