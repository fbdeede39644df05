"""The entry of a public demo: ``streamlit run asgi.py``. The same app, behind a guard."""

import os

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime import get_instance

from covidcore.upload_guard import UploadGuard

os.environ.setdefault("COVIDCORE_DEMO", "1")

app = st.App(
    "streamlit_app.py",
    middleware=[Middleware(UploadGuard, holder=lambda: get_instance().uploaded_file_mgr)],
    # Errors that were not foreseen are told in the server's log, not to strangers.
    on_script_error=lambda error: bool(
        st.error("Something went wrong here. It was written down; try the page again.")
    ),
)
