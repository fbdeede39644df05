"""Datasets of Kaggle, from a server that only plays it: named, downloaded once, gone on with."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data import kaggle
from covidcore.data.index import scan
from covidcore.data.kaggle import DEFAULT, cancel, fetch, parse, start, state
from covidcore.data.kaggle_folder import Folder, Handle
from covidcore.data.sources import resolve
from covidcore.errors import ArchiveError, DataError, Stopped
from tests.conftest import ROOT, MakeDataset
from tests.data.fake_kaggle import FakeKaggle
from tests.data.zips import Part, archive, zip_folder
from tests.runs import wait_until

OWNER, NAME = DEFAULT.split("/")
MEGABYTE = 2**20
needs_kagglehub = pytest.mark.usefixtures("kagglehub")


@pytest.fixture
def kagglehub() -> None:
    pytest.importorskip("kagglehub", reason="kagglehub (requirements.txt) is not installed")


@pytest.fixture
def source(make_dataset: MakeDataset) -> Path:
    """A dataset of which the archive has more than the chunk of a megabyte that is read at once."""
    folder = make_dataset({"COVID": 3, "Normal": 3}, inner="images", masks=True)
    (folder / "metadata.csv").write_text("file,source\nCOVID/images/COVID-1.png,SIRM\n")
    noise = random.Random(0).randbytes(3 * MEGABYTE)
    (folder / "COVID/images/noise.png").write_bytes(noise)
    return folder


@pytest.fixture
def server(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKaggle]:
    """Kaggle as a child process of this test sees it."""
    fake = FakeKaggle(zip_folder(source, tmp_path / "bundle.zip", "Database/").read_bytes())
    fake.be_found(monkeypatch)
    yield fake
    fake.close()


@pytest.mark.parametrize(
    ("spec", "handle"),
    [
        ("kaggle", Handle(OWNER, NAME)),
        ("kaggle:a/b", Handle("a", "b")),
        ("kaggle:Some-one/a_b-9/versions/12", Handle("Some-one", "a_b-9", 12)),
    ],
)
def test_what_is_meant(spec: str, handle: Handle) -> None:
    assert kaggle.is_spec(spec)
    assert parse(spec) == handle


@pytest.mark.parametrize(
    "spec",
    [
        *(
            "kaggle:",
            "kaggle:a",
            "kaggle:a/b/c",
            "kaggle:../b",
            "kaggle:a/..",
            "kaggle:a/b/versions/",
        ),
        *(
            "kaggle:a/b/versions/0",
            "kaggle:a/b/versions/x",
            "kaggle:a /b",
            "kaggle:/a/b",
            "kaggle:-/b",
        ),
        "kaggle:https://www.kaggle.com/datasets/a/b",
    ],
)
def test_what_names_nothing(spec: str, settings: Settings) -> None:
    with pytest.raises(DataError, match="names no dataset of Kaggle: write kaggle:owner/name"):
        resolve(spec, settings)
    assert not settings.home.exists()


@needs_kagglehub
def test_a_dataset_comes_in_and_stays(
    server: FakeKaggle, source: Path, settings: Settings, tmp_path: Path
) -> None:
    steps: list[str] = []
    assert state("kaggle", settings).phase == "absent"
    dataset = resolve("kaggle", settings, moving=lambda what, done, total: steps.append(what))
    assert dataset.fingerprint == scan(source, settings.home).fingerprint
    assert dataset.layout == "v5"
    assert "covid19-radiography-database-v3-" in str(dataset.root)
    assert [what for what, _ in server.asked] == ["GetDataset", "DownloadDataset", "files"]
    assert server.calls("DownloadDataset")[0]["datasetVersionNumber"] == 3
    assert server.calls("files")[0]["query"] == "v=3"
    assert any(step.startswith("Unpacking ") for step in steps)
    assert state("kaggle", settings) == kaggle.State("imported", 3)
    assert not list((settings.home / "kaggle").rglob("*.zip*"))
    server.newest = 4  # a name means what it meant before, and needs no network
    assert resolve("kaggle", settings).root == dataset.root
    assert resolve(f"kaggle:{DEFAULT}/versions/3", settings).root == dataset.root
    assert len(server.asked) == 3
    assert state(f"kaggle:{DEFAULT}/versions/4", settings).phase == "absent"
    shutil.rmtree(dataset.root.parent)
    assert resolve("kaggle", settings).root != dataset.root
    assert server.calls("DownloadDataset")[1]["datasetVersionNumber"] == 4


@needs_kagglehub
def test_a_version_that_was_named(server: FakeKaggle, settings: Settings) -> None:
    exact, path = fetch(parse(f"kaggle:{DEFAULT}/versions/2"), settings)
    assert exact == Handle(OWNER, NAME, 2)
    assert path.read_bytes() == server.archive
    assert not server.calls("GetDataset")
    assert server.calls("DownloadDataset")[0]["datasetVersionNumber"] == 2


@needs_kagglehub
def test_nobody_s_credentials_are_sent(
    server: FakeKaggle, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = tmp_path / "person/.kaggle"
    person.mkdir(parents=True)
    (person / "kaggle.json").write_text(json.dumps({"username": "u", "key": "secret"}))
    (person / "access_token").write_text("secret")
    monkeypatch.setenv("HOME", str(person.parent))
    monkeypatch.setenv("KAGGLE_USERNAME", "u")
    monkeypatch.setenv("KAGGLE_KEY", "secret")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
    fetch(parse("kaggle"), settings)
    assert server.credentials == []
    assert sorted(path.name for path in person.rglob("*")) == ["access_token", "kaggle.json"]
    assert list(person.parent.iterdir()) == [person]


@needs_kagglehub
def test_a_second_start_follows_the_first(server: FakeKaggle, settings: Settings) -> None:
    server.hold_after = 2 * MEGABYTE
    start("kaggle", settings)
    wait_until(lambda: state("kaggle", settings).done >= MEGABYTE, "half of it")
    now = state("kaggle", settings)
    assert (now.phase, now.version, now.total) == ("downloading", 3, len(server.archive))
    assert MEGABYTE <= now.done < now.total
    text = kaggle.describe(parse("kaggle"), now)
    assert text == f"Downloading {DEFAULT}, version 3, from Kaggle"
    start("kaggle", settings)
    other = child(settings)  # as another server on the same home would
    assert other.wait(120) == 0
    seen: list[tuple[int, int]] = []
    found: list[Path] = []
    waiter = threading.Thread(
        target=lambda: found.append(
            fetch(parse("kaggle"), settings, lambda _, *size: seen.append(size))[1]
        )
    )
    waiter.start()
    wait_until(lambda: seen, "the second to follow")
    server.go_on.set()
    waiter.join(120)
    assert found[0].read_bytes() == server.archive
    assert all(total == len(server.archive) for _, total in seen)
    assert [what for what, _ in server.asked] == ["GetDataset", "DownloadDataset", "files"]
    assert state("kaggle", settings).phase == "downloaded"


def child(settings: Settings, version: int = 0) -> "subprocess.Popen[bytes]":
    """The process that downloads, to be killed."""
    command = [*(sys.executable, "-m", "covidcore.data.kaggle_fetch"), str(settings.home)]
    return subprocess.Popen([*command, OWNER, NAME, str(version)], cwd=ROOT)


@needs_kagglehub
def test_a_killed_download_leaves_nothing_and_goes_on(
    server: FakeKaggle, source: Path, settings: Settings
) -> None:
    server.hold_after = 2 * MEGABYTE + 100
    process = child(settings)
    wait_until(lambda: state("kaggle", settings).done >= MEGABYTE, "half of it")
    process.kill()
    process.wait()
    now = state("kaggle", settings)
    assert (now.phase, now.version) == ("stopped", 3)
    assert not (settings.home / "imports").exists()
    server.newest = 4  # the version that was begun is not the newest any more
    dataset = resolve(f"kaggle:{DEFAULT}/versions/3", settings)
    assert dataset.fingerprint == scan(source, settings.home).fingerprint
    assert f"bytes={now.done}-" in [call["range"] for call in server.calls("files")]


@needs_kagglehub
def test_a_connection_that_breaks_is_taken_up_again(server: FakeKaggle, settings: Settings) -> None:
    server.break_after = MEGABYTE + 5000
    _, path = fetch(parse("kaggle"), settings)
    assert path.read_bytes() == server.archive
    ranges = [call["range"] for call in server.calls("files")]
    assert ranges[0] == ""
    assert ranges[-1].startswith("bytes=")


@needs_kagglehub
def test_a_cancelled_download_goes_on(server: FakeKaggle, settings: Settings) -> None:
    server.hold_after = 2 * MEGABYTE

    def stop(what: str, done: int, total: int) -> None:
        if done:
            cancel("kaggle", settings)

    with pytest.raises(Stopped, match="was stopped; the next one goes on with it"):
        fetch(parse("kaggle"), settings, stop)
    now = state("kaggle", settings)
    assert (now.phase, now.version) == ("stopped", 3)
    _, path = fetch(parse("kaggle"), settings)
    assert path.read_bytes() == server.archive
    assert any(call["range"] for call in server.calls("files"))


@needs_kagglehub
@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            403,
            r"Kaggle has no public dataset nobody/nothing \(it answered 403\)\. The zip can also",
        ),
        (
            404,
            r"Kaggle has no public dataset nobody/nothing \(it answered 404\)\. The zip can also",
        ),
        (503, r"Kaggle answered 503: try again later\. The zip can also"),
    ],
)
def test_refusals_are_told(
    server: FakeKaggle, settings: Settings, code: int, sentence: str
) -> None:
    server.fail = code
    with pytest.raises(DataError, match=sentence):
        resolve("kaggle:nobody/nothing", settings)
    now = state("kaggle:nobody/nothing", settings)
    assert now.phase == "failed"
    assert "https://www.kaggle.com/datasets/nobody/nothing" in now.message


@needs_kagglehub
def test_no_network(server: FakeKaggle, settings: Settings) -> None:
    server.close()
    with pytest.raises(
        DataError, match=r"Kaggle could not be reached\. The zip can also be fetched"
    ):
        resolve("kaggle", settings)
    assert state("kaggle", settings).phase == "failed"


def test_no_kagglehub(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kagglehub.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(DataError, match=r"kagglehub is not installed \(pip install -r"):
        resolve("kaggle", settings)


@needs_kagglehub
def test_an_archive_that_arrives_damaged(server: FakeKaggle, settings: Settings) -> None:
    server.md5 = "AAAAAAAAAAAAAAAAAAAAAA=="
    with pytest.raises(DataError, match=r"The download from Kaggle failed \(DataCorruptionError\)"):
        resolve("kaggle", settings)
    server.md5 = None
    assert len(resolve("kaggle", settings).index) == 6


@needs_kagglehub
def test_an_archive_that_is_refused_is_not_kept(server: FakeKaggle, settings: Settings) -> None:
    good, server.archive = server.archive, archive(Part("../evil.png", b"x"))
    with pytest.raises(ArchiveError, match="leads out"):
        resolve("kaggle", settings)
    assert not list(settings.home.rglob("*.zip*"))
    server.archive = good
    assert len(resolve("kaggle", settings).index) == 6


@needs_kagglehub
def test_a_disk_without_room(
    server: FakeKaggle, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from covidcore.data import kaggle_fetch

    full = shutil.disk_usage(settings.home.parent)._replace(free=MEGABYTE)
    monkeypatch.setattr(kaggle_fetch.shutil, "disk_usage", lambda _: full)
    before = dict(os.environ)
    try:
        assert kaggle_fetch.main(str(settings.home), OWNER, NAME, "0") == 1
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert "and the disk of " in (said := state("kaggle", settings).message)
    assert " has 0.0 GB left" in said


def test_the_demo_downloads_nothing(home: Path) -> None:
    settings = Settings(home=home, demo=True)
    for refused in (start, resolve):
        with pytest.raises(DataError, match="In the demo only phantoms can be used"):
            refused("kaggle", settings)
    assert not home.exists()


def test_the_newest_version_that_is_here(settings: Settings, tmp_path: Path) -> None:
    folder = Folder(Handle("a", "b"), settings)
    for version in (9, 10):
        place = tmp_path / str(version)
        place.mkdir()
        kaggle.note_imported(Handle("a", "b", version), place, settings)
    assert kaggle.imported(Handle("a", "b"), settings) == tmp_path / "10"
    assert kaggle.imported(Handle("a", "b", 9), settings) == tmp_path / "9"
    assert kaggle.imported(Handle("a", "b", 8), settings) is None
    folder.record(10).write_text("[]")
    assert kaggle.imported(Handle("a", "b"), settings) == tmp_path / "9"
    assert state("kaggle:a/b", settings) == kaggle.State("imported", 9)
