"""A model goes out as a checkpoint, comes in elsewhere, and is asked there as it was here."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from covidcore import storage
from covidcore.cli import main
from covidcore.config import Settings
from covidcore.errors import DataError, RunError
from covidcore.inference.predictor import Predictor
from covidcore.jobs.exports import checkpoint_bytes, export_checkpoint
from covidcore.jobs.folder import State
from covidcore.jobs.imports import import_model
from covidcore.jobs.models import PARTS, model_folder
from covidcore.jobs.store import RunStore
from tests.jobs import checkpoints
from tests.runs import SHORT, Trained, trained, write_run


@pytest.fixture(scope="module")
def finished(phantoms: Path) -> Trained:
    torch.set_num_threads(1)
    return trained(phantoms, SHORT)


@pytest.fixture(scope="module")
def sent(finished: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sent") / "model.zip"
    export_checkpoint(finished.store, finished.run, path)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COVIDCORE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> RunStore:
    return RunStore(Settings(home=home))


def answers(store: RunStore, run: str, finished: Trained) -> list[dict[str, Any]]:
    files = list(finished.dataset.index["file"])[:8]
    found = Predictor.open(model_folder(store, run)).predict(
        ((file, finished.dataset.root / file) for file in files), anyway=True
    )
    return [{name: one[name] for name in one if name != "milliseconds"} for one in found]


def test_it_answers_elsewhere_as_it_does_here(
    finished: Trained, store: RunStore, sent: Path
) -> None:
    made = import_model(store, sent)
    assert made.classes == finished.dataset.classes
    assert answers(store, made.run, finished) == answers(finished.store, finished.run, finished)
    assert any(one["near_training_image"] for one in answers(store, made.run, finished))


def test_export_and_import_are_inverse(store: RunStore, sent: Path, tmp_path: Path) -> None:
    run = import_model(store, sent).run
    assert checkpoint_bytes(store, run) == sent.read_bytes()
    export_checkpoint(store, run, tmp_path / "as folder")
    assert sorted(path.name for path in (tmp_path / "as folder").iterdir()) == sorted(PARTS)
    again = import_model(store, tmp_path / "as folder")
    assert (again.run, again.cached) == (run, True)


def test_nothing_of_this_machine_goes_along(finished: Trained, sent: Path, tmp_path: Path) -> None:
    """A run that began with a file of weights knows where that lay."""
    shutil.copytree(finished.folder, tmp_path / "home" / "runs" / finished.run)
    store = RunStore(Settings(home=tmp_path / "home"))
    folder = store.path(finished.run)
    weights = {"name": "mine.pth", "id": "none", "path": "/home/somebody/mine.pth"}
    checkpoints.with_contract(folder, weights=weights)
    artefacts = {**store.status(finished.run)["artefacts"]}
    artefacts["contract.json"] = checkpoints.storage.sha256_file(folder / "contract.json")
    status = storage.read_json(folder / "status.json")
    (folder / "status.json").write_text(json.dumps({**status, "artefacts": artefacts}))
    export_checkpoint(store, finished.run, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        text = archive.read("contract.json").decode()
    assert "somebody" not in text
    assert json.loads(text)["weights"]["name"] == "mine.pth"


def test_it_is_listed_but_is_no_run_with_figures(store: RunStore, sent: Path) -> None:
    run = import_model(store, sent, "my model.zip").run
    (info,) = store.list()
    assert (info.run, info.state, info.preset) == (run, State.DONE, "imported")
    assert (info.name, info.accuracy, info.tested) == ("my model, imported", None, False)
    for refused in (store.evaluation, store.predictions, store.resume):
        with pytest.raises(RunError, match=f"{run} is an imported model"):
            refused(run)
    with pytest.raises(RunError, match="no finished run"):
        store.find("latest")
    store.remove(run)
    assert store.list() == []


@pytest.mark.parametrize(
    "command",
    [["evaluate"], ["stress"], ["crossvalidate"], ["operate"], ["evaluate", "--by", "source"]],
)
def test_commands_that_need_its_test_images_say_so(
    store: RunStore, sent: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = import_model(store, sent).run
    verb, *rest = command
    assert main([verb, run, *rest]) == 1
    said = capsys.readouterr().err
    assert "is an imported model" in said
    assert said.count("\n") == 1


def test_on_labelled_images_it_is_scored_without_those_it_knows(
    finished: Trained, store: RunStore, sent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = import_model(store, sent).run
    assert main(["evaluate", run, "--on", str(finished.dataset.root), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    split = finished.store.split(finished.run)
    own = set(split.loc[split["split"] == "train", "file"])
    aside = {one["file"] for one in document["set_aside"]["files"]}
    assert own <= aside
    assert document["n"] == len(finished.dataset.index) - len(aside) > 0
    assert (document["drop"], document["set_aside"]["known"]) == (None, "training")
    assert main(["report", run, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    facts = {name: said[0]["text"] for name, said in report["facts"].items()}
    assert f"{document['n']} images that it does not recognise" in facts["outside"]
    assert "accuracy" not in facts
    unsaid = [one for one in report["checklists"]["CLAIM 2024"] if not one["reported"]]
    assert {"32", "37", "38"} <= {one["item"] for one in unsaid}


def test_without_a_gate_nothing_can_be_set_aside(
    finished: Trained, store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkpoints.write(tmp_path / "bare")
    (folder / "familiar.safetensors").unlink()
    checkpoints.with_contract(folder, gate=None)
    run = import_model(store, folder).run
    first = finished.dataset.classes[0]
    mapped = ["--map", f"{first}=NORMAL", "--json"]
    assert main(["evaluate", run, "--on", str(finished.dataset.root), *mapped]) == 0
    aside = json.loads(capsys.readouterr().out)["set_aside"]
    assert (aside["images"], aside["known"]) == (0, "none")


def test_a_damaged_one_is_mended_by_bringing_it_in_again(
    finished: Trained, store: RunStore, sent: Path, tmp_path: Path
) -> None:
    run = import_model(store, sent).run
    (store.path(run) / "best.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match="import it again"):
        export_checkpoint(store, run, tmp_path / "x.zip")
    assert not import_model(store, sent).cached
    assert answers(store, run, finished) == answers(finished.store, finished.run, finished)


def test_what_is_not_whole_is_not_taken_away(home: Path, store: RunStore, tmp_path: Path) -> None:
    write_run(home, "abc", State.FAILED)
    with pytest.raises(RunError, match="has no model yet"):
        export_checkpoint(store, "abc", tmp_path / "x.zip")
    assert list(tmp_path.glob("x*")) == []


def test_a_folder_with_something_in_it_stays_as_it_is(finished: Trained, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "mine").write_text("x")
    with pytest.raises(DataError, match="could not be made"):
        export_checkpoint(finished.store, finished.run, tmp_path / "to")
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["mine"]


def test_a_demo_gives_none_away(finished: Trained, tmp_path: Path) -> None:
    store = RunStore(Settings(home=finished.settings.home, demo=True))
    with pytest.raises(RunError, match="public demo"):
        export_checkpoint(store, finished.run, tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == []
