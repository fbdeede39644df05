"""Bringing data in from the explore page: an archive from the browser, and Kaggle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.index import known
from covidcore.data.kaggle import state
from tests.data.fake_kaggle import FakeKaggle
from tests.data.zips import Part, archive, honest
from tests.pages.test_pages import click, texts
from tests.runs import wait_until


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKaggle]:
    pytest.importorskip("kagglehub", reason="kagglehub (requirements.txt) is not installed")
    fake = FakeKaggle(archive(*honest("Database/")))
    fake.be_found(monkeypatch)
    yield fake
    fake.close()


def test_an_archive_from_the_browser(home: Path, open_page) -> None:
    app = open_page("explore")
    app.file_uploader(key="archive").upload("my set.zip", archive(*honest())).run()
    click(app, "Read the archive")
    assert not app.error
    (info,) = known(home)
    assert info.name.startswith("my set-")
    assert info.classes == {"COVID": 3, "Normal": 3}
    assert next(one.value for one in app.metric if one.label == "Images") == "6"


def test_an_archive_that_is_refused(home: Path, open_page) -> None:
    app = open_page("explore")
    data = archive(*honest(), Part("../![x](y).png", b"x"))
    app.file_uploader(key="archive").upload("a*b*.zip", data).run()
    click(app, "Read the archive")
    (error,) = app.error
    assert error.value.startswith(r"a\*b\*\.zip is refused")
    assert "leads out" in error.value
    assert "![x]" not in error.value
    assert known(home) == []
    assert list((home / "imports").glob("*")) == []


def test_a_download_is_followed_however_often_the_page_is_drawn(
    home: Path, open_page, server: FakeKaggle
) -> None:
    server.hold_after = 3000
    app = click(open_page("explore"), "Fetch from Kaggle")
    settings = Settings(home=home)
    wait_until(lambda: state("kaggle", settings).total, "the download")
    for page in (app.run(), open_page("explore")):
        assert not any(one.label == "Fetch from Kaggle" for one in page.button)
        assert any(one.label == "Stop the download" for one in page.button)
    server.go_on.set()
    wait_until(lambda: not state("kaggle", settings).under_way, "its end")
    app.run()
    assert "Version 3" in texts(app).replace("\\", "")
    click(app, "Unpack and read it")
    assert not app.error
    assert [info.classes for info in known(home)] == [{"COVID": 3, "Normal": 3}]
    assert [what for what, _ in server.asked] == ["GetDataset", "DownloadDataset", "files"]
    click(app, "Open it")
    assert len(server.asked) == 3


def test_a_download_that_fails_says_how_else(home: Path, open_page, server: FakeKaggle) -> None:
    server.fail = 404
    app = open_page("explore")
    app.text_input(key="kaggle_dataset").set_value("nobody/nothing").run()
    click(app, "Fetch from Kaggle")
    wait_until(lambda: not state("kaggle:nobody/nothing", Settings(home=home)).under_way, "it")
    app.run()
    assert "Kaggle has no public dataset nobody/nothing" in texts(app).replace("\\", "")
    assert any(one.label == "Try again" for one in app.button)
    app.text_input(key="kaggle_dataset").set_value("no name").run()
    assert "names no dataset of Kaggle" in app.error[0].value
