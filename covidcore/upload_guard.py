"""What strangers send to a server is bounded, and dropped in time: an ASGI middleware.

The server of Streamlit bounds the size of one file only: any session may send as many as it likes,
and keeps them until it ends. Here a session and all of them together have so many bytes, and a file
is dropped after some minutes. Headers that keep pages out of other sites' frames are added too.
Knows no framework: what holds the files is asked by two methods.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

UPLOADS = "/_stcore/upload_file/"
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class Holder(Protocol):
    """What keeps the files: Streamlit's manager of uploads, or a test's."""

    def get_files(self, session_id: str, file_ids: list[str]) -> Iterable[Any]:
        """Those that are there."""
        ...

    def remove_file(self, session_id: str, file_id: str) -> None:
        """Drop one; nothing happens where it is gone."""
        ...


@dataclass
class _Held:
    size: int
    since: float
    arrived: bool = False


class UploadGuard:
    """Refuses with 413 what is too much, with 411 what does not say how long it is."""

    def __init__(
        self,
        app: Application,
        holder: Callable[[], Holder],
        each: int = 40_000_000,
        together: int = 150_000_000,
        seconds: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``each``, ``together``: bytes of a session and of all; ``seconds``: a file is kept."""
        self._app, self._holder, self._clock = app, holder, clock
        self._each, self._together, self._seconds = each, together, seconds
        self._files: dict[tuple[str, str], _Held] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request. Every one of them, a health check too, is an occasion to drop old files."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._drop()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                theirs = {name.lower() for name, _ in message.get("headers", [])}
                ours = [pair for pair in HEADERS if pair[0] not in theirs]
                message["headers"] = [*message.get("headers", []), *ours]
            await send(message)

        if scope["method"] in ("PUT", "POST") and UPLOADS in scope["path"]:
            await self._upload(scope, receive, answer)
        else:
            await self._app(scope, receive, answer)

    async def _upload(self, scope: Message, receive: Receive, send: Send) -> None:
        session, _, file = scope["path"].partition(UPLOADS)[2].partition("/")
        length = dict(scope["headers"]).get(b"content-length", b"").decode("latin-1")
        if not length.isdecimal():
            await _refuse(send, 411, "Say how long the file is.")
            return
        others = [held.size for (whose, name), held in self._files.items()
                  if whose == session and name != file]  # fmt: skip
        everything = sum(h.size for key, h in self._files.items() if key != (session, file))
        size = int(length)
        if sum(others) + size > self._each or everything + size > self._together:
            if size <= self._each:  # a browser hears the answer only once it has sent everything
                await _read_away(receive)
            await _refuse(send, 413, "Too much was sent: take files away, or wait some minutes.")
            return
        held = self._files[session, file] = _Held(size, self._clock())

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                held.arrived = message["status"] < 300
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            if not held.arrived and self._files.get((session, file)) is held:
                del self._files[session, file]

    def _drop(self) -> None:
        """Forget what is gone, and drop what has been kept for long enough."""
        now = self._clock()
        for (session, file), held in [*self._files.items()]:
            if not held.arrived:
                continue
            if now - held.since >= self._seconds:
                self._holder().remove_file(session, file)
            if not list(self._holder().get_files(session, [file])):
                del self._files[session, file]


async def _read_away(receive: Receive) -> None:
    """Take what a client sends, and keep nothing of it."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass


async def _refuse(send: Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
