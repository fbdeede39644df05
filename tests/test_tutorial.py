"""Every command of the tutorial, run as it is written, on fewer phantoms."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from covidcore.cli import main
from tests.jobs.test_lab import answered
from tests.pages.conftest import with_a_run

TEXT = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text("utf-8")
COMMANDS = [
    line.removeprefix("python -m covidcore ")
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
]
QUICKER = {"--preset quick": "--preset quick --set weights=none --set epochs=3", "240": "60"}
"""Of which a finished run is shared with the tests of the pages."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to type in; its home knows the run and the lab."""
    for name in ("HOME", "DATA", "DEMO", "RUNNER", "SLOTS", "TRAINING", "WEIGHTS"):
        monkeypatch.delenv(f"COVIDCORE_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    home = tmp_path / ".covidcore"
    with_a_run(home)
    shutil.copytree(answered()[0].home / "lab", home / "lab")
    return tmp_path


def test_every_command_does_what_it_says(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(COMMANDS) >= 9
    for command in COMMANDS:
        for slow, quick in QUICKER.items():
            command = command.replace(slow, quick)
        status = main(shlex.split(command))
        out, err = capsys.readouterr()
        assert status == 0, (command, err)
        assert out.strip(), command
    assert (place / "report.html").stat().st_size > 10_000
    assert (place / "model.zip").stat().st_size > 1_000_000


def test_the_first_model_has_learnt_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As written, with the weights that are there when nothing can be fetched."""
    monkeypatch.setenv("COVIDCORE_HOME", str(tmp_path / "home"))
    (train,) = (line for line in COMMANDS if line.startswith("train"))
    assert main([*shlex.split(train), "--set", "weights=radiographs", "--json"]) == 0
    test = json.loads(capsys.readouterr().out)["test"]
    assert test["accuracy"] > 0.75
    assert test["accuracy_ci"][0] > test["source_only_accuracy"]
