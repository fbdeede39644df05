"""Strangers at the door of a public demo: what they send, what they are told, what is kept of it.

One server for all tests, whose evaluate page is broken on purpose and which counts what it keeps.
"""

import asyncio
import http.client
import json
import os
import shutil
import signal
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from covidcore.jobs import demo_process
from covidcore.upload_guard import HEADERS
from tests.browser.conftest import ROOT, free_port, serve
from tests.hostile import saved
from tests.pictures import picture
from tests.runs import SHORT, trained, wait_until

pytest.importorskip("websockets", reason="websockets (requirements-dev.txt) is not installed")

import websockets

from tests.browser.visitors import Seen, Visitor

T = TypeVar("T")
CANARY = "canary-7f3a"
SABOTAGE = f"""
import functools, json, os, signal, weakref
from covidcore.jobs import openings
from covidcore.upload_guard import UploadGuard

UploadGuard.__init__ = functools.partialmethod(UploadGuard.__init__, away=1.0)

def broken(folder):
    raise ZeroDivisionError("{CANARY} " + str(folder))

openings.note_opened = broken
kept = []

def holds(one):
    if hasattr(one, "getvalue"):
        return not one.closed and bool(one.getvalue())
    return any(bool(getattr(one, name)) for name in ("_looks", "_features", "_answers", "_others"))

def tell(*_):
    from streamlit.runtime import get_instance
    held = get_instance().uploaded_file_mgr.file_storage
    found = dict(
        bytes=sum(len(one.data) for files in held.values() for one in files.values()),
        alive=sum(one() is not None and holds(one()) for one in kept),
        made=len(kept),
    )
    with open(os.environ["TOLD"] + ".new", "w") as file:
        json.dump(found, file)
    os.replace(os.environ["TOLD"] + ".new", os.environ["TOLD"])

signal.signal(signal.SIGUSR1, tell)

def watch():
    from streamlit.runtime.uploaded_file_manager import UploadedFile
    from covidcore.inference.kept import Kept
    for kind in (UploadedFile, Kept):
        def made(self, *given, _before=kind.__init__, **named):
            _before(self, *given, **named)
            kept.append(weakref.ref(self))
        kind.__init__ = made

watch()
"""
MOST = 160
"""Connections at once, as ``asgi.py`` has them."""


class Door:
    """A running demo."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.home, self.log = folder / "a home", folder / "server.log"
        self.told = folder / "told.json"
        self.pid = 0

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""):
        """The answer to a request as it is written, dots and all; its body beside it."""
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        asked.request(method, path, body, headers or {})
        answer = asked.getresponse()
        return answer, answer.read()

    def keeps(self) -> dict[str, int]:
        """What the server holds of uploads now."""
        self.told.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
        wait_until(self.told.exists, "the server to tell what it holds", every=0.05)
        return dict(json.loads(self.told.read_text()))


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, phantoms: Path) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("demo")
    door = Door(folder, free_port())
    (folder / "sitecustomize.py").write_text(SABOTAGE)
    shutil.copytree(trained(phantoms, SHORT).settings.home, door.home)
    demo_process.task(door.home).write_status(ready=True)
    env = {key: value for key, value in os.environ.items() if not key.startswith("COVIDCORE")}
    env |= {
        "COVIDCORE_HOME": str(door.home),
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        "TOLD": str(door.told),
    }
    process = serve("asgi.py", door.port, env, door.log)
    door.pid = process.pid
    yield door
    process.terminate()
    process.wait(30)


def ran(work: Coroutine[Any, Any, T]) -> T:
    """What it returns; in a thread of its own, as a browser holds this one's event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def nothing_of_the_machine(visitor: Visitor, door: Door) -> None:
    """No message says where anything lies, or how it went wrong inside."""
    everything = b"".join(visitor.heard)
    for secret in (str(door.folder), str(ROOT), str(Path.home()), CANARY, "Traceback"):
        assert secret.encode() not in everything, secret


def test_headers_and_closed_doors(door: Door) -> None:
    for path in ("/", "/_stcore/health", "/explore", "/nothing/here.js"):
        answer, _ = door.ask("GET", path, {"Origin": "http://evil.example"})
        found = {name.lower(): value for name, value in answer.getheaders()}
        assert {name.decode(): value.decode() for name, value in HEADERS}.items() <= found.items()
        assert "access-control-allow-origin" not in found
    assert door.ask("GET", "/_stcore/metrics")[0].status == 404
    assert door.ask("GET", "/_stcore/metrics/")[0].status == 404


@pytest.mark.browser
def test_a_real_browser_finds_nothing_that_the_headers_forbid(
    door: Door, open_page, console: list[str]
) -> None:
    """Charts, pictures and uploads are the server's own, which the policy lets through."""
    for name, sign in (("explore", "stPlotlyChart"), ("predict", "stFileUploader")):
        page = open_page(f"http://127.0.0.1:{door.port}/{name}")
        page.get_by_test_id(sign).first.wait_for(timeout=120_000)
    page.get_by_test_id("stFileUploader").first.locator("input[type=file]").set_input_files(
        {"name": "x.png", "mimeType": "image/png", "buffer": saved(picture(5))}
    )
    page.get_by_test_id("stImage").first.wait_for(timeout=120_000)
    picture_there = page.get_by_test_id("stImage").locator("img").first
    assert picture_there.evaluate("image => image.complete && image.naturalWidth > 0")
    assert console == []


@pytest.mark.parametrize(
    "path",
    [
        *("/../../../../etc/passwd", "/static/../../../../../../etc/passwd"),
        *("/..%2f..%2f..%2f..%2fetc%2fpasswd", "/media/..%2f..%2fetc%2fpasswd"),
        *("/component/x/../../../etc/passwd", "/app/static/..%5c..%5cetc%5cpasswd"),
        *("//etc/passwd", "/.streamlit/config.toml", "/asgi.py", "/covidcore/config.py"),
    ],
)
def test_no_path_of_a_request_leads_to_a_file(door: Door, path: str) -> None:
    _, body = door.ask("GET", path)
    assert b"root:" not in body and b"covidcore" not in body and b"[server]" not in body


def test_uploads_need_the_cookie_s_token_and_a_session(door: Door) -> None:
    async def sent() -> list[int]:
        async with Visitor(door.port) as visitor:
            await visitor.open("predict")
            url = f"/_stcore/upload_file/{visitor.session}/1"
            other = "/_stcore/upload_file/nobody/1"
            put = [(url, "", "a=b"), (url, "wrong", visitor._cookie), (other, "", "")]
            found = []
            for path, token, cookie in put:
                headers = {"X-Xsrftoken": token, "Cookie": cookie, "Content-Length": "0"}
                found.append((await asyncio.to_thread(door.ask, "PUT", path, headers))[0].status)
            found.append(await asyncio.to_thread(visitor.put, other, "x.png", b"x"))
            return found

    assert ran(sent()) == [403, 403, 403, 400]


def test_a_page_of_another_site_gets_no_connection(door: Door) -> None:
    async def connect() -> None:
        address = f"ws://127.0.0.1:{door.port}/_stcore/stream"
        async with websockets.connect(address, origin="http://evil.example"):  # type: ignore[arg-type]
            pass

    with pytest.raises(websockets.exceptions.InvalidStatus, match="403"):
        ran(connect())


def test_errors_are_told_to_the_log_alone(door: Door) -> None:
    async def look() -> Seen:
        async with Visitor(door.port) as visitor:
            seen = await visitor.open("evaluate")
            nothing_of_the_machine(visitor, door)
            return seen

    seen = ran(look())
    assert "Something went wrong here." in seen.words
    assert not seen.exceptions
    log = door.log.read_text()
    assert "ZeroDivisionError" in log and CANARY in log


JUNK = ("../../etc/passwd", "%00", "%3Cscript%3Ealert(1)%3C/script%3E", "9" * 400, "x" * 20_000)


def test_junk_in_links(door: Door) -> None:
    names = ("dataset", "run", "image", "view", "page", "size", "split", "seed", "with", "mean_of")

    async def look() -> None:
        async with Visitor(door.port) as visitor:
            for junk in JUNK:
                query = "&".join(f"{name}={junk}" for name in names)
                for page in ("", "explore", "train", "predict"):
                    seen = await visitor.open(page, query)
                    assert not seen.exceptions
                    assert "Something went wrong" not in seen.words, (page, junk[:20])
                    assert max(map(len, seen.texts)) < 5_000
            nothing_of_the_machine(visitor, door)

    ran(look())


def test_what_a_browser_of_ours_does_not_send_is_not_heard(door: Door) -> None:
    async def send() -> None:
        async with Visitor(door.port) as visitor:
            await visitor.open("")
            install = BackMsg()
            install.backend_operation_request.install_skills.SetInParent()
            orders = [BackMsg(load_git_info=True), BackMsg(clear_cache=True), install]
            for order in [*orders, BackMsg(debug_shutdown_runtime=True)]:
                await visitor.tell(order)
            before = len(visitor.heard)
            assert not (await visitor.open("explore")).exceptions
            kinds = {
                ForwardMsg.FromString(one).WhichOneof("type") for one in visitor.heard[before:]
            }
            assert "script_finished" in kinds
            assert not kinds & {"git_info_changed", "backend_operation_response"}

    ran(send())


def test_one_message_holds_a_megabyte_at_most(door: Door) -> None:
    async def send() -> int:
        async with Visitor(door.port) as visitor:
            await visitor.open("")
            state = ClientState(page_name="", query_string="x" * 1_100_000)
            with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
                await visitor.show(state)
            assert closed.value.rcvd
            return closed.value.rcvd.code

    assert ran(send()) == 1009


def test_nobody_sees_or_takes_away_what_another_sent(door: Door) -> None:
    async def both() -> None:
        async with Visitor(door.port) as mine, Visitor(door.port) as theirs:
            uploader = (await mine.open("predict")).uploaders[0]
            seen = await mine.send(uploader, "mine.png", saved(picture(3)))
            assert "mine.png" in seen.words
            assert (await theirs.open("predict")).uploaders == [uploader]
            stolen = await theirs.give(uploader, mine.sent, "theirs.png", 10)
            assert "theirs.png" not in seen.words
            assert "chooses among its classes" not in stolen.words
            url = f"/_stcore/upload_file/{theirs.session}/{mine.sent.file_id}"
            headers = {"X-Xsrftoken": theirs._token, "Cookie": theirs._cookie}
            await asyncio.to_thread(door.ask, "DELETE", url, headers)
            again = await mine.give(uploader, mine.sent, "mine.png", 10)
            assert "mine.png" in again.words
            got, body = await asyncio.to_thread(door.ask, "GET", mine.sent.upload_url)
            assert got.status == 405 or b"PNG" not in body[:10]

    ran(both())


def test_uploads_are_gone_once_their_tab_is_closed(door: Door) -> None:
    """And what was made of them, whatever of the session itself may be left."""

    async def visit() -> dict[str, int]:
        async with Visitor(door.port) as visitor:
            uploader = (await visitor.open("predict")).uploaders[0]
            await visitor.send(uploader, "x.png", saved(picture(4)))
            return door.keeps()

    during = ran(visit())
    assert during["bytes"] and during["alive"] and during["made"]

    def gone() -> bool:
        door.ask("GET", "/_stcore/health")
        now = door.keeps()
        return not now["bytes"] and not now["alive"]

    wait_until(gone, "the upload to be gone", every=0.5)


def test_connections_are_counted(door: Door) -> None:
    """Last of all: it takes every one of them, and gives them back."""

    async def everybody() -> list[str]:
        address = f"ws://127.0.0.1:{door.port}/_stcore/stream"
        origin = f"http://127.0.0.1:{door.port}"
        opened, said = [], []
        for _ in range(MOST + 3):
            try:
                opened.append(await websockets.connect(address, origin=origin))  # type: ignore[arg-type]
            except websockets.exceptions.InvalidStatus as refused:
                said.append(str(refused.response.status_code))
        assert len(opened) == MOST
        for one in opened:
            await one.close()
        return said

    assert ran(everybody()) == ["403"] * 3
