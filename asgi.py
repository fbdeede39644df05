"""The entry of a public demo: ``streamlit run asgi.py``. The same app, behind a guard."""

import os
from pathlib import Path
from typing import Any

import streamlit as st
from google.protobuf.message import DecodeError
from starlette.middleware import Middleware
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.runtime import get_instance

from covidcore.upload_guard import UploadGuard

os.environ.setdefault("COVIDCORE_DEMO", "1")

# What Streamlit's page sends of itself to a visitor. Others it obeys whoever sends them: one clears
# the caches of everybody, one asks for the state of the repository, one writes into its folder.
HEARD = {"rerun_script", "stop_script", "file_urls_request", "app_heartbeat"}
HEARD_OF = {"deferred_file", "dataframe_chunk"}
"""Of the kind ``backend_operation_request``: a download's bytes, the rows of a long table."""
PLACE = str(Path(__file__).parent).encode()


def heard(data: bytes) -> bool:
    """Whether a message of a browser is one that visitors send."""
    try:
        message = BackMsg.FromString(data)
    except DecodeError:
        return True  # for the server to close the connection
    kind = message.WhichOneof("type")
    if kind == "backend_operation_request":
        return message.backend_operation_request.WhichOneof("payload") in HEARD_OF
    return kind in HEARD


def said(data: bytes) -> bytes:
    """A message to a browser, without the folder in which this program lies.

    Streamlit's first message names the entry's path, which no page needs. A text in its place is of
    the same length, as messages are built of lengths.
    """
    return data.replace(PLACE, b"/" + b"-" * (len(PLACE) - 1))


class Kept:
    """Streamlit's sessions, and the files that they sent."""

    def get_files(self, session_id: str, file_ids: list[str]) -> list[Any]:
        """Those that are there."""
        return list(get_instance().uploaded_file_mgr.get_files(session_id, file_ids))

    def remove_file(self, session_id: str, file_id: str) -> None:
        """Drop one."""
        get_instance().uploaded_file_mgr.remove_file(session_id, file_id)

    def is_here(self, session_id: str) -> bool:
        """Whether its tab is connected."""
        return get_instance().is_active_session(session_id)

    def close(self, session_id: str) -> None:
        """End a session, and empty it.

        One that was there while torch was loaded is frozen with it (``pages/shared_model.py``), and
        nothing frozen that is part of a circle is ever collected: its uploads would stay.
        """
        runtime = get_instance()
        found = runtime._session_mgr.get_session_info(session_id)  # there is no other way to it
        runtime.close_session(session_id)
        if found is not None:
            found.session.session_state.clear()


app = st.App(
    "streamlit_app.py",
    middleware=[
        Middleware(
            UploadGuard,
            holder=Kept,
            heard=heard,
            said=said,
        )
    ],
    # Errors that were not foreseen are told in the server's log, not to strangers.
    on_script_error=lambda error: bool(
        st.error("Something went wrong here. It was written down; try the page again.")
    ),
)
