"""The command line as scripts use it: documents, exit codes, one sentence where it can not."""

import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covidcore import __version__, storage
from covidcore.cli import _parser, main
from covidcore.cli_help import EXAMPLES
from covidcore.config import DISCLAIMER, Settings
from covidcore.data.decode import decode
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.jobs.folder import State
from covidcore.jobs.queue import Queue
from covidcore.jobs.store import RunStore
from covidcore.show import Line, table
from covidcore.terminal import bar
from tests import hostile
from tests.conftest import MakeDataset
from tests.data.fake_kaggle import FakeKaggle
from tests.data.zips import Part, archive, honest, zip_folder
from tests.runs import LONG, SHORT, Trained, trained, wait_until, write_run

ROOT = Path(__file__).parents[1]

SCAN = [
    *("fingerprint", "root", "layout", "classes", "images", "ignored", "unreadable"),
    *("duplicates", "seconds", "report"),
]
TRAIN = ["run", "state", "cached", "seconds", "epochs", "best_epoch", "val_loss", "test"]
EVALUATE = [
    *("run", "dataset", "split", "n", "classes", "confusion", "accuracy", "accuracy_ci"),
    *("balanced_accuracy", "balanced_accuracy_ci", "macro_f1", "macro_f1_ci", "auc_macro"),
    *("loss", "temperature", "ece", "ece_uncalibrated", "source_only_accuracy", "per_class"),
    "auc_macro_ci",  # beyond the contract
]
PER_CLASS = [
    *("n", "recall", "recall_ci", "specificity", "precision", "precision_ci", "f1", "auc"),
    *("specificity_ci", "f1_ci", "auc_ci"),  # beyond the contract
]
PREDICT = [
    *("file", "answer", "refused", "reason", "probabilities", "warnings"),
    *("near_training_image", "milliseconds"),
]
RUNS = [
    *("run", "name", "state", "preset", "dataset", "epoch", "epochs", "eta_seconds"),
    *("accuracy", "created", "seconds"),
]
SWEEP = ["sweep", "name", "grid", "runs", "settings", "best"]
SETTING = ["values", "runs", "seeds", "done", "val_loss", "val_loss_std"]
SMALL = [
    *("--preset", "quick", "--set", "weights=none", "--set", "image_size=32"),
    *("--set", "epochs=1", "--set", "precision=fp32", "--set", "threads=1"),
]

RESNET34 = ["--set", "arch=resnet34"]

Run = Callable[..., tuple[int, str, str]]
Ask = Callable[..., tuple[int, Any]]


@pytest.fixture(autouse=True)
def environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "DEMO", "RUNNER", "SLOTS", "TRAINING", "WEIGHTS"):
        monkeypatch.delenv(f"COVIDCORE_{name}", raising=False)
    monkeypatch.setenv("COVIDCORE_HOME", str(home))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: exit status, standard output, standard error."""

    def run_it(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run_it


@pytest.fixture
def ask(run: Run) -> Ask:
    """Run a command with --json: exit status and the one document on standard output."""

    def ask_it(*arguments: object) -> tuple[int, Any]:
        status, out, _ = run(*arguments, "--json")
        assert "NaN" not in out
        return status, json.loads(out)

    return ask_it


@pytest.fixture
def finished(phantoms: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """The home of a finished run, not to be written to, is the home of this test."""
    found = trained(phantoms)
    monkeypatch.setenv("COVIDCORE_HOME", str(found.settings.home))
    return found


def shell(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "covidcore", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)


def sentence(err: str) -> str:
    """The one line that a person sees."""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].endswith(".")
    return lines[0]


def test_scan(ask: Ask, run: Run, phantoms: Path) -> None:
    status, document = ask("scan", phantoms)
    assert status == 0
    assert list(document) == SCAN
    assert document["images"] == sum(document["classes"].values()) == 36
    assert list(document["classes"]) == ["COVID-19", "NORMAL", "Viral Pneumonia"]
    assert document["ignored"] == {"masks": 36, "hidden": 0, "other": 2}
    assert set(document["duplicates"]) == {"exact", "near"}
    assert document["unreadable"] == []

    status, out, err = run("scan", document["fingerprint"][:8])
    assert (status, err) == (0, "")
    assert "36 images" in out
    assert document["fingerprint"] in out


def test_scan_names_what_it_could_not_read(ask: Ask, make_dataset: MakeDataset) -> None:
    folder = make_dataset({"a": 3, "b": 3})
    (folder / "a" / "bad.png").write_bytes(b"nothing")
    status, document = ask("scan", folder)
    assert status == 0
    ((unreadable),) = document["unreadable"]
    assert unreadable["file"] == "a/bad.png"
    assert unreadable["reason"].endswith(".")


def test_scan_reports_by_class(ask: Ask, run: Run, make_dataset: MakeDataset) -> None:
    folder = make_dataset({"COVID": 3, "COVID-19": 2, "x": 3})
    (folder / "x" / "bad.png").write_bytes(b"nothing")
    said = ask("scan", folder)[1]["report"]
    assert said["spellings"] == [["COVID", "COVID-19"]]
    assert [row["found"] for row in said["classes"]] == [3, 2, 4]
    out = run("scan", folder)[1]
    lines = [line.split() for line in out.splitlines()]
    assert ["class", "found", "read", "unreadable"] in lines
    assert ["x", "4", "3", "1"] in lines
    assert f"To join them: {said['command']}" in out
    assert "8 images of 3 classes were read; unreadable files: 1, ignored files: 0." in out


def test_scan_sets_a_release_beside_what_was_published(
    ask: Ask, run: Run, make_dataset: MakeDataset
) -> None:
    names = ("COVID-19", "NORMAL", "Viral Pneumonia")
    folder = make_dataset(dict.fromkeys(names, 3), pattern="{label} ({number}).png")
    (folder / "metadata.csv").write_text("file,source\n")  # of use, so not ignored
    (folder / "notes.txt").touch()
    out = run("scan", folder)[1]
    lines = [line.split() for line in out.splitlines()]
    assert ["COVID-19", "3", "3", "0", "219"] in lines
    assert ["elsewhere", "1", "0", "1"] in lines
    assert "The first published release has 219 images of “COVID-19”; here are 3, 216 fewer." in out
    assert ask("scan", folder)[1]["report"]["classes"][-1]["published"] is None


def test_import_joins_and_renames(ask: Ask, make_dataset: MakeDataset, tmp_path: Path) -> None:
    one = make_dataset({"sick": 3, "well": 4}, name="one")
    two = make_dataset({"ill": 2, "other": 5}, name="two")
    to = tmp_path / "joined"
    status, document = ask(
        *("import", one, two, "--map", "sick=ill", "--map", "well=well", "--map", "ill=ill"),
        *("--to", to),
    )
    assert status == 0
    assert list(document) == SCAN
    assert document["root"] == str(to)
    assert document["classes"] == {"ill": 5, "well": 4}
    assert ask("scan", to)[1]["fingerprint"] == document["fingerprint"]


def test_import_draws_phantoms(ask: Ask) -> None:
    status, document = ask("import", "phantoms:9")
    assert status == 0
    assert (document["images"], document["layout"]) == (9, "phantoms")


def test_an_archive_is_a_dataset(ask: Ask, run: Run, phantoms: Path, tmp_path: Path) -> None:
    path = zip_folder(phantoms, tmp_path / "set.zip", "inner/")
    status, out, err = run("import", path, "--json")
    assert (status, err) == (0, f"Unpacking {path}.\n")
    document = json.loads(out)
    assert list(document) == SCAN
    assert document["fingerprint"] == ask("scan", phantoms)[1]["fingerprint"]
    status, out, err = run("scan", path)
    assert (status, err) == (0, "")
    assert document["root"] in out


def test_a_terminal_is_shown_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Line() as line:
        report = line.moving()
        report("Downloading a\x1b[2Jb", 0, 0)
        report("Downloading a\x1b[2Jb", 12_300_000, 807_000_000)
    shown = sys.stderr.getvalue()
    assert "Downloading a[2Jb: 12.3 of 807.0 MB" in shown
    assert "\x1b" not in shown


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


def test_colours_and_bars_are_for_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    rows = [("one", "done", "1/1"), ("two", "failed", "0/1")]
    assert "\x1b" not in table(("run", "state", "epoch"), rows)
    monkeypatch.setattr(sys, "stdout", Terminal())
    shown = table(("run", "state", "epoch"), rows)
    assert "\x1b[32mdone\x1b[0m" in shown and "\x1b[31mfailed\x1b[0m" in shown
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in table(("run", "state", "epoch"), rows)
    assert [bar(0, 10)[:2], bar(10, 10)[-5:], bar(5, 0)[-3:]] == ["──", "100 %", "0 %"]
    assert bar(5, 10).count("━") == bar(5, 10).count("─")


def test_an_error_at_a_terminal_says_what_to_type(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert main(["scan", str(tmp_path / "nothing")]) == 1
    assert "For example: python -m covidcore scan phantoms" in sys.stderr.getvalue()


def test_every_verb_shows_examples_that_it_understands(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    verbs = set(re.findall(r"^    ([a-z-]+)(?: |$)", capsys.readouterr().out, re.MULTILINE))
    assert verbs == set(EXAMPLES)
    for verb, lines in EXAMPLES.items():
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        shown = capsys.readouterr().out
        for line in lines:
            assert f"  python -m covidcore {line}\n" in shown
            assert _parser().parse_args(shlex.split(line)).verb == verb


@pytest.mark.parametrize("verb", ["scan", "import", "train"])
def test_archives_that_are_refused(run: Run, tmp_path: Path, home: Path, verb: str) -> None:
    path = tmp_path / "set.zip"
    path.write_bytes(archive(*honest(), Part("../x.png", b"x")))
    status, out, err = run(verb, path)
    assert (status, out) == (1, "")
    assert "leads out" in sentence(err)
    assert not list(home.rglob("*.png"))


def test_kaggle_that_can_not_be_reached(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kagglehub", reason="kagglehub (requirements.txt) is not installed")
    server = FakeKaggle(b"")
    server.be_found(monkeypatch)
    server.close()
    status, out, err = run("import", "kaggle:a/b")
    assert (status, out) == (1, "")
    assert "could not be reached" in err.splitlines()[-1]
    assert "https://www.kaggle.com/datasets/a/b" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_train_finds_a_finished_run(ask: Ask, run: Run, finished: Trained) -> None:
    arguments = [
        *("train", finished.dataset.root, "--set", "arch=densenet121"),
        *("--set", "weights=none", "--set", "image_size=32", "--set", f"epochs={LONG.epochs}"),
        *("--set", "batch_size=8", "--set", "precision=fp32"),
    ]
    status, document = ask(*arguments)
    assert status == 0
    assert list(document) == TRAIN
    assert list(document["test"]) == EVALUATE
    assert (document["run"], document["state"]) == (finished.run, "done")
    assert (document["cached"], document["epochs"]) == (True, LONG.epochs)
    status, out, _ = run(*arguments)
    assert status == 0
    assert "(finished before)" in out
    assert DISCLAIMER in out


def test_runs(ask: Ask, run: Run, finished: Trained) -> None:
    status, documents = ask("runs")
    assert status == 0
    assert [list(document) for document in documents] == [RUNS]
    assert documents[0]["run"] == finished.run
    status, out, _ = run("runs")
    assert f"{finished.run}" in out
    assert f"{LONG.epochs}/{LONG.epochs}" in out


def test_move(ask: Ask, run: Run, home: Path) -> None:
    for name in ("aaaa", "bbbb", "cccc"):
        write_run(home, name, State.QUEUED)
    status, document = ask("move", "cc", "-2")
    assert status == 0
    assert document == {"run": "cccc", "waiting": ["cccc", "aaaa", "bbbb"]}
    assert list(document) == ["run", "waiting"]
    status, out, err = run("move", "aaaa", "1")
    assert (status, err) == (0, "")
    assert out.split() == ["waiting", "cccc", "bbbb", "aaaa"]
    assert RunStore(Settings(home=home)).waiting() == ["cccc", "bbbb", "aaaa"]


def test_only_a_run_that_waits_can_be_moved(run: Run, home: Path) -> None:
    write_run(home, "aaaa", State.QUEUED)
    write_run(home, "dddd", State.DONE)
    for extra in ((), ("--json",)):
        status, out, err = run("move", "dddd", "-1", *extra)
        assert (status, out) == (1, "")
        assert sentence(err) == "The run dddd does not wait in the queue."
    assert RunStore(Settings(home=home)).waiting() == ["aaaa"]


def test_runs_of_a_new_home(ask: Ask, run: Run, home: Path) -> None:
    assert ask("runs") == (0, [])
    assert run("runs") == (0, "No runs yet.\n", "")
    assert not home.exists()


@pytest.mark.parametrize("split", ["test", "val"])
def test_evaluate(ask: Ask, run: Run, finished: Trained, split: str) -> None:
    status, document = ask("evaluate", "latest", "--split", split)
    assert status == 0
    assert list(document) == [*EVALUATE, "test_opened"]
    assert (document["run"], document["split"]) == (finished.run, split)
    assert list(document["per_class"]) == document["classes"]
    for values in document["per_class"].values():
        assert list(values) == PER_CLASS
    assert sum(map(sum, document["confusion"])) == document["n"] > 0
    status, out, _ = run("evaluate", finished.run[:6], "--split", split)
    assert f"of {document['n']} {split} images" in out
    assert DISCLAIMER in out
    looks = document["test_opened"] + (split == "test")
    assert f"shown {looks} time" in out
    assert ask("evaluate", "latest", "--split", "val")[1]["test_opened"] == looks


ELSEWHERE = [
    *EVALUATE,
    *("on", "mapping", "left_out", "unreadable", "set_aside", "drop", "created", "seconds"),
    "test_opened",
]
FOLDS = [
    *("run", "dataset", "n", "classes", "folds", "repeats", "seed", "group_by", "trainable"),
    *("head", "single_split", "head_on_the_split", "groupings", "leakage", "ledger"),
    *("created", "seconds"),
]


@pytest.fixture
def short(phantoms: Path, home: Path) -> Trained:
    """A finished run of a linear head, in this test's home."""
    found = trained(phantoms, SHORT)
    shutil.copytree(found.settings.home, home)
    return found


def test_evaluate_on_another_dataset(ask: Ask, run: Run, short: Trained, tmp_path: Path) -> None:
    spec = PhantomSpec(images=12, size=64, seed=9, classes=("covid-19", "<b>", "pneumonia"))
    folder = write(spec, tmp_path / "other")
    split = short.store.split(short.run)
    copy = split[split["split"] == "train"]["file"].iloc[0]
    shutil.copy(short.dataset.root / copy, folder / "<b>" / "images" / "copy.png")
    arguments = ("evaluate", "latest", "--on", folder)
    status, document = ask(*arguments, "--map", "<b> = NORMAL", "--map", "covid-19=COVID-19")
    assert status == 0
    assert list(document) == ELSEWHERE
    assert (document["run"], document["split"], document["n"]) == (short.run, "outside", 8)
    assert document["left_out"] == {"pneumonia": 4}
    assert document["set_aside"]["images"] == 1
    assert document["set_aside"]["files"][0]["file"] == "<b>/images/copy.png"
    assert document["per_class"]["Viral Pneumonia"]["recall"] is None
    assert document["test_opened"] == 1
    status, out, _ = run(*arguments)  # by name: one class is the run's but for case
    assert status == 0
    assert "Set aside" in out
    assert "left out, as their classes are not mapped: 5 <b>, 4 pneumonia" in out
    assert "shown 2 times" in out
    assert DISCLAIMER in out
    assert ask("runs")[1][0]["run"] == short.run  # nothing was trained


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (("--on", "{set}", "--map", "nobody=NORMAL"), "no class “nobody” to map; it has a, b"),
        (("--on", "{set}", "--map", "a=Flu"), "The run answers no class “Flu”; it answers COVID"),
        (("--on", "{set}", "--map", "a"), "is no mapping"),
        (("--on", "{set}"), 'say which is which with --map "Their name=Our name"'),
        (("--map", "a=NORMAL"), "name it with --on"),
        (("--on", "{set}", "--split", "val"), "leave it out with --on"),
        (("--on", "/nowhere"), "/nowhere"),
    ],
)
def test_evaluate_on_what_does_not_fit(
    run: Run, short: Trained, make_dataset: MakeDataset, extra: tuple[str, ...], said: str
) -> None:
    folder = make_dataset({"a": 2, "b": 2})
    status, out, err = run("evaluate", "latest", *(one.format(set=folder) for one in extra))
    assert (status, out) == (1, "")
    assert said in sentence(err)


def test_crossvalidate(ask: Ask, run: Run, short: Trained) -> None:
    arguments = ("crossvalidate", "latest", "--folds", "2", "--repeats", "1")
    status, document = ask(*arguments)
    assert status == 0
    assert list(document) == FOLDS
    assert (document["run"], document["folds"], document["repeats"]) == (short.run, 2, 1)
    assert list(document["groupings"]) == ["none", "patient", "both"]
    status, out, _ = run(*arguments)
    assert "2 folds, 1 times, of 36 images" in out
    assert "folds by patient and picture" in out
    status, out, err = run("crossvalidate", "latest", "--folds", "1")
    assert (status, out) == (1, "")
    assert sentence(err) == "folds is 1; it must lie between 2 and 20."


def test_predict(ask: Ask, finished: Trained, tmp_path: Path) -> None:
    """Files as given and folders walked; good, bad, missing and hidden ones; and the CSV."""
    images = tmp_path / "images"
    (images / "inner").mkdir(parents=True)
    good = finished.dataset.root / finished.dataset.index["file"].iloc[0]
    for name in ("b.png", "=cmd.png", "inner/a.png", ".hidden.png"):
        shutil.copy(good, images / name)
    (images / "notes.txt").write_text("hello")
    to = tmp_path / "out" / "answers.csv"
    status, documents = ask(
        "predict", "latest", good, images, tmp_path / "nowhere.png", "--csv", to
    )
    assert status == 0
    assert all(list(document) == PREDICT for document in documents)
    assert [document["file"] for document in documents] == [
        str(path)
        for path in (
            good,
            *sorted(images / name for name in ("=cmd.png", "b.png", "inner/a.png", "notes.txt")),
            tmp_path / "nowhere.png",
        )
    ]
    refused = {Path(document["file"]).name: document["refused"] for document in documents}
    assert refused.pop("notes.txt") == "unsupported_format"
    assert refused.pop("nowhere.png") == "unreadable"
    assert set(refused.values()) == {None}
    with to.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [document["file"] for document in documents]
    assert rows[0]["answer"] == documents[0]["answer"]
    assert {f"p:{name}" for name in finished.dataset.classes} <= set(rows[0])


def test_predict_for_people(run: Run, finished: Trained, tmp_path: Path) -> None:
    split = finished.store.split(finished.run)
    learnt = split[split["split"] == "train"]["file"].iloc[0]
    shutil.copy(finished.dataset.root / learnt, tmp_path / "a\nb.png")
    (tmp_path / "empty.png").write_bytes(b"")
    status, out, err = run("predict", finished.run, tmp_path / "a\nb.png", tmp_path / "empty.png")
    assert status == 0 and err.startswith("This run had too few validation images")
    answer, known, refusal, last = out.splitlines()
    assert answer.endswith(" %)")
    assert "is in the training set" in known
    assert "refused (unreadable): " in refusal
    assert last == DISCLAIMER


def test_predict_anyway_and_negatives(
    ask: Ask, run: Run, finished: Trained, tmp_path: Path
) -> None:
    blank, negative = tmp_path / "blank.png", tmp_path / "negative.png"
    blank.write_bytes(hostile.saved(np.full((64, 64), 40, np.uint8)))
    good = finished.dataset.root / finished.dataset.index["file"].iloc[0]
    negative.write_bytes(hostile.saved(255 - decode(good).pixels))
    status, out, _ = run("predict", finished.run, blank, "--anyway")
    assert status == 0
    assert "Answered anyway, though refused (blank): The image is blank" in out
    _, (answer,) = ask("predict", finished.run, blank, "--anyway")
    assert answer["refused"] == "blank" and answer["answer"] in finished.dataset.classes
    _, (turned,) = ask("predict", finished.run, negative, "--invert")
    _, (plain,) = ask("predict", finished.run, good)
    assert turned["probabilities"] == pytest.approx(plain["probabilities"], abs=1e-5)
    assert turned["refused"] is None


def test_names_that_are_not_utf8(run: Run, finished: Trained, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd-\xff.png"))
    try:
        odd.write_bytes(hostile.saved(hostile.shades()))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    for extra in ([], ["--json"], ["--csv", tmp_path / "out.csv"]):
        status, out, _ = run("predict", "latest", odd, *extra)
        assert status == 0
        assert "odd-" in out
    assert "odd-" in (tmp_path / "out.csv").read_text("utf-8")


def test_doctor(ask: Ask, run: Run, home: Path) -> None:
    status, document = ask("doctor")
    assert status == 0
    assert {
        *("covidcore", "python", "packages", "device", "threads", "home", "home_writable"),
        *("weights", "runner", "demo"),
    } <= set(document)
    assert document["home"] == str(home)
    assert document["home_writable"] is True
    assert document["packages"]["torch"]
    assert list(home.iterdir()) == []
    assert "device: " in run("doctor")[1]


def test_doctor_says_that_a_home_can_not_be_written_to(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COVIDCORE_HOME", str(tmp_path / "file" / "home"))
    status, document = ask("doctor")
    assert status == 0
    assert document["home_writable"] is False


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("scan", "/nowhere/at/all"), "/nowhere/at/all"),
        (("scan", "abcdef"), "abcdef"),
        (("scan", "phantoms:2"), "2"),
        (("import", "/nowhere/at/all"), "/nowhere/at/all"),
        (("import", "phantoms:9", "--map", "nonsense"), "nonsense"),
        (("train", "/nowhere/at/all"), "/nowhere/at/all"),
        (("train", "phantoms:9", "--preset", "best"), "best"),
        (("train", "phantoms:9", "--set", "nonsense"), "nonsense"),
        (("train", "phantoms:9", "--set", "epochs=many"), "many"),
        (("train", "phantoms:9", "--set", "colour=red"), "colour"),
        (("train", "phantoms:9", "--set", "epochs=0"), "epochs is 0"),
        (("train", "phantoms:9", "--set", "weights=/no/file.pth"), "/no/file.pth"),
        (
            ("train", "phantoms:9", "--set", "weights=radiographs", "--set", "arch=resnet34"),
            "radiographs",
        ),
        (("train", "phantoms:9", *SMALL, "--set", "exclude_sources=X"), "X"),
        (("train", "/nowhere/at/all", "--grid", "nonsense"), "nonsense"),
        (("train", "/nowhere/at/all", "--grid", "seed=0", "--grid", "seed=1"), "seed twice"),
        (("train", "phantoms:9", "--grid", "seed=0,one"), "seed=one"),
        (("train", "phantoms:9", "--grid", "seed="), "seed"),
        (("train", "phantoms:9", "--grid", "colour=red,blue"), "colour"),
        (("train", "phantoms:9", "--grid", "learning_rate=1e-3,5"), "learning_rate=5"),
        (("train", "phantoms:9", "--grid", f"seed={','.join(map(str, range(65)))}"), "64"),
        (("sweeps", "0123"), "0123"),
        (("cancel", "0123"), "0123"),
        (("resume", "0123"), "0123"),
        (("remove", "0123"), "0123"),
        (("move", "0123", "1"), "0123"),
        (("evaluate", "0123"), "0123"),
        (("evaluate", "latest"), "no finished run"),
        (("evaluate", "shipped"), "an imported model: it has no test images"),
        (("predict", "latest", "x.png"), "no finished run"),
        (("predict", "../../etc", "x.png"), "../../etc"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_can_not_be_done_is_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], part: str
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for extra in ((), ("--json",)):
        status, out, err = run(*arguments, *extra)
        assert (status, out) == (1, "")
        assert part in sentence(err)


def test_predict_refuses_an_empty_folder(run: Run, finished: Trained, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    status, _, err = run("predict", "latest", tmp_path / "folder")
    assert status == 1
    assert "no file in" in sentence(err)


def test_a_csv_that_can_not_be_written_is_one_sentence(
    run: Run, finished: Trained, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    file = finished.dataset.root / finished.dataset.index["file"].iloc[0]
    status, _, err = run("predict", "latest", file, "--csv", tmp_path / "taken")
    assert status == 1
    assert "taken" in sentence(err)


def test_a_home_that_is_a_file_is_one_sentence(
    run: Run, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COVIDCORE_HOME", str(tmp_path / "file"))
    for arguments in (("scan", phantoms), ("train", phantoms, *SMALL), ("import", "phantoms:9")):
        status, out, err = run(*arguments)
        assert (status, out) == (1, "")
        sentence(err)


def test_an_unknown_runner_is_refused(
    run: Run, phantoms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVIDCORE_RUNNER", "ray:host")
    status, _, err = run("train", phantoms, *SMALL)
    assert status == 1
    assert "COVIDCORE_RUNNER" in sentence(err)


@pytest.mark.parametrize(
    "arguments",
    [(), ("dance",), ("scan",), ("predict", "latest"), ("evaluate", "x", "--split", "train")],
    ids=str,
)
def test_wrong_usage(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage: python -m covidcore" in err


def test_from_a_folder_with_odd_names_to_answers(
    ask: Ask, run: Run, make_dataset: MakeDataset, home: Path
) -> None:
    """Train, show, predict and remove, with classes that are markup and a formula."""
    folder = make_dataset({"<b>x": 10, "=1+1": 10})
    status, out, err = run("train", folder, *SMALL, "--set", "standardise=true", "--name", "*it*")
    assert status == 0, err
    assert "<b>x" in out
    assert "epoch 1: loss" in err
    (info,) = ask("runs")[1]
    assert (info["name"], info["state"], info["epochs"]) == ("*it*", "done", 1)
    status, document = ask("evaluate", "latest")
    assert document["classes"] == ["<b>x", "=1+1"]
    to = home / "out.csv"
    status, answers = ask("predict", "latest", folder, "--csv", to)
    assert {answer["answer"] for answer in answers} <= {"<b>x", "=1+1"}
    with to.open(newline="") as file:
        assert {row["answer"] for row in csv.DictReader(file)} <= {"<b>x", "'=1+1"}
    assert ask("remove", info["run"]) == (0, {"run": info["run"], "state": None})
    assert ask("runs") == (0, [])


def test_a_failed_job_exits_3_with_its_document(
    run: Run, ask: Ask, make_dataset: MakeDataset
) -> None:
    folder = make_dataset({"a": 4, "b": 4})
    fingerprint = ask("scan", folder)[1]["fingerprint"]
    shutil.rmtree(folder)
    status, out, err = run("train", fingerprint, *SMALL, "--json")
    assert status == 3
    document = json.loads(out)
    assert list(document) == TRAIN
    assert (document["state"], document["test"]) == ("failed", None)
    assert "can not be read any more" in sentence(err)


def interrupted(home: Path, *arguments: object) -> str:
    """What a command says on standard error that is interrupted while its job trains."""
    process = subprocess.Popen(
        [sys.executable, "-m", "covidcore", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, CI's may be among them, are started deaf to interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    store = RunStore(Settings(home=home))

    def training() -> bool:
        return any(info.epoch > 1 for info in store.list())

    wait_until(training, "the job to train")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    return err


def test_an_interrupt_stops_the_job_and_exits_130(phantoms: Path, home: Path) -> None:
    long = ("--set", "epochs=1000", "--set", "schedule=constant")
    err = interrupted(home, "train", phantoms, *SMALL, "--json", *long)
    assert "was asked to stop" in err
    store = RunStore(Settings(home=home))
    (info,) = store.list()
    wait_until(lambda: store.info(info.run).state.ended, "the job to stop")
    assert store.info(info.run).state is State.CANCELLED


def test_detached_and_cancelled(ask: Ask, phantoms: Path, home: Path) -> None:
    arguments = (*SMALL, "--set", "epochs=1000", "--set", "schedule=constant")
    status, document = ask("train", phantoms, *arguments, "--detach")
    assert status == 0
    assert list(document) == TRAIN
    assert (document["state"], document["test"]) == ("running", None)
    run = document["run"]
    status, document = ask("cancel", run[:7])
    assert (status, document["run"]) == (0, run)
    store = RunStore(Settings(home=home))
    wait_until(lambda: store.info(run).state is State.CANCELLED, "the job to stop")
    status, document = ask("train", phantoms, *arguments[:-4], "--set", "epochs=1000", "--detach")
    assert (status, document["run"] != run) == (0, True)
    assert ask("cancel", document["run"])[0] == 0
    wait_until(lambda: store.info(document["run"]).state.ended, "the other job to stop")


def test_a_grid_is_trained_as_one_sweep(ask: Ask, run: Run, phantoms: Path) -> None:
    arguments = ("train", phantoms, *SMALL, "--grid", "learning_rate=1e-3,1e-2", "--name", "rates")
    status, out, err = run(*arguments, "--json")
    assert status == 0, err
    document = json.loads(out)
    assert list(document) == SWEEP
    assert (document["name"], document["grid"]) == ("rates", {"learning_rate": ["0.001", "0.01"]})
    assert [list(one) for one in document["runs"]] == [TRAIN, TRAIN]
    assert [list(one["test"]) for one in document["runs"]] == [EVALUATE, EVALUATE]
    assert [one["cached"] for one in document["runs"]] == [False, False]
    losses = [one["val_loss"] for one in document["runs"]]
    assert [list(setting) for setting in document["settings"]] == [SETTING, SETTING]
    assert [setting["values"] for setting in document["settings"]] == [
        *({"learning_rate": 1e-3}, {"learning_rate": 1e-2}),
    ]
    assert [setting["val_loss"] for setting in document["settings"]] == losses
    best = document["runs"][losses.index(min(losses))]["run"]
    assert (document["best"]["run"], document["best"]["run_val_loss"]) == (best, min(losses))
    lines = err.splitlines()
    assert len(lines) == 2
    assert all("learning_rate=0.0" in line and ": done after 1 epochs" in line for line in lines)

    status, again = ask(*arguments)
    assert (status, [one["cached"] for one in again["runs"]]) == (0, [True, True])
    sweep = document["sweep"]
    for words in (arguments, ("sweeps", sweep[:9])):
        status, out, _ = run(*words)
        assert status == 0
        assert f"sweep {sweep} is done" in out
        assert f"its run of least validation loss: {best}" in out
    assert ask("sweeps", sweep[:9])[1]["best"] == document["best"]
    ((listed,), (shown,)) = (ask("sweeps")[1], [run("sweeps")[1]])
    assert (listed["sweep"], listed["state"], listed["best"]) == (sweep, "done", best)
    assert (listed["runs"], listed["done"], listed["progress"]) == (2, 2, 1)
    assert "2/2" in shown

    assert ask("remove", best)[0] == 0
    status, document = ask("sweeps", sweep)
    assert {"run": best, "state": "missing"} in document["runs"]
    assert f"removed meanwhile: {best}" in run("sweeps", sweep)[1]
    assert ask("remove", sweep) == (0, {"sweep": sweep, "state": None})
    assert ask("sweeps") == (0, [])
    assert len(ask("runs")[1]) == 1


def test_a_sweep_with_a_failed_run_exits_3_with_its_document(
    run: Run, ask: Ask, make_dataset: MakeDataset
) -> None:
    folder = make_dataset({"a": 4, "b": 4})
    fingerprint = ask("scan", folder)[1]["fingerprint"]
    shutil.rmtree(folder)
    status, out, err = run("train", fingerprint, *SMALL, "--grid", "seed=3", "--json")
    assert status == 3
    document = json.loads(out)
    assert (list(document), document["best"]) == (SWEEP, None)
    assert [one["state"] for one in document["runs"]] == ["failed"]
    assert "can not be read any more" in sentence(err)


def test_a_detached_sweep_is_cancelled_resumed_and_removed(
    ask: Ask, run: Run, phantoms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no worker: what is asked of a sweep reaches its runs."""
    monkeypatch.setattr(Queue, "_start", lambda queue, waiting, look: None)
    arguments = ("train", phantoms, *SMALL, "--grid", "exclude_sources=;Hospital A", "--detach")
    status, document = ask(*arguments)
    assert (status, document["best"]) == (0, None)
    assert [one["state"] for one in document["runs"]] == ["queued", "queued"]
    assert document["grid"] == {"exclude_sources": ["", "Hospital A"]}
    sweep = document["sweep"]
    assert ask("cancel", sweep[:9]) == (0, {"sweep": sweep, "state": "cancelled"})
    assert run("cancel", sweep)[0] == 1
    assert ask("resume", sweep) == (0, {"sweep": sweep, "state": "queued"})
    assert "was removed" in run("remove", sweep, "--runs")[1]
    assert (ask("sweeps")[1], ask("runs")[1]) == ([], [])
    assert run("sweeps")[1] == "No sweeps yet.\n"


def test_the_start_of_a_run_and_of_a_sweep_is_neither(
    ask: Ask, run: Run, phantoms: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queue, "_start", lambda queue, waiting, look: None)
    document = ask("train", phantoms, *SMALL, "--grid", "seed=0", "--detach")[1]
    (one,) = document["runs"]
    file = home / "sweeps" / f"{document['sweep']}.json"
    like = one["run"][:3] + "0" * 13
    stored = {**storage.read_json(file), "id": like}
    (home / "sweeps" / f"{like}.json").write_text(json.dumps(stored))
    status, _, err = run("remove", one["run"][:3])
    assert status == 1
    assert "give more of the id" in sentence(err)
    assert ask("remove", one["run"]) == (0, {"run": one["run"], "state": None})
    assert ask("remove", like) == (0, {"sweep": like, "state": None})


def test_an_interrupt_stops_the_sweep_and_exits_130(phantoms: Path, home: Path) -> None:
    err = interrupted(
        home, "train", phantoms, *SMALL, *("--set", "epochs=1000", "--grid", "seed=0,1", "--json")
    )
    assert "Sweep " in err
    assert "was asked to stop" in err
    store = RunStore(Settings(home=home))
    wait_until(lambda: all(info.state.ended for info in store.list()), "the sweep to stop")
    assert [info.state for info in store.list()] == [State.CANCELLED] * 2


def test_as_a_program(phantoms: Path) -> None:
    done = shell("scan", phantoms, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(json.loads(done.stdout)) == SCAN
    failed = shell("scan", "/nowhere")
    assert (failed.returncode, failed.stdout) == (1, "")
    sentence(failed.stderr)
    assert shell("dance").returncode == 2
    assert shell("--version").stdout == f"covidcore {__version__}\n"


def test_a_reader_that_leaves_early_is_no_error(finished: Trained) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "covidcore", "evaluate", "latest"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    err = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=120)
    assert "Traceback" not in err
    assert "Exception" not in err
