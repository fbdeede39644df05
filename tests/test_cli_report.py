"""The verb report on a real, small run: what is stored, whole files, and commands that hold."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from covidcore import storage
from covidcore.config import DISCLAIMER, Settings
from covidcore.evaluation.report_answers import NOT_REPORTED
from covidcore.jobs.report import stamp
from covidcore.jobs.store import RunStore
from tests.runs import Trained, trained
from tests.test_cli import Ask, Run, ask, environment, run, sentence

__all__ = ["ask", "environment", "run"]  # fixtures of the command line

KEYS = ["run", "name", "disclaimer", "facts", "checklists", "commands", "stored"]


@pytest.fixture
def one(phantoms: Path, home: Path) -> Trained:
    """A home, to be written to, with a finished run."""
    found = trained(phantoms)
    shutil.copytree(found.settings.home, home, dirs_exist_ok=True)
    return found


def said(document: dict, name: str) -> str:
    return " ".join(part["text"] for part in document["facts"][name])


def items(document: dict, name: str = "CLAIM 2024") -> dict[str, dict]:
    return {item["item"]: item for item in document["checklists"][name]}


def test_the_facts_are_those_that_are_stored(ask: Ask, one: Trained) -> None:
    figures = ask("evaluate", one.run)[1]
    status, document = ask("report", one.run)
    assert status == 0 and list(document) == KEYS
    stored = document["stored"]
    assert stored["evaluation"] == {k: v for k, v in figures.items() if k != "test_opened"}
    assert stored["test_opened"] == figures["test_opened"] + 1  # this is a look, too
    assert document["disclaimer"] == DISCLAIMER
    dealt = one.store.split(one.run)["split"].value_counts()
    assert {name: sum(of.values()) for name, of in stored["sets"].items()} == dict(dealt)
    assert one.dataset.fingerprint in said(document, "dataset")
    assert one.store.job(one.run)["split"] in said(document, "split")
    assert "synthetic phantoms" in said(document, "dataset")
    assert items(document)["30"]["text"] == NOT_REPORTED
    assert "crossvalidate" in items(document)["30"]["to_do"]


def test_what_was_asked_for_later_is_reported(ask: Ask, one: Trained, home: Path) -> None:
    name = one.dataset.classes[0]
    ask("crossvalidate", one.run, "--folds", "3", "--repeats", "1")
    ask("audit", one.dataset.fingerprint, *("--group-by", "patient"))
    ask("operate", one.run, "--positive", name, "--threshold", f"{name}=0.3", "--save")
    _, document = ask("report", one.run)
    assert "3 folds, 1 times" in said(document, "folds")
    assert "Border alone" in said(document, "baselines") and "warnings" in document["facts"]
    (split,) = (home / "datasets" / one.dataset.fingerprint / "audit-splits").iterdir()
    split.unlink()  # as after an audit of another split
    other = ask("report", one.run)[1]
    assert "Border alone" in said(other, "baselines") and "warnings" not in other["facts"]
    assert "--seed" in items(other)["40"]["to_do"]
    assert f"{name} from 30.0 % on" in said(document, "operating")
    folder = home / "runs" / one.run
    contract = storage.read_json(folder / "contract.json")
    stress = {"corruptions_verdict": "Noise breaks it.", "stamp": {"checkpoint": "another"}}
    (folder / "stress.json").write_text(json.dumps(stress))
    assert "stress" not in ask("report", one.run)[1]["facts"]  # of an earlier model
    stress["stamp"]["checkpoint"] = contract["sha256"]
    (folder / "stress.json").write_text(json.dumps(stress))
    assert "Noise breaks it." in items(ask("report", one.run)[1])["30"]["text"]


def test_the_files(run: Run, ask: Ask, one: Trained, tmp_path: Path) -> None:
    for ending, begin in (("html", "<!DOCTYPE html>"), ("md", "# Report of ")):
        file = tmp_path / "away" / f"it.{ending}"
        status, out, _ = run("report", one.run, "--out", file)
        assert status == 0 and str(file) in out and NOT_REPORTED in out
        assert file.read_text("utf-8").startswith(begin)
        assert [path.name for path in file.parent.glob(".*")] == []
    assert run("report", one.run)[1].startswith("# Report of ")
    opened = ask("report", one.run)[1]["stored"]["test_opened"]
    status, _, err = run("report", one.run, "--out", tmp_path / "it.pdf")
    assert status == 1 and "written as .html or .md, not as “it.pdf”" in sentence(err)
    assert "no run" in sentence(run("report", "0123")[2])
    assert ask("report", one.run)[1]["stored"]["test_opened"] == opened + 1


def test_its_commands_make_the_same_again(ask: Ask, one: Trained) -> None:
    document = ask("report", one.run)[1]
    words = shlex.split(document["commands"]["train"])[3:]
    again = ask(*words)[1]
    assert (again["run"], again["cached"]) == (one.run, True)
    by_source = ask(*shlex.split(document["commands"]["by source"])[3:])[1]
    assert by_source["subgroups"] == document["stored"]["subgroups"]["source"]


def test_a_run_whose_dataset_is_gone_is_still_reported(ask: Ask, one: Trained, home: Path) -> None:
    shutil.rmtree(home / "datasets")
    status, document = ask("report", one.run)
    assert status == 0
    assert "not on this machine" in said(document, "dataset")
    assert "sources" not in document["facts"] and "accuracy" in document["facts"]


def test_a_stamp_changes_with_what_is_stored(one: Trained, ask: Ask, home: Path) -> None:
    store = RunStore(Settings(home=home))
    before = stamp(store, one.run)
    assert stamp(store, one.run) == before
    seen = {before}
    for words in (
        ("evaluate", one.run),
        ("audit", one.dataset.fingerprint),
        ("audit", one.dataset.fingerprint, "--seed", "3"),
        ("operate", one.run, "--positive", one.dataset.classes[0], "--save"),
        ("crossvalidate", one.run, "--folds", "3", "--repeats", "1"),
    ):
        assert ask(*words)[0] == 0
        assert stamp(store, one.run) not in seen, words
        seen.add(stamp(store, one.run))
