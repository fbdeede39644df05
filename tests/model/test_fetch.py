"""A download of weights that is cut, is something else, or meets nobody: nothing stays of it."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar
from urllib.error import URLError

import pytest
import torchvision.models

from covidcore.model import fetch, weights

DATA = b"weights, or so they say" * 5000
FILE = f"resnet18-{hashlib.sha256(DATA).hexdigest()[:8]}.pth"


class Answer(BaseHTTPRequestHandler):
    """As a server, a failing server, or somebody between it and here would answer."""

    sends: ClassVar[bytes] = DATA

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(self.sends)

    def log_message(self, *words: object) -> None:
        """Silence."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where torchvision is told that the weights are."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/models/{FILE}"
        monkeypatch.setitem(weights.IMAGENET_FILES, "resnet18", FILE)
        entries = [SimpleNamespace(url=url), SimpleNamespace(url=f"{url}x")]
        monkeypatch.setattr(torchvision.models, "get_model_weights", lambda arch: entries)
        monkeypatch.setattr(fetch.socket, "setdefaulttimeout", lambda seconds: None)
        yield url
        server.shutdown()


def visible(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


@pytest.mark.parametrize("sent", [DATA[:-1], DATA[: len(DATA) // 2], b"", DATA[::-1]])
def test_what_is_not_all_of_it_is_not_kept_and_the_next_try_works(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(Answer, "sends", sent)
    with pytest.raises(Exception, match=r"hash|[Ii]ncomplete|retrieval"):
        fetch.main("resnet18", tmp_path)
    assert visible(tmp_path) == []
    monkeypatch.setattr(Answer, "sends", DATA)
    assert fetch.main("resnet18", tmp_path) == 0
    assert (tmp_path / FILE).read_bytes() == DATA
    assert visible(tmp_path) == [FILE]


def test_nobody_answers(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = SimpleNamespace(url=f"http://127.0.0.1:9/{FILE}")
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda arch: [nowhere])
    with pytest.raises(URLError):
        fetch.main("resnet18", tmp_path)
    assert visible(tmp_path) == []


def test_what_a_killed_download_left_is_swept_up(address: str, tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.0123.partial").write_bytes(DATA[:100])
    (tmp_path / "of-somebody-else.partial").touch()
    assert fetch.main("resnet18", tmp_path) == 0
    assert sorted(visible(tmp_path)) == ["of-somebody-else.partial", FILE]


def test_two_at_once_fetch_it_once(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answer = Answer.do_GET
    monkeypatch.setattr(Answer, "do_GET", lambda self: (asked.append(self.path), answer(self)))
    threads = [threading.Thread(target=fetch.main, args=("resnet18", tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    assert visible(tmp_path) == [FILE]
