"""What another program, or a stranger's words, may do to a home: nothing outside is touched.

Links and pipes among the runs and datasets, indices that lead out, ids that are paths, values that
are far too long. Docs: security.md.
"""

import json
import os
import threading
from pathlib import Path

import pytest

from covidcore import storage
from covidcore.cli import main
from covidcore.config import Settings
from covidcore.data.index import dataset_folder, known, load, scan
from covidcore.errors import CovidcoreError, DataError, RecipeError, RunError
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from covidcore.training.recipe import PRESETS, Recipe
from covidcore.wording import brief, without_folders
from tests.conftest import MakeDataset
from tests.runs import write_run

QUICK = PRESETS["quick"].recipe
NAMES = (
    *(
        "../../etc",
        "..",
        ".",
        "/",
        "/etc/passwd",
        "a/../../b",
        "a\\..\\b",
        "\0",
        "\n",
        "*",
        "[a-z]*",
    ),
    *(
        "~root",
        "%2e%2e",
        "\u202e",
        "\ud800",
        "x" * 5000,
        "",
        " ",
        "CON",
        "-1",
        "--help",
        "\uff19" * 80,
    ),
)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_ids_that_are_no_ids(settings: Settings, name: str) -> None:
    write_run(settings.home, "abcd", State.DONE)
    store = RunStore(settings)
    asked = (store.find, store.info, store.path, store.remove, store.resume, store.predictions)
    for ask in (*asked, lambda one: load(one, settings.home)):
        with pytest.raises((RunError, DataError)) as told:
            ask(name)
        assert len(str(told.value)) < 5300
    assert [run.run for run in RunStore(settings).queue.folders()] == ["abcd"]


def test_links_among_the_runs_are_no_runs(settings: Settings, tmp_path: Path) -> None:
    theirs = write_run(tmp_path / "elsewhere", "beef", State.FAILED)
    write_run(settings.home, "abcd", State.DONE)
    before = {path: path.read_bytes() for path in theirs.path.iterdir() if path.is_file()}
    (settings.home / "runs" / "beef").symlink_to(theirs.path)
    store = RunStore(settings)
    assert [info.run for info in store.list()] == ["abcd"]
    assert [folder.run for folder in store.queue.folders()] == ["abcd"]
    for ask in (store.info, store.resume, store.remove, store.cancel, store.find):
        with pytest.raises(RunError, match="There is no run"):
            ask("beef")
    assert {path: path.read_bytes() for path in theirs.path.iterdir() if path.is_file()} == before


def test_junk_among_the_runs_is_passed_over(settings: Settings) -> None:
    runs = settings.home / "runs"
    write_run(settings.home, "abcd", State.DONE)
    for number, junk in enumerate(
        (b"[]", b"null", b"[" * 100_000, b"\xff", b"{}", b'{"recipe": 5}')
    ):
        for name in ("job.json", "status.json", "history.csv", "log.txt", "predictions.parquet"):
            storage.write_bytes(runs / f"junk{number}" / name, junk)
    (runs / "afile").write_text("x")
    (runs / "loop").symlink_to(runs / "loop")
    os.mkfifo(runs / "pipe")
    (runs / "pipes").mkdir()
    for name in ("job.json", "status.json"):
        os.mkfifo(runs / "pipes" / name)
    assert [info.run for info in within(10, lambda: RunStore(settings).list())] == ["abcd"]


def test_a_pipe_or_device_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    for name in ("pipe.json", "zero.json", ""):
        with pytest.raises(DataError, match="it is no file"):
            within(10, lambda name=name: storage.read_json(tmp_path / name))


def within(seconds: float, work):
    """What ``work`` returns or raises; it may not wait for ever."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(work())
        except CovidcoreError as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, "it waits for ever"
    if isinstance(found[0], CovidcoreError):
        raise found[0]
    return found[0]


def test_links_among_the_datasets_are_no_datasets(
    settings: Settings, make_dataset: MakeDataset, tmp_path: Path
) -> None:
    theirs = scan(make_dataset(), tmp_path / "their home")
    mine = scan(make_dataset(), settings.home)
    folder = dataset_folder(settings.home, theirs.fingerprint)
    folder.symlink_to(dataset_folder(tmp_path / "their home", theirs.fingerprint))
    assert [info.fingerprint for info in known(settings.home)] == [mine.fingerprint]
    with pytest.raises(DataError, match="No dataset"):
        load(theirs.fingerprint, settings.home)


@pytest.mark.parametrize("column", ["file", "mask"])
@pytest.mark.parametrize("name", ["../../secret.png", "/etc/secret.png", "a/../../x.png"])
def test_an_index_that_leads_out_is_not_opened(
    settings: Settings, make_dataset: MakeDataset, column: str, name: str
) -> None:
    dataset = scan(make_dataset(), settings.home)
    table = dataset.index.copy()
    table.loc[1, column] = name
    folder = dataset_folder(settings.home, dataset.fingerprint)
    storage.write_table(folder / "index.parquet", table)
    with pytest.raises(DataError, match="scan it again"):
        load(dataset.fingerprint, settings.home)


WRONG = {
    "weights": 5,
    "epochs": 3.5,
    "seed": True,
    "split": 70,
    "exclude_sources": [1],
    "arch": None,
}


@pytest.mark.parametrize("field", WRONG)
def test_stored_recipes_of_other_types_are_refused(field: str) -> None:
    with pytest.raises(RecipeError):
        Recipe.from_json({**QUICK.to_json(), field: WRONG[field]})


def test_stored_recipes_come_back() -> None:
    for preset in PRESETS.values():
        values = json.loads(json.dumps(preset.recipe.to_json()))
        assert Recipe.from_json(values) == preset.recipe
    assert Recipe.from_json({**QUICK.to_json(), "weight_decay": 0}).weight_decay == 0


SETS = ("epochs={}", "seed={}", "split={}", "arch={}", "learning_rate={}", "precision={}", "{}=1")


@pytest.mark.parametrize("text", SETS)
@pytest.mark.parametrize("value", ["9" * 5000, "1\n2\u202e", "nan", "\0", "$(id)", "../../x"])
def test_values_of_set_are_refused_in_a_short_sentence(text: str, value: str) -> None:
    name, typed = text.format(value).split("=", 1) if text != "{}=1" else (value, "1")
    with pytest.raises(RecipeError) as told:
        QUICK.with_overrides({name: typed})
    said = str(told.value)
    assert "\n" not in said and "\u202e" not in said and len(said) < 500


@pytest.mark.parametrize("weights", ["\0", "/dev/zero", "/etc", "x" * 5000, "~nobody/x"])
def test_weights_are_weights_or_a_sentence(
    settings: Settings,
    make_dataset: MakeDataset,
    weights: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COVIDCORE_HOME", str(settings.home))
    folder = make_dataset({"a": 12, "b": 12})
    assert main(["train", str(folder), "--set", f"weights={weights}"]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert "Traceback" not in said[-1] and said[-1].endswith((".", ").")), said[-1]


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("/srv/a home/runs/ab/x.png is gone.", "…/runs/ab/x.png is gone."),
        ("/srv/a home can not be written to.", "… can not be written to."),
        ("There is no folder /etc/ssl/private.", "There is no folder …/private."),
        ("C:\\Users\\me\\x.csv is bad.", "…/x.csv is bad."),
        ("“/data/x.png” of “COVID/a.png”", "“…/x.png” of “COVID/a.png”"),
        ("70/10/20 or train/val, see http://a.b/c", "70/10/20 or train/val, see http://a.b/c"),
    ],
)
def test_strangers_are_not_told_where_things_lie(told: str, kept: str) -> None:
    assert without_folders(told, Path("/srv/a home"), None) == kept


def test_what_was_typed_is_quoted_in_brief() -> None:
    assert brief("a\u202eb\nc") == "abc"
    assert brief("x" * 61) == "x" * 60 + "…"
    assert brief("x" * 60) == "x" * 60
