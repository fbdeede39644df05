"""A report: only what is stored is said, each number has its command, no name is ever markup."""

import copy
import re
import shlex
from html.parser import HTMLParser

import pytest

from covidcore.config import DISCLAIMER
from covidcore.evaluation.report import as_json, compose
from covidcore.evaluation.report_answers import NOT_REPORTED, checklists, facts
from covidcore.evaluation.report_checks import TO_MEASURE
from covidcore.evaluation.report_commands import commands
from covidcore.evaluation.report_html import as_html
from covidcore.evaluation.report_items import CHECKLISTS
from covidcore.evaluation.report_markdown import as_markdown

VOID = {"meta", "br"}
EVIL = "<img src=x onerror=alert(1)>|[a](http://evil)`*"


def evaluation(classes):
    per_class = {
        name: {
            "n": 10, "recall": 0.8, "recall_ci": [0.49, 0.943], "specificity": 0.9,
            "specificity_ci": [0.6, 0.98], "precision": None, "precision_ci": [None, None],
            "f1": 0.8, "f1_ci": [0.5, 0.95], "auc": 0.97, "auc_ci": [0.9, 0.99],
        }
        for name in classes
    }  # fmt: skip
    return {
        "run": "0123456789abcdef", "dataset": "f" * 32, "n": 20, "classes": classes,
        "confusion": [[8, 2], [1, 9]], "accuracy": 0.85, "accuracy_ci": [0.640, 0.948],
        "balanced_accuracy": 0.85, "balanced_accuracy_ci": [0.65, 0.95], "macro_f1": 0.849,
        "macro_f1_ci": [0.64, 0.95], "auc_macro": 0.97, "auc_macro_ci": [0.9, 0.99], "loss": 0.4,
        "temperature": 1.25, "ece": 0.04, "ece_uncalibrated": 0.07, "source_only_accuracy": 0.6,
        "per_class": per_class,
    }  # fmt: skip


@pytest.fixture
def bare():
    """What is stored of any finished run whose dataset is gone and for which nothing was asked."""
    classes = ["COVID-19", EVIL]
    counts = dict.fromkeys(classes, 10)
    recipe = {
        "preset": "quick", "arch": "resnet18", "trainable": "head", "epochs": 3, "batch_size": 32,
        "learning_rate": 0.001, "schedule": "cosine", "weight_decay": 0.01, "label_smoothing": 0.0,
        "augment": "none", "class_weights": "none", "seed": 7, "split": "70/10/20",
        "group_by": "both", "exclude_sources": ["a hospital", EVIL], "ema_decay": 0.0,
    }  # fmt: skip
    return {
        "run": "0123456789abcdef", "name": EVIL, "made": "2026-11-23T10:00:00.000+00:00",
        "software": "0.1.0", "changed": {"seed": 7, "exclude_sources": ["a hospital", EVIL]},
        "job": {"recipe": recipe, "dataset": "f" * 32, "dataset_name": EVIL, "classes": classes,
                "split": "5" * 32, "weights": {"name": "none", "id": "none", "note": ""}},
        "status": {"epoch": 3, "best_epoch": 2, "val_loss": 0.5}, "contract": None,
        "evaluation": evaluation(classes), "test_opened": 3,
        "sets": {"train": counts, "val": counts, "test": counts}, "test_groups": 18,
        "data": None, "audit": None, "ledger": None, "folds": [], "outside": [], "stress": None,
        "operating": None, "subgroups": None,
    }  # fmt: skip


@pytest.fixture
def full(bare):
    """The same with everything that can be stored."""
    classes, found = bare["job"]["classes"], copy.deepcopy(bare)
    share = {"accuracy": 0.5, "accuracy_ci": [0.4, 0.6], "n": 9}
    screened = {
        name: value
        for figure in ("sensitivity", "specificity", "ppv", "npv")
        for name, value in ((figure, 0.75), (f"{figure}_ci", [0.7, 0.8]))
    }
    drop = {"accuracy": {"difference": 0.123, "ci": [0.1, 0.2]}}
    return found | {
        "data": {
            "name": EVIL, "synthetic": False, "layout": "flat", "images": 2907,
            "classes": dict.fromkeys(classes, 30), "ignored": {"masks": 4, "hidden": 0},
            "unreadable": 2, "patients_known": 41, "sources_known": 60,
            "sources": {EVIL: dict.fromkeys(classes, 30)},
            "people": {"sex": {"test": {"F": 11, "unknown": 9}}, "age": {},
                       "view": {"test": {"PA": 20}}},
        },
        "contract": {
            "preprocessing": {"image_size": 224, "resize": "squash", "channels": "grey",
                              "mean": [0.5] * 3, "std": [0.25] * 3},
            "sha256": "e" * 64, "trained_with": {"torch": "2.15.0"},
        },
        "audit": {"findings": [{"level": "error", "title": EVIL, "consequence": "It misleads."}],
                  "header_only": share, "border_only": share},
        "ledger": [{"kind": "any", "with": {"n": 5, "accuracy": 1.0, "ci": [0.6, 1.0]},
                    "without": {"n": 15, "accuracy": 0.8, "ci": [0.5, 0.9]}}],
        "folds": [{"folds": 5, "repeats": 3, "n": 60, "group_by": "both",
                   "groupings": {"both": {"accuracy": 0.7, "ci": [0.6, 0.8],
                                          "per_fold": [0.61, 0.79]}}}],
        "outside": [{"key": "abc", "on": {"name": EVIL}, "dataset": "b" * 32, **share,
                     "mapping": {EVIL: "COVID-19"}, "drop": drop, "set_aside": {"images": 13}}],
        "stress": {"lungs_out": {**share, "verdict": "It reads what is not lungs."},
                   "lungs_only": share, "corruptions_verdict": "Blur breaks it.",
                   "attention": {"n": 20, "share": 0.41, "area": 0.37, "verdict": "As chance."},
                   "leave_one_source_out": {"sources": [{"source": EVIL, **share}],
                                            "verdict": "It collapses."}},
        "operating": {"thresholds": {"COVID-19": 0.3},
                      "effect": {"COVID-19": {"prevalence": 0.05, **screened}}},
        "subgroups": {"source": [{"value": EVIL, **share}], "sex": [{"value": "F", **share}]},
    }  # fmt: skip


class Tags(HTMLParser):
    """Every tag, whether all are closed in turn, and what links to where."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.ids, self.links, self.others = [], set(), set(), [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                assert value not in self.ids
                self.ids.add(value)
            elif name == "href":
                self.links.append(value)
            elif name in ("src", "srcset", "action", "data", "style", "xmlns"):
                self.others.append((tag, name))
            assert not name.startswith("on")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag


def test_numbers_of_items_are_those_of_the_checklists():
    claim, tripod = ([item.number for item in items] for items in CHECKLISTS.values())
    assert claim == [str(number) for number in range(1, 45)]
    parts = {3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef",
             20: "abc", 23: "ab", 27: "abc"}  # fmt: skip
    expected = [f"{n}{part}" for n in range(1, 28) for part in parts.get(n, [""])]
    assert tripod == expected and len(tripod) == 52


def test_every_fact_that_an_item_names_can_be_said(full):
    named = {fact for items in CHECKLISTS.values() for item in items for fact in item.facts}
    assert named <= set(facts(full))
    assert set(TO_MEASURE) <= named


def test_what_is_not_stored_is_not_reported(bare):
    rows = {name: {row.number: row for row in rows} for name, rows in checklists(bare).items()}
    claim = rows["CLAIM 2024"]
    for number in ("2", "9", "11", "13", "14", "18", "30", "31", "33", "44"):
        assert not claim[number].said, number
    assert "To measure: python -m covidcore stress 0123456789ab" in claim["31"].to_do
    assert "evaluate 0123456789ab --on DATASET" in claim["33"].to_do
    assert claim["44"].to_do == "To write: who paid, and what part they had."
    assert all(row.said or row.to_do for one in rows.values() for row in one.values())
    document = as_json(bare)["checklists"]["CLAIM 2024"]
    assert {one["text"] for one in document if not one["reported"]} == {NOT_REPORTED}
    assert as_html(compose(bare)).count(f'<span class="lack">{NOT_REPORTED}</span>') >= 44


def test_stored_facts_answer_items(bare, full):
    before, after = (
        {row.number for row in checklists(one)["CLAIM 2024"] if row.said} for one in (bare, full)
    )
    assert before < after and {"9", "30", "31", "33", "13"} <= after - before
    said = {name: " ".join(one.text for one in cell) for name, cell in facts(full).items()}
    assert "17 of 20" in said["accuracy"] and "85.0 % (64.0 to 94.8 %)" in said["accuracy"]
    assert "opened 3 times" in said["opened"]
    assert "2,907" in said["dataset"] and "Unreadable: 2" in said["left_out"]
    assert "4 masks" in said["left_out"] and "hidden" not in said["left_out"]
    assert "41 of 2,907" in said["unknown"]
    assert "seed 7" in said["split"] and "5" * 32 in said["split"]
    assert "224 x 224" in said["preprocessing"] and "2 of 3" in said["selection"]
    assert "5 of 20 test images" in said["leaks"]
    assert "61.0 % to 79.0 %" in said["folds"]
    assert "+12.3 points (+10.0 to +20.0)" in said["outside"] and ": 13." in said["outside"]
    assert "It reads what is not lungs." in said["stress"] and "Blur breaks it." in said["stress"]
    assert said["attention"] == "As chance." and "It collapses." in said["leave_one_source_out"]
    assert "from 30.0 % on" in said["operating"] and "F 11" in said["people"]
    assert "by patient" not in said["grouping"] and "near copies" in said["grouping"]
    assert "precision \N{EN DASH}" in said["per_class"]  # what does not exist is no 0


def test_every_number_has_a_command_that_the_program_knows(full):
    from covidcore.cli import _parser

    report = compose(full)
    assert all(said.command for name, cell in facts(full).items() for said in cell)
    assert len(report.commands) >= 9
    for line in report.commands.values():
        program, *words = shlex.split(line)[2:]
        assert program == "covidcore"
        _parser().parse_args(words)
    train = _parser().parse_args(shlex.split(commands(full)["train"])[3:])
    assert train.set == ["seed=7", f"exclude_sources=a hospital,{EVIL}"]
    on = _parser().parse_args(shlex.split(report.commands["outside abc"])[3:])
    assert on.map == [f"{EVIL}=COVID-19"]


@pytest.mark.parametrize("kind", ["bare", "full"])
def test_html_is_whole_and_needs_nothing_else(kind, request):
    text = as_html(compose(request.getfixturevalue(kind)))
    tags = Tags(text)
    assert not tags.open and not tags.others
    assert tags.links and all(link.startswith("#") for link in tags.links)
    assert {link[1:] for link in tags.links} <= tags.ids
    assert not tags.seen & {"img", "script", "link", "iframe", "object", "form", "base"}
    assert "default-src 'none'" in text and "@import" not in text and "url(" not in text
    assert DISCLAIMER in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_markdown_shows_names_as_they_are(full):
    report = compose(full)
    text = as_markdown(report)
    assert DISCLAIMER in text
    body, footnotes = text.split("## Commands")
    assert not re.search(r"(?<!\\)<(?!br>)|(?<!\\)\[(?!\^\d+\])|(?<!\\)`", body)
    used = set(re.findall(r"(?<!\\)\[\^(\d+)\]", body))
    assert used == set(re.findall(r"^\[\^(\d+)\]: ", footnotes, re.MULTILINE))
    for line in body.splitlines():
        if line.startswith("|"):
            columns = len(re.findall(r"(?<!\\)\|", line)) - 1
            assert columns in (2, 3, 4), line
