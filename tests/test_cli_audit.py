"""The verb ``audit``: its document, its text, and its refusals."""

import json
import re
from pathlib import Path

import pytest

from covidcore.cli import main
from covidcore.config import DISCLAIMER
from covidcore.data.phantoms import PhantomSpec, write

AUDIT = {
    *("fingerprint", "exact_duplicates", "near_duplicates", "leaks", "source_by_class"),
    *("cramers_v", "source_only_accuracy", "header_only_accuracy", "findings"),
}


@pytest.fixture(autouse=True)
def environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVIDCORE_HOME", str(home))


def test_the_document_and_its_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = PhantomSpec(images=60, size=64, cue="source", duplicates=3)
    folder = str(write(spec, tmp_path / "set"))
    assert main(["audit", folder, "--json", "--group-by", "both"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= AUDIT
    assert all({"level", "title", "detail"} <= set(one) for one in document["findings"])
    assert document["split"]["group_by"] == "both"
    assert document["leaks"]["this_split"] == 0
    assert main(["audit", folder, "--split", "60/20/20", "--exclude-source", "Hospital B"]) == 0
    text = capsys.readouterr().out
    assert "split 60/20/20 by patient, seed 0" in text
    assert re.search(r"ERROR: COVID-19 \(2\d images\): from sources that hold no other", text)
    assert "Hospital C" in text and "Cramér's V" in text
    assert text.rstrip().endswith(DISCLAIMER)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--group-by", "hospital"], "“hospital” is not a way to group"),
        (["--split", "70/30"], "“70/30” is not a split"),
        (["--exclude-source", "Mars"], "no source “Mars”"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(
    arguments: list[str], sentence: str, phantoms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", str(phantoms), *arguments]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert sentence in shown.err and len(shown.err.strip().splitlines()) == 1
