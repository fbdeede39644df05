"""The entry: ``streamlit run streamlit_app.py``. The window and the list of pages, nothing else."""

import streamlit as st

from pages.shared import ROUTED, router

page = router()
st.session_state[ROUTED] = True
page.run()
