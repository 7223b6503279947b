"""The explorer's entry point: `streamlit run app.py`. It only sets the page up and routes; pages/ has the pages."""

import streamlit as st

from odits.core.files import asset
from pages._shared.serving import is_shown

st.set_page_config(page_title="ODITS Explorer", page_icon=str(asset("icon.svg")), layout="wide")
pages = [
    st.Page("pages/words.py", title="Words", icon=":material/text_fields:", default=True),
    st.Page("pages/browse.py", title="Browse", icon=":material/photo_library:"),
    st.Page("pages/search.py", title="Search", icon=":material/search:"),
    st.Page("pages/objects.py", title="Objects", icon=":material/category:"),
    st.Page("pages/explain.py", title="Explain", icon=":material/lightbulb:"),
    st.Page("pages/stage.py", title="Stage", icon=":material/view_column:"),
    st.Page("pages/counts.py", title="Object counts", icon=":material/bar_chart:"),
    st.Page("pages/models.py", title="Models", icon=":material/leaderboard:"),
    st.Page("pages/checkpoints.py", title="Checkpoints", icon=":material/inventory_2:"),
    st.Page("pages/data.py", title="Data", icon=":material/database:"),
]
st.navigation([page for page in pages if is_shown(page.title)]).run()
