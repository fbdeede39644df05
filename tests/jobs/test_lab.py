"""The shortcut lab: two sets that differ by a mark, and what is said of two runs."""

import functools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from covidcore import storage
from covidcore.config import Settings
from covidcore.errors import DataError
from covidcore.jobs import lab_process
from covidcore.jobs.lab import Lab, conclusions, lab_study
from covidcore.jobs.store import RunStore
from tests.once import once, process
from tests.runs import SHORT

# What is learnt in a second from so few is not what the lab shows; the border tells the mark.
SMALL = Lab(1.0, images=60, elsewhere=9, size=64, recipe=replace(SHORT, split="50/10/40"))


def make(home: Path) -> None:
    store = RunStore(Settings(home=home))
    study = lab_study(store, Lab().share)
    document = lab_process.answer(store, SMALL, lambda *_: None)
    storage.write_json(study.result, {**document, "stamp": study.stamp})


@functools.cache
def answered() -> tuple[Settings, dict[str, Any]]:
    """A home with a small lab in the place of the usual one, and its document; a copy of ours."""
    kept = once("lab", make)
    settings = Settings(home=shutil.copytree(kept, kept.with_name(f"lab-{process()}")))
    document = lab_study(RunStore(settings), Lab().share).stored()
    assert document is not None
    return settings, document


def test_the_sets_differ_by_the_mark_alone() -> None:
    settings, document = answered()
    folders = {path.name: path for path in settings.home.glob("phantoms/v*/lab-*/*")}
    names = ["lab, 100 % of COVID-19 marked", "lab, elsewhere", "lab, nothing marked"]
    assert sorted(folders) == names
    marked, plain = folders[names[0]], folders[names[2]]
    for file in sorted(plain.glob("*/images/*.png")):
        one, other = (
            np.asarray(Image.open(folder / file.relative_to(plain))).astype(int)
            for folder in (plain, marked)
        )
        apart = np.argwhere(one != other)
        if file.parts[-3] == document["marked_class"]:
            assert apart.size and apart.max() < 16  # in the corner
        else:
            assert not apart.size


def test_the_border_tells_the_mark_and_nothing_else() -> None:
    _, document = answered()
    plain, marked = (document["arms"][name] for name in ("plain", "marked"))
    assert not plain["border"]["red"]
    assert marked["border"]["red"]
    assert marked["border"]["accuracy"] > plain["border"]["accuracy"] + 0.2
    for arm in (plain, marked):
        assert arm["n"] == arm["lungs_out"]["n"] == 24 and arm["elsewhere"]["n"] == 9
        assert arm["lungs_out"]["red"] == (arm["lungs_out"]["finding"] == "above_chance")
    assert plain["run"] != marked["run"] and plain["dataset"] != marked["dataset"]
    assert document["conclusions"] == conclusions(document)


def test_the_conclusions_are_read_off_the_figures() -> None:
    _, document = answered()
    told = storage.plain(document)
    for arm, accuracy, red in (("plain", 0.61, False), ("marked", 0.85, True)):
        told["arms"][arm]["accuracy"] = accuracy
        for test in ("border", "lungs_out"):
            told["arms"][arm][test]["red"] = red
    first, border, lungs, _ = conclusions(told)
    assert "rose from 61.0 % to 85.0 %" in first
    for sentence in (border, lungs):
        assert "can not be told from chance; with them it beats chance" in sentence


@pytest.mark.parametrize("share", [0, -0.1, 1.2])
def test_what_is_no_share_is_refused(settings: Settings, share: float) -> None:
    with pytest.raises(DataError, match="share of marked images"):
        lab_study(RunStore(settings), share)
