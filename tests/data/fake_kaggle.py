"""Kaggle's two answers and its file server, on a free port of this machine.

kagglehub has one address for tests, ``http://localhost:7777``, and no setting for another. But it
goes through a proxy where one is named: this server is that proxy, so that tests can run side by
side, and a request to any other host would be seen here too.
"""

import base64
import contextlib
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlparse

import pytest

_API = "http://localhost:7777/api/v1/datasets.DatasetApiService/"
_FILES = "http://files.kaggle.test/bundle.zip"


class FakeKaggle:
    """A dataset with versions; what it does wrong can be set, what it was asked is kept."""

    def __init__(self, archive: bytes, newest: int = 3) -> None:
        self.archive, self.newest = archive, newest
        self.fail: int | None = None
        """Answer every request of the API with this code."""
        self.break_after: int | None = None
        """Close the next transfer after so many bytes."""
        self.hold_after: int | None = None
        """Wait in the next transfer, after so many bytes, until ``go_on`` is set."""
        self.pace = 0.0
        """Seconds to wait after each 64 KB that are sent."""
        self.md5: str | None = None
        self.go_on = threading.Event()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        """The name of the call and what was sent; ``files`` with its range."""
        self.credentials: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def proxy(self) -> str:
        """For ``http_proxy``."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def be_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let child processes of this test take this server for Kaggle, and for all hosts."""
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, self.proxy)
            monkeypatch.setenv(name.upper(), self.proxy)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "")
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")

    def calls(self, name: str) -> list[dict[str, Any]]:
        return [sent for what, sent in self.asked if what == name]

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(kaggle: FakeKaggle) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._note(self.path.removeprefix(_API), sent)
            if kaggle.fail:
                self.send_error(kaggle.fail)
            elif self.path == _API + "GetDataset":
                self._answer({"currentVersionNumber": kaggle.newest})
            elif self.path == _API + "DownloadDataset":
                self.send_response(302)
                self.send_header("Location", f"{_FILES}?v={sent['datasetVersionNumber']}")
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.send_error(404)

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            self._note("files", {"range": wanted, "query": urlparse(self.path).query})
            if not self.path.startswith(_FILES):
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
            body = kaggle.archive[start:]
            md5 = base64.b64encode(hashlib.md5(kaggle.archive).digest()).decode()
            self.send_response(206 if wanted else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Goog-Hash", f"md5={kaggle.md5 or md5}")
            self.end_headers()
            with contextlib.suppress(OSError):  # the other side was killed
                self._send(body)

        def _send(self, body: bytes) -> None:
            stop, kaggle.break_after = kaggle.break_after, None
            hold, kaggle.hold_after = kaggle.hold_after, None
            if stop is not None:
                self.wfile.write(body[:stop])
                self.close_connection = True
                return
            if hold is not None:
                self.wfile.write(body[:hold])
                self.wfile.flush()
                kaggle.go_on.wait(120)
                body = body[hold:]
            if not kaggle.pace:
                self.wfile.write(body)
            for at in range(0, len(body) if kaggle.pace else 0, 65536):
                self.wfile.write(body[at : at + 65536])
                time.sleep(kaggle.pace)

        def _note(self, name: str, sent: dict[str, Any]) -> None:
            kaggle.asked.append((name, sent))
            if "Authorization" in self.headers:
                kaggle.credentials.append(self.headers["Authorization"])

        def _answer(self, document: dict[str, Any]) -> None:
            data = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler
