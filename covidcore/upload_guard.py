"""What strangers send to a server is bounded, and dropped in time: an ASGI middleware.

The server of Streamlit bounds the size of one file only: any session may send as many as it likes,
and keeps them until it ends. Here a session and all of them together have so many bytes, and a file
is dropped after some minutes. Connections are counted, messages that no page sends do not arrive,
and headers keep pages out of other sites' frames and from loading anything from elsewhere.
Knows no framework: what holds the files is asked by two methods, what messages mean by functions.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

UPLOADS = "/_stcore/upload_file/"
CLOSED = ("/_stcore/metrics",)
"""What tells of the server, and is nobody else's business."""
# Scripts are the server's own, or made at run time by what draws charts; elements bring styles.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' ws: wss:; worker-src 'self' blob:; "
    "frame-src 'self' data: blob:; frame-ancestors 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'"
)
HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
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
    """What keeps the files and the sessions: Streamlit's runtime, or a test's."""

    def get_files(self, session_id: str, file_ids: list[str]) -> Iterable[Any]:
        """Those that are there."""
        ...

    def remove_file(self, session_id: str, file_id: str) -> None:
        """Drop one; nothing happens where it is gone."""
        ...

    def is_here(self, session_id: str) -> bool:
        """Whether its tab is connected."""
        ...

    def close(self, session_id: str) -> None:
        """End a session, and with it all that is kept of it; nothing happens where it has ended."""
        ...


@dataclass
class _Held:
    size: int
    since: float
    arrived: bool = False


class UploadGuard:
    """Refuses with 413 what is too much, with 411 what does not say how long it is.

    A connection beyond ``connections`` is closed before it begins. Of what comes over one, messages
    for which ``heard`` is false do not arrive; what goes out is as ``said`` makes it.
    """

    def __init__(
        self,
        app: Application,
        holder: Callable[[], Holder],
        each: int = 40_000_000,
        together: int = 150_000_000,
        seconds: float = 600.0,
        away: float = 60.0,
        connections: int = 160,
        heard: Callable[[bytes], bool] = lambda _: True,
        said: Callable[[bytes], bytes] = lambda message: message,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``each``, ``together``: bytes of a session and of all; ``seconds``: a file is kept.

        A session whose tab is not connected for ``away`` seconds is ended where it has sent a file.
        """
        self._app, self._holder, self._clock = app, holder, clock
        self._most, self._talking, self._heard, self._said = connections, 0, heard, said
        self._each, self._together, self._seconds = each, together, seconds
        self._files: dict[tuple[str, str], _Held] = {}
        self._away_seconds, self._left = away, dict[str, float | None]()
        """Of who has sent anything: since when there is no tab, None while there is one."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request. Every one of them, a health check too, is an occasion to drop old files."""
        if scope["type"] == "websocket":
            await self._talk(scope, receive, send)
            return
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

        if scope["path"].rstrip("/").endswith(CLOSED):
            await _refuse(answer, 404, "There is nothing here.")
        elif scope["method"] in ("PUT", "POST") and UPLOADS in scope["path"]:
            await self._upload(scope, receive, answer)
        else:
            await self._app(scope, receive, answer)

    async def _talk(self, scope: Message, receive: Receive, send: Send) -> None:
        """The connection of one tab, to its end."""
        if self._talking >= self._most:
            await receive()
            await send({"type": "websocket.close", "code": 1013})  # come again later
            return

        async def heard() -> Message:
            while True:
                message = await receive()
                data = message.get("bytes")
                if message["type"] != "websocket.receive" or not data or self._heard(data):
                    return message

        async def say(message: Message) -> None:
            if message["type"] == "websocket.send" and message.get("bytes"):
                message = {**message, "bytes": self._said(message["bytes"])}
            await send(message)

        self._talking += 1
        try:
            await self._app(scope, heard, say)
        finally:
            self._talking -= 1

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
        self._left[session] = None

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
        """Forget what is gone, and drop what has been kept for long enough.

        Streamlit keeps a session for a while after its tab was closed, for it might come back, and
        looks at those only when the next one is closed: a last visitor's would be kept for ever.
        """
        now = self._clock()
        for session, since in [*self._left.items()]:
            if self._holder().is_here(session):
                self._left[session] = None
            elif since is None:
                self._left[session] = now
            elif now - since >= self._away_seconds:
                self._holder().close(session)
                del self._left[session]
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
