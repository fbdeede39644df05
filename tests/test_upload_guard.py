"""The guard before the server: bytes of a session and of all, the time a file is kept, headers."""

import asyncio
from typing import Any

import pytest

from covidcore.upload_guard import HEADERS, UPLOADS, UploadGuard


class Server:
    """What lies behind the guard: keeps files as Streamlit's manager does."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], int] = {}
        self.fails = False
        self.here = {"a", "b", "c", "d"}
        self.closed: list[str] = []

    def get_files(self, session_id: str, file_ids: list[str]) -> list[str]:
        return [file for file in file_ids if (session_id, file) in self.files]

    def remove_file(self, session_id: str, file_id: str) -> None:
        self.files.pop((session_id, file_id), None)

    def is_here(self, session_id: str) -> bool:
        return session_id in self.here

    def close(self, session_id: str) -> None:
        self.closed.append(session_id)
        self.files = {key: size for key, size in self.files.items() if key[0] != session_id}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status = 200
        if scope["type"] == "http" and UPLOADS in scope["path"]:
            session, file = scope["path"].rpartition(UPLOADS)[2].split("/")
            status = 400 if self.fails else 204
            if scope["method"] == "DELETE":
                self.remove_file(session, file)
            elif not self.fails:
                self.files[session, file] = int(dict(scope["headers"])[b"content-length"])
        headers = [(b"x-frame-options", b"DENY")] if scope["path"] == "/own" else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(server: Server, clock: Clock) -> UploadGuard:
    return UploadGuard(server, lambda: server, each=100, together=250, seconds=600, clock=clock)


def ask(guard: UploadGuard, path: str, method: str = "GET", size: object = None) -> dict[str, Any]:
    """The start of the answer; its ``body`` beside it."""
    said: dict[str, Any] = {}
    length = [] if size is None else [(b"content-length", str(size).encode())]

    async def send(message: Any) -> None:
        said.update(message)

    parts = iter([True, True, False])

    async def receive() -> Any:
        more = next(parts)
        said["read"] = not more
        return {"type": "http.request", "body": b"x", "more_body": more}

    scope = {"type": "http", "path": path, "method": method, "headers": length}
    asyncio.run(guard(scope, receive, send))
    return said


def put(guard: UploadGuard, session: str, file: str, size: object, method: str = "PUT") -> int:
    return int(ask(guard, f"{UPLOADS}{session}/{file}", method, size)["status"])


def test_a_session_has_so_many_bytes(guard: UploadGuard, server: Server) -> None:
    assert put(guard, "a", "1", 60) == 204
    assert put(guard, "a", "2", 41) == 413
    assert put(guard, "a", "2", 40, "POST") == 204
    assert put(guard, "a", "1", 60) == 204  # the same file again takes its own place
    assert put(guard, "b", "1", 100) == 204
    assert server.files == {("a", "1"): 60, ("a", "2"): 40, ("b", "1"): 100}


def test_all_together_have_so_many_bytes(guard: UploadGuard) -> None:
    assert [put(guard, name, "1", 100) for name in "abc"] == [204, 204, 413]
    assert put(guard, "c", "1", 50) == 204
    refused = ask(guard, f"{UPLOADS}d/1", "PUT", 1)
    assert b"take files away" in refused["body"]
    assert refused["read"]  # to the end, or no browser would show the answer
    assert "read" not in ask(guard, f"{UPLOADS}d/1", "PUT", 101)


@pytest.mark.parametrize("size", [None, "", "-1", "1e3", "٣"])
def test_who_does_not_say_how_much_sends_nothing(
    guard: UploadGuard, server: Server, size: str | None
) -> None:
    assert put(guard, "a", "1", size) == 411
    assert not server.files


def test_what_is_taken_away_makes_room(guard: UploadGuard, server: Server) -> None:
    assert put(guard, "a", "1", 100) == 204
    ask(guard, f"{UPLOADS}a/1", "DELETE")
    assert put(guard, "a", "2", 100) == 204
    server.files.clear()  # the session ended
    assert put(guard, "a", "3", 100) == 204


def test_what_did_not_arrive_takes_no_room(guard: UploadGuard, server: Server) -> None:
    server.fails = True
    assert put(guard, "a", "1", 100) == 400
    server.fails = False
    assert put(guard, "a", "2", 100) == 204


def test_a_file_is_dropped_after_a_while_by_whatever_request(
    guard: UploadGuard, server: Server, clock: Clock
) -> None:
    put(guard, "a", "1", 60)
    clock.now = 300.0
    put(guard, "a", "2", 40)
    clock.now = 599.0
    ask(guard, "/_stcore/health")
    assert set(server.files) == {("a", "1"), ("a", "2")}
    clock.now = 600.0
    ask(guard, "/_stcore/health")
    assert set(server.files) == {("a", "2")}
    assert put(guard, "a", "3", 60) == 204


def test_what_is_under_way_counts_and_is_not_dropped(
    guard: UploadGuard, server: Server, clock: Clock
) -> None:
    class Slow(Server):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["path"].endswith("/slow"):
                clock.now = 700.0
                statuses.append(put_beside())
            await super().__call__(scope, receive, send)

    def put_beside() -> int:
        beside: dict[str, Any] = {}

        async def send(message: Any) -> None:
            beside.update(message)

        scope = {"type": "http", "path": f"{UPLOADS}a/2", "method": "PUT",
                 "headers": [(b"content-length", b"60")]}  # fmt: skip

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        coroutine = slow_guard(scope, receive, send)
        with pytest.raises(StopIteration):
            coroutine.send(None)
        return int(beside["status"])

    statuses: list[int] = []
    slow = Slow()
    slow_guard = UploadGuard(slow, lambda: slow, each=100, together=250, clock=clock)
    assert put(slow_guard, "a", "slow", 60) == 204
    assert statuses == [413]


def test_headers_are_added_where_there_are_none(guard: UploadGuard) -> None:
    assert dict(ask(guard, "/")["headers"]) == dict(HEADERS)
    assert [pair for pair in ask(guard, "/own")["headers"] if pair[0] == b"x-frame-options"] == [
        (b"x-frame-options", b"DENY")
    ]


def test_a_session_ends_a_minute_after_its_tab_is_closed(
    guard: UploadGuard, server: Server, clock: Clock
) -> None:
    put(guard, "a", "1", 60)
    put(guard, "b", "1", 60)
    server.here = {"b"}
    ask(guard, "/_stcore/health")
    clock.now = 59.0
    ask(guard, "/")
    server.here = {"a", "b"}  # it came back
    ask(guard, "/")
    server.here = {"b"}
    clock.now = 100.0
    ask(guard, "/")
    clock.now = 159.0
    ask(guard, "/")
    assert server.closed == []
    clock.now = 160.0
    ask(guard, "/_stcore/health")
    assert server.closed == ["a"] and set(server.files) == {("b", "1")}
    ask(guard, "/")
    assert server.closed == ["a"]
    assert put(guard, "a", "2", 100) == 204  # its bytes are free again


@pytest.mark.parametrize("path", ["/_stcore/metrics", "/_stcore/metrics/", "/demo/_stcore/metrics"])
def test_metrics_are_for_nobody(guard: UploadGuard, path: str) -> None:
    assert ask(guard, path)["status"] == 404


class Wire:
    """A websocket: what a browser sends, and what it is sent."""

    def __init__(self, *messages: bytes) -> None:
        self.coming = [{"type": "websocket.receive", "bytes": one} for one in messages]
        self.going: list[Any] = []

    async def receive(self) -> Any:
        return self.coming.pop(0) if self.coming else {"type": "websocket.disconnect"}

    async def send(self, message: Any) -> None:
        self.going.append(message)


class Echo(Server):
    """Sends back what it hears, until the connection ends."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})
            await asyncio.sleep(0)


def test_what_is_heard_and_said_over_a_connection() -> None:
    wire = Wire(b"draw", b"clear everything", b"draw /secret")
    guard = UploadGuard(
        Echo(),
        Server,
        heard=lambda data: data.startswith(b"draw"),
        said=lambda data: data.replace(b"/secret", b"/------"),
    )
    asyncio.run(guard({"type": "websocket"}, wire.receive, wire.send))
    assert [one["bytes"] for one in wire.going] == [b"draw", b"draw /------"]


def test_so_many_connections_at_once() -> None:
    guard = UploadGuard(Echo(), Server, connections=2)
    wires = [Wire(b"1", b"2") for _ in range(3)]

    async def together() -> None:
        await asyncio.gather(*(guard({"type": "websocket"}, w.receive, w.send) for w in wires))
        await guard({"type": "websocket"}, again.receive, again.send)

    again = Wire(b"3")
    asyncio.run(together())
    assert [len(wire.going) for wire in wires] == [2, 2, 1]
    assert wires[2].going == [{"type": "websocket.close", "code": 1013}]
    assert again.going == [{"type": "websocket.send", "bytes": b"3"}]


def test_what_is_neither_passes() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(UploadGuard(app, lambda: Server())({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
