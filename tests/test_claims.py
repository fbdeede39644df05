"""What README and the documents claim: pictures, trees, figures, the example, every command."""

import json
import re
import runpy
import shlex
import shutil
from pathlib import Path
from statistics import median

import pytest
from PIL import Image

from benchmarks.screenshots import PICTURES
from covidcore.cli import _parser, main
from covidcore.data.releases import COUNTS
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from covidcore.proportions import wilson
from tests.pages.conftest import with_a_run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
ROOMS = (ROOT / "docs" / "architecture.md").read_text("utf-8").split("```")[1]
RESULTS = (ROOT / "docs" / "results.md").read_text("utf-8")
DATA = ROOT / "docs" / "data.md"
PAGES = ("home", "explore", "train", "evaluate", "predict")
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def commands(document: Path) -> list[str]:
    """What follows ``python -m covidcore`` in a document's blocks for the shell."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text("utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    parted = (line.partition("python -m covidcore ") for line in lines)
    return [words for _, found, words in parted if found]


def test_every_picture_is_of_the_script_shown_and_small() -> None:
    files = {path.name: path for path in (ROOT / "docs" / "images").iterdir()}
    assert set(files) == {f"{name}.png" for name in PICTURES}
    for name, path in files.items():
        assert re.search(rf"!\[[^\]]{{30,}}\]\(docs/images/{name}\)", README)  # with a description
        with Image.open(path) as picture:
            assert picture.format == "PNG" and picture.width >= 960
    assert sum(path.stat().st_size for path in files.values()) < 600_000


def test_the_tree_is_what_is_there() -> None:
    tree = README.split("## Where things are")[1].split("```")[1]
    named = set(re.findall(r"(?:^|[;,] )([\w.]+(?:/|\.py))", tree, re.MULTILINE))
    assert len(named) >= 6
    assert all((ROOT / name).exists() for name in named)
    packages = {f"{path.parent.name}/" for path in ROOT.glob("*/*.py")}
    assert packages - {"docs/"} <= set(re.findall(r"\w+/", tree))


@pytest.mark.parametrize("folder", ["covidcore", "pages"])
def test_the_house_has_a_line_for_every_module(folder: str) -> None:
    named = set(re.findall(r"[\w*]+\.py", ROOMS))
    for path in sorted((ROOT / folder).rglob("*.py")):
        if path.name.startswith("__") or path.stem in PAGES:
            continue
        assert any(path.match(name) for name in named), f"{path.name} is not in the house"
    parts = (ROOT.glob("*.py"), *((ROOT / part).rglob("*.py") for part in ("covidcore", "pages")))
    there = {path.name for part in parts for path in part}
    assert {name for name in named if "*" not in name} <= there


def test_every_shown_command_is_understood() -> None:
    understood = 0
    for document in DOCUMENTS:
        for command in commands(document):
            words = shlex.split(command, comments=True)
            words = [word for word in words if word != "..."]  # as the line above it
            try:
                _parser().parse_args(words)
            except SystemExit:
                pytest.fail(f"{document.name}: {command}")
            understood += 1
    assert understood > 40


def test_the_example_in_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On fewer phantoms, and with the recipe of a run that is there."""
    with_a_run(tmp_path)
    monkeypatch.setenv("COVIDCORE_HOME", str(tmp_path))
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    code = code.replace("phantoms:240", "phantoms:60").replace(
        'preset("quick")', 'preset("quick").with_overrides({"weights": "none", "epochs": "3"})'
    )
    (tmp_path / "example.py").write_text(code, "utf-8")
    said = runpy.run_path(str(tmp_path / "example.py"))
    store = said["store"]
    assert isinstance(store, RunStore)
    assert store.info(str(said["run"])).state is State.DONE


def test_the_figures_follow_from_one_another() -> None:
    rows = re.findall(r"^\| `(\w+)` \| \d \| (\d+) \| \*\*([\d.]+) % \(([\d.]+)-([\d.]+)\)\*\*",
                      RESULTS, re.MULTILINE)  # fmt: skip
    assert len(rows) >= 10
    for _, images, *figures in rows:
        share, low, high = (float(figure) for figure in figures)
        bounds = wilson(round(share * int(images) / 100), int(images))
        assert [f"{100 * bound:.1f}" for bound in bounds] == [f"{low:.1f}", f"{high:.1f}"]
    plain = {}
    for preset in ("quick", "standard", "full"):
        plain[preset] = median(float(share) for name, _, share, *_ in rows if name == preset)
        assert re.search(rf"`{preset}` (?:\*\*)?{plain[preset]} %", RESULTS.split("Medians of")[1])
    assert "more than 95 of 100" in README and min(plain.values()) > 95
    alone = re.search(r"the source alone, and at no image, is right on ([\d.]+) %", RESULTS)
    assert "right about every second time" in README and alone and 45 < float(alone[1]) < 55
    assert f"{sum(COUNTS['v1'].values()):,} images" in README


def test_the_way_of_own_images_is_as_told(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """docs/data.md, up to training: images in any folders, and a table with their patients."""
    for name in ("HOME", "DATA", "DEMO"):
        monkeypatch.delenv(f"COVIDCORE_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    section = re.search(r"## Your own images\n(.*?)\n## ", DATA.read_text("utf-8"), re.DOTALL)
    assert section
    scan, audit, train = re.findall(r"python -m covidcore (.+)", section[1])
    folder = tmp_path / scan.split()[-1]
    shutil.copytree(
        phantoms, folder / "films", ignore=shutil.ignore_patterns("masks", "*.csv", "*.json")
    )
    files = sorted(folder.rglob("*.png"))
    rows = [f"{file.relative_to(folder).as_posix()},{file.relative_to(folder).parts[1]},p{at // 2}"
            for at, file in enumerate(files)]  # fmt: skip
    (folder / "labels.csv").write_text("\n".join(["file,label,patient", *rows]))
    for command in (scan, audit):
        assert main(shlex.split(command)) == 0
        assert "COVID-19" in capsys.readouterr().out
    assert main([*shlex.split(scan), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layout"] == "csv"
    assert folder.name in train
