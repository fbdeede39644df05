"""Names that are markup, formulas, written backwards or very long, on every page with results.

The home with a finished run, whose classes, files and run have other names: as if it had been so.
"""

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.index import dataset_folder, load
from covidcore.data.split import digest
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.store import RunStore
from tests.hostile import saved
from tests.pictures import picture

HOSTILE = (
    '=HYPERLINK("http://evil.example") ![t](http://evil.example/t.png)',
    "<img src=x onerror=alert(1)> :red[x] $x$ \u202etxt",
    "[link](javascript:alert(1)) `c` **bold** \u200b" + "ü" * 50,
)
MARKUP = ("![t](", "<img", ":red[", "$x$", "[link](", "**bold**", "`c`", "\u202e", "\u200b")
PLAIN = ("selectbox", "multiselect", "text", "code", "text_input", "number_input", "slider",
         "file_uploader", "download_button")  # fmt: skip
"""What shows its options, or all of its words, letter by letter; labels are Markdown everywhere."""
LABELS = ("label", "help", "caption", "body", "value", "text", "content")
VIEWS = ("Matrix", "Curves", "Calibration", "Operating point", "Subgroups", "Compare", "Report",
         "Another dataset", "Leaks and folds", "Stress tests")  # fmt: skip


@pytest.fixture(scope="module")
def renamed(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained home with hostile names in every stored file."""
    home = shutil.copytree(trained_home, tmp_path_factory.mktemp("names") / "home")
    (run,) = (info for info in RunStore(Settings(home=home)).list() if info.state is State.DONE)
    folder = RunFolder(home / "runs" / run.run)
    classes = folder.read_job()["classes"]
    to = dict(zip(classes, HOSTILE, strict=True))
    for path in (folder.job, folder.contract, folder.report):
        storage.write_json(path, _renamed(json.loads(path.read_text()), to))
    storage.write_table(folder.predictions, _table(pd.read_parquet(folder.predictions), to))
    storage.write_csv(folder.split, _table(pd.read_csv(folder.split, dtype=str), to))
    dealt = digest(pd.read_csv(folder.split, dtype=str, keep_default_na=False))
    names = {"name": HOSTILE[1], "dataset_name": HOSTILE[2], "split": dealt}
    storage.write_json(folder.job, {**folder.read_job(), **names})
    status = folder.status()
    written = folder.hash_artefacts() if status.get("artefacts") else {}
    folder.write_status(State.DONE, artefacts=written)
    data = dataset_folder(home, run.dataset)
    about = _renamed(json.loads((data / "dataset.json").read_text()), to)
    storage.write_json(data / "dataset.json", {**about, "name": HOSTILE[2]})
    index = load(run.dataset, trained_home).index
    storage.write_table(data / "index.parquet", _table(index, to))
    return home


def _renamed(value: object, to: dict[str, str]) -> object:
    """Every key and value that is the name of a class, or a path below it."""
    if isinstance(value, dict):
        return {str(_renamed(key, to)): _renamed(item, to) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, to) for item in value]
    if isinstance(value, str):
        first, slash, rest = value.partition("/")
        return to.get(first, first) + slash + rest if first in to else to.get(value, value)
    return value


def _table(table: pd.DataFrame, to: dict[str, str]) -> pd.DataFrame:
    found = table.rename(columns=lambda name: _column(str(name), to))
    words = [name for name in found if isinstance(found[name].iloc[0], str)]
    return found.assign(**{name: found[name].map(lambda one: _renamed(one, to)) for name in words})


def _column(name: str, to: dict[str, str]) -> str:
    prefix, mark, label = name.rpartition(":")
    return f"{prefix}{mark}{to.get(label, label)}"


@pytest.fixture
def here(renamed: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.setenv("COVIDCORE_HOME", str(renamed))
    return RunStore(Settings(home=renamed))


def rendered(app: AppTest) -> Iterator[tuple[str, str]]:
    """Kind of element and every text of it that a browser renders as Markdown."""
    for node in app._tree:
        proto = getattr(node, "proto", None)
        if isinstance(proto, Message):
            kind = str(node.type)
            for field, value in proto.ListFields():
                if field.type == field.TYPE_STRING and field.name != "id":
                    texts = [value] if isinstance(value, str) else list(value)
                    if kind in PLAIN and (field.name not in LABELS or kind in ("text", "code")):
                        continue
                    if kind.endswith(("_input", "slider")) and field.name in ("value", "default"):
                        continue
                    yield from ((f"{kind}.{field.name}", text) for text in texts)


def sound(app: AppTest) -> None:
    assert not app.exception, app.exception[0].message
    bad = [
        (where, text[:200])
        for where, text in rendered(app)
        if not where.startswith(("plotly_chart.", "dataframe.")) and markup_in(text)
    ]
    assert not bad


def markup_in(text: str) -> list[str]:
    """What is left of the names where escaped signs are taken off."""
    return [markup for markup in MARKUP if markup in re.sub(r"\\.", "", text)]


def charts_are_sound(app: AppTest) -> None:
    """What plotly draws; ``customdata`` comes back from a click, and is not drawn."""
    for chart in app.get("plotly_chart"):
        spec = json.loads(chart.proto.spec or chart.proto.figure.spec)
        for trace in spec["data"]:
            trace.pop("customdata", None)
        drawn = json.dumps(spec, ensure_ascii=False)
        assert "\u202e" not in drawn and "<img" not in drawn


@pytest.mark.parametrize("view", VIEWS)
def test_evaluate(here: RunStore, open_page, view: str) -> None:
    app = open_page("evaluate", view=view)
    sound(app)
    charts_are_sound(app)


@pytest.mark.parametrize("name", ["", "train", "predict"])
def test_other_pages(here: RunStore, open_page, name: str) -> None:
    app = open_page(name)
    sound(app)
    charts_are_sound(app)


def test_uploads_and_their_csv(here: RunStore, open_page) -> None:
    import covidcore.inference.predictor  # noqa: F401  which takes longer than a page may

    app = open_page("predict")
    names = [
        "=cmd()|x <img src=x>.png",
        "\u202egnp.exe ![t](b).png",
        "x" * 250 + ".png",
        "a\nb.png",
    ]
    for number, name in enumerate(names):
        app.file_uploader(key="uploads").upload(name, saved(picture(number)))
    app.run()
    sound(app)
    charts_are_sound(app)
    table = app.dataframe[0].value
    assert not table["file"].str.contains("[\u202e\n]", regex=True).any()


def test_the_report_to_take_away(here: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    from covidcore.cli import main

    to = here.settings.home / "report.html"
    assert main(["report", "latest", "--out", str(to)]) == 0
    page = to.read_text("utf-8")
    assert "<img src=x" not in page and "\u202e" not in page
    assert not re.search(r'href="(?!#|https://(?:doi|pubmed|www))[^"]*evil', page)
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") > 3
    text = here.settings.home / "report.md"
    assert main(["report", "latest", "--out", str(text)]) == 0
    assert not markup_in(text.read_text("utf-8"))


def test_the_table_of_the_shell(here: RunStore, tmp_path: Path) -> None:
    from covidcore.cli import main

    image = tmp_path / "=1+1 \u202e.png"
    image.write_bytes(saved(picture(1)))
    assert main(["predict", "latest", str(image), "--csv", str(tmp_path / "out.csv")]) == 0
    rows = list(csv.reader(io.StringIO((tmp_path / "out.csv").read_text("utf-8"), newline="")))
    assert len(rows) == 2
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
