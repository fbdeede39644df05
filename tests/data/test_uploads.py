"""What a browser sends: kept in pieces, once, whole or not at all."""

import hashlib
import io
import os
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.sources import resolve
from covidcore.data.uploads import store_upload, title_of
from covidcore.errors import DataError
from tests.data.zips import Part, archive, honest


class Pieces(io.BytesIO):
    """Fails where somebody reads everything at once."""

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert 0 < size <= 2**20
        return super().read(size)


def test_an_upload_is_named_by_what_it_holds(settings: Settings) -> None:
    data = archive(*honest())
    path = store_upload(Pieces(data), "my set.zip", settings)
    assert path == settings.home / "uploads" / f"{hashlib.sha256(data).hexdigest()}.zip"
    assert path.read_bytes() == data
    assert title_of(path, settings.home) == "my set.zip"
    assert store_upload(Pieces(data), "my set.zip", settings) == path
    assert len(list(path.parent.iterdir())) == 2
    dataset = resolve(str(path), settings)
    assert dataset.name.startswith("my set-")
    assert resolve(str(path), settings).root == dataset.root


def test_messages_name_the_upload_as_its_sender_did(settings: Settings) -> None:
    path = store_upload(Pieces(archive(Part("../x.png"))), "mine.zip", settings)
    with pytest.raises(DataError, match=r"^mine\.zip is refused: the name “\.\./x\.png”"):
        resolve(str(path), settings)


@pytest.mark.parametrize("name", ["../../evil.zip", "/etc/passwd", "a\0b", ".zip", "", "x" * 300])
def test_the_sender_s_name_is_no_path(settings: Settings, name: str) -> None:
    path = store_upload(Pieces(archive(*honest())), name, settings)
    dataset = resolve(str(path), settings)
    assert dataset.root.parent == (settings.home / "imports").resolve()
    assert not dataset.root.name.startswith(".")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "x.zip is empty"),
        (b"GIF89a", "x.zip is no zip archive"),
        (b"PK" + bytes(3_000_000), r"x\.zip is larger than 2 MB: put it on this machine"),
    ],
)
def test_what_is_not_kept(settings: Settings, data: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        store_upload(Pieces(data), "x.zip", settings, limit=2_000_000)
    assert list((settings.home / "uploads").iterdir()) == []


def test_an_upload_that_breaks_off_leaves_nothing(settings: Settings) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 2**20:
                raise RuntimeError("the tab was closed")
            return super().read(size)

    with pytest.raises(RuntimeError):
        store_upload(Broken(b"PK" + bytes(2**22)), "x.zip", settings)
    assert list((settings.home / "uploads").iterdir()) == []


def test_old_uploads_are_removed(settings: Settings) -> None:
    old = store_upload(Pieces(archive(*honest())), "x.zip", settings)
    dataset = resolve(str(old), settings)
    for path in old.parent.iterdir():
        os.utime(path, (0, 0))
    new = store_upload(Pieces(archive(*honest(images=4))), "y.zip", settings)
    assert {path.stem for path in old.parent.iterdir()} == {new.stem}
    assert dataset.root.is_dir()


def test_the_demo_keeps_nothing(home: Path) -> None:
    with pytest.raises(DataError, match="In the demo only phantoms"):
        store_upload(Pieces(archive(*honest())), "x.zip", Settings(home=home, demo=True))
    assert not home.exists()
