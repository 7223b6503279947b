"""What ODITS has and CLIP has not (Table 3.4 of the thesis), as the loaded model really is."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from odits.models.fusion.explanation import capabilities
from odits.models.fusion.model import OditsModel
from pages._shared.layout import table_download


def show_capabilities(model: OditsModel) -> None:
    """The table, folded away."""
    table = pd.DataFrame(
        [
            {"part": one.name, "CLIP": _tick(one.clip), "ODITS": _tick(one.odits), "here": one.here}
            for one in capabilities(model)
        ]
    )
    with st.expander("What ODITS has and CLIP has not", icon=":material/checklist:"):
        st.dataframe(table, hide_index=True, key="capabilities", height=35 * (len(table) + 1) + 3)
        st.caption("Table 3.4 of the thesis, filled in from the checkpoint that speaks here.")
        table_download(table, "odits-and-clip", "capabilities")


def _tick(present: bool) -> str:
    return "✓" if present else "–"
