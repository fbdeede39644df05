"""The entry: how the page is set up and which pages there are; nothing else.

Start with ``streamlit run streamlit_app.py``.
"""

import streamlit as st

from pages.shared import ICON, ROUTED, router

st.set_page_config(page_title="covidcore", page_icon=ICON, layout="wide")
page = router()
st.session_state[ROUTED] = True
page.run()
