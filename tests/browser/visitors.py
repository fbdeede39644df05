"""Visitors without a browser: what Streamlit's page says over its websocket, in one process.

Needs websockets and streamlit's own messages; a session opens a page, sends files, waits for ends.
"""

import asyncio
import contextlib
import http.client
import re
import uuid
from dataclasses import dataclass, field
from typing import Any, Self

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

DEADLINE = 110.0


@dataclass
class Seen:
    """What one run of the page has drawn."""

    texts: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    uploaders: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        return "\n".join(self.texts)


class Visitor:
    """One session; use as an asynchronous context."""

    def __init__(self, port: int) -> None:
        self.port, self.session = port, ""
        self._cookie = self._token = ""
        self._page = ""
        self.sent: FileURLs | None = None
        """Where the file lies that was sent last."""
        self.heard: list[bytes] = []
        """Every message of the server, as it came."""

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._meet)
        self._socket = await websockets.connect(
            f"ws://127.0.0.1:{self.port}/_stcore/stream",
            additional_headers={"Cookie": self._cookie},
            subprotocols=["streamlit", self._token],  # type: ignore[list-item]
            origin=f"http://127.0.0.1:{self.port}",  # type: ignore[arg-type]
            max_size=None,
            open_timeout=DEADLINE,
            ping_timeout=None,
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._socket.close()

    def _meet(self) -> None:
        """The cookie that a browser gets with the page's health check."""
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        asked.request("GET", "/_stcore/health")
        answer = asked.getresponse()
        answer.read()
        found = re.search(r"_streamlit_xsrf=([^;]+)", answer.getheader("set-cookie") or "")
        assert found, "the server gave no cookie"
        self._token, self._cookie = found[1], f"_streamlit_xsrf={found[1]}"
        asked.close()

    async def open(self, page: str, query: str = "") -> Seen:
        """Draw a page and wait for its end."""
        self._page = page
        return await self._run(ClientState(page_name=page, query_string=query))

    async def tell(self, message: BackMsg) -> None:
        """Send whatever a browser might be made to send."""
        await self._socket.send(message.SerializeToString())

    async def show(self, state: ClientState) -> Seen:
        """Draw a page with widgets in any state, those that it has not among them."""
        return await self._run(state)

    async def send(self, uploader: str, name: str, data: bytes) -> Seen:
        """Give a file to an uploader of the page, and wait until the page is drawn with it."""
        request = BackMsg()
        request.file_urls_request.session_id = self.session
        request.file_urls_request.request_id = uuid.uuid4().hex
        request.file_urls_request.file_names.append(name)
        await self._socket.send(request.SerializeToString())
        while True:
            message = await self._next()
            if message.WhichOneof("type") == "file_urls_response":
                urls = message.file_urls_response.file_urls[0]
                break
        status = await asyncio.to_thread(self.put, urls.upload_url, name, data)
        assert status == 204, f"the upload was answered with {status}"
        earlier, self.sent = self.sent, urls
        seen = await self.give(uploader, urls, name, len(data))
        if earlier:  # as a browser does where a file is taken off the list
            await asyncio.to_thread(self._ask, "DELETE", earlier.delete_url)
        return seen

    async def give(self, uploader: str, urls: FileURLs, name: str, size: int) -> Seen:
        """Say that a file is on an uploader's list, whoever sent it."""
        state = ClientState(page_name=self._page)
        widget = state.widget_states.widgets.add(id=uploader)
        info = widget.file_uploader_state_value.uploaded_file_info.add(
            name=name, size=size, file_id=urls.file_id
        )
        info.file_urls.CopyFrom(urls)
        return await self._run(state)

    def put(self, url: str, name: str, data: bytes) -> int:
        """Upload as a browser does; the status of the answer."""
        mark = uuid.uuid4().hex
        head = (
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: image/png\r\n\r\n"
        )
        body = head.encode() + data + f"\r\n--{mark}--\r\n".encode()
        return self._ask("PUT", url, body, f"multipart/form-data; boundary={mark}")

    def _ask(self, method: str, url: str, body: bytes = b"", kind: str = "") -> int:
        """The status of the answer, also where the server had enough before it had all.

        0 where it hung up, and its words were lost with the connection.
        """
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        headers = {"X-Xsrftoken": self._token, "Cookie": self._cookie}
        if kind:
            headers["Content-Type"] = kind
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            asked.request(method, url, body, headers)
        try:
            answer = asked.getresponse()
            answer.read()
            return answer.status
        except (ConnectionError, http.client.HTTPException):
            return 0
        finally:
            asked.close()

    async def _run(self, state: ClientState) -> Seen:
        request = BackMsg()
        request.rerun_script.CopyFrom(state)
        await self._socket.send(request.SerializeToString())
        seen = Seen()
        while True:
            message = await self._next()
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.session = message.new_session.initialize.session_id
                seen = Seen()
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                _take(seen, message.delta.new_element)
            elif kind == "script_finished" and message.script_finished in (
                ForwardMsg.FINISHED_SUCCESSFULLY,
                ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
            ):
                return seen

    async def _next(self) -> ForwardMsg:
        data = await asyncio.wait_for(self._socket.recv(), DEADLINE)
        self.heard.append(data if isinstance(data, bytes) else data.encode())
        message = ForwardMsg()
        message.ParseFromString(self.heard[-1])
        return message


def _take(seen: Seen, element: Any) -> None:
    kind = element.WhichOneof("type")
    if kind == "exception":
        seen.exceptions.append(element.exception.message)
    elif kind == "file_uploader":
        seen.uploaders.append(element.file_uploader.id)
    elif kind in ("markdown", "heading", "alert", "text"):
        seen.texts.append(getattr(element, kind).body)
