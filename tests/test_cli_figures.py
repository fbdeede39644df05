"""evaluate --by, compare, operate and stress on real, small runs, as somebody at a shell sees."""

import shutil
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.jobs.store import RunStore
from tests.edited import edit
from tests.runs import LONG, SHORT, Trained, copied, stressed, trained
from tests.test_cli import Ask, Run, ask, environment, run, sentence

__all__ = ["ask", "environment", "run"]  # fixtures of the command line

PAIR = [
    *("first", "second", "n", "only_first", "only_second", "both", "neither", "accuracy"),
    *("balanced_accuracy", "macro_f1", "mcnemar_p", "better", "verdict"),
]


@pytest.fixture
def two(phantoms: Path, home: Path) -> tuple[Trained, Trained]:
    """A home, to be written to, with two finished runs of one dataset."""
    runs = trained(phantoms, LONG), trained(phantoms, SHORT)
    for one in runs:
        shutil.copytree(one.settings.home, home, dirs_exist_ok=True)
    return runs


def test_compare(ask: Ask, run: Run, two: tuple[Trained, Trained]) -> None:
    names = [one.run for one in two]
    status, document = ask("compare", *names)
    assert status == 0
    (pair,) = document["pairs"]
    assert list(pair) == PAIR
    assert [one["run"] for one in document["runs"]] == names == [pair["first"], pair["second"]]
    right = {one["run"]: one["right"] for one in document["runs"]}
    assert right[pair["second"]] - right[pair["first"]] == pair["only_second"] - pair["only_first"]
    status, out, _ = run("compare", *names)
    assert status == 0
    assert f"On the {document['n']} test images that all of them have" in out
    assert ("not distinguishable" in out) == (pair["better"] is None)


def test_compare_refuses_what_can_not_be_compared(
    run: Run, two: tuple[Trained, Trained], home: Path
) -> None:
    one, other = (found.run for found in two)
    assert "name two runs" in sentence(run("compare", one, one[:8])[2])
    assert "no run" in sentence(run("compare", one, "0123")[2])
    job = home / "runs" / other / "job.json"
    edit(job, '"NORMAL"', '"HEALTHY"')
    status, out, err = run("compare", one, other)
    assert (status, out) == (1, "")
    assert "other classes can not be compared" in sentence(err)


def test_evaluate_by_a_column(ask: Ask, run: Run, two: tuple[Trained, Trained]) -> None:
    name = two[0].run
    status, document = ask("evaluate", name, "--by", "source")
    assert status == 0
    assert sum(part["n"] for part in document["subgroups"]) == document["n"]
    assert "balanced accuracy" in run("evaluate", name, "--by", "source")[1]
    status, _, err = run("evaluate", name, "--by", "shoe size")
    assert status == 1
    assert "can not be parted by “shoe size”; what there is: label, source" in sentence(err)


def test_operate_and_what_predictions_make_of_it(
    ask: Ask, run: Run, two: tuple[Trained, Trained], home: Path
) -> None:
    found = two[0]
    classes = ask("evaluate", found.run)[1]["classes"]
    name = classes[0]
    image = found.dataset.root / found.dataset.index["file"].iloc[-1]
    (plain,) = ask("predict", found.run, image)[1]
    low = min(0.9, plain["probabilities"][name])
    assert plain["answer"] != name

    _, tried = ask("operate", found.run, "--threshold", f"{name}={low}")
    assert not tried["saved"] and ask("predict", found.run, image)[1][0]["answer"] != name
    _, kept = ask("operate", found.run, "--threshold", f"{name}={low}", "--positive", name,
                  "--prevalence", "0.05", "--save")  # fmt: skip
    assert kept["saved"] and list(kept["classes"]) == [name]
    assert kept["classes"][name]["prevalence"] == 0.05
    assert kept["confusion"] == tried["confusion"]
    assert ask("operate", found.run)[1]["thresholds"] == {name: low}

    (moved,) = ask("predict", found.run, image)[1]
    assert moved["answer"] == name and moved["probabilities"] == plain["probabilities"]
    assert f"most probable class is {plain['answer']}" in moved["warnings"][0]
    _, out, err = run("predict", found.run, image)
    assert f"{name} from" in err and "most probable class" in out

    assert ask("operate", found.run, "--clear")[1]["thresholds"] == {}
    assert ask("predict", found.run, image)[1][0]["answer"] == plain["answer"]
    assert not RunStore(Settings(home=home)).operating(found.run)


def test_the_cheapest_threshold_and_nonsense(
    ask: Ask, run: Run, two: tuple[Trained, Trained]
) -> None:
    found = two[0].run
    name = ask("evaluate", found)[1]["classes"][0]
    _, document = ask("operate", found, "--positive", name, "--cheapest", "--miss-cost", "20")
    assert 0 < document["thresholds"][name] < 1 and not document["saved"]
    for options, words in (
        (("--cheapest",), "Say which class is looked for"),
        (("--threshold", "high"), "is no threshold"),
        (("--threshold", "cat=0.5"), "'cat' is not one of the classes"),
        (("--threshold", f"{name}=2"), "is not above 0 and at most 1"),
        (("--positive", name, "--prevalence", "24"), "prevalence of 24"),
    ):
        status, out, err = run("operate", found, *options)
        assert (status, out) == (1, "")
        assert words in sentence(err)


def test_stress(ask: Ask, run: Run, phantoms: Path, home: Path) -> None:
    name = stressed(phantoms).run
    copied(stressed(phantoms), phantoms, home)
    status, document = ask("stress", name[:8])
    assert status == 0
    assert (document["run"], document["test_opened"]) == (name, 1)
    assert "stamp" not in document
    assert document["lungs"] == {"masks": document["n"], "boxes": 0}
    for part in ("lungs_out", "lungs_only"):
        low, high = document[part]["accuracy_ci"]
        assert low <= document[part]["accuracy"] <= high and document[part]["verdict"]
    sources = document["leave_one_source_out"]
    assert {one["source"] for one in sources["sources"]} == {"Hospital A", "Hospital B"}
    assert document["command"] == f"python -m covidcore stress {name}"
    status, out, _ = run("stress", name)
    assert status == 0
    for part in ("Lungs out", "Lungs only", "Attention in lungs", "Leave one source out"):
        assert f"{part}: " in out
    assert sources["verdict"] in out and document["corruptions_verdict"] in out
    assert "shown 2 times" in out  # each time it is shown is a look at the test images
    assert "no run" in sentence(run("stress", "0123")[2])
