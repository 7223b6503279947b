"""What a screen reader says by itself: results and the progress of jobs, in a live region that stays where it is."""

from __future__ import annotations

from typing import Any

import streamlit as st

_SAID = "odits-said"

_SCRIPT = """
export default function ({ data, parentElement }) {
  let region = parentElement.querySelector("[role=status]");
  if (!region) {
    region = document.createElement("p");
    region.setAttribute("role", "status");
    // seen by nobody, said by screen readers
    region.style.cssText = "position:absolute;width:1px;height:1px;margin:0;overflow:hidden;clip-path:inset(50%)";
    parentElement.append(region);
  }
  // only a change of what is there already is said
  if (region.textContent !== data.text) setTimeout(() => { region.textContent = data.text; }, 50);
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("odits_announcer", js=_SCRIPT)


def say(text: str) -> None:
    """Have a sentence said when this run of the page has ended."""
    st.session_state.setdefault(_SAID, []).append(text)


def announce() -> None:
    """Draw the live region of the page, with what was to be said in this run; once a page, at its end."""
    said: list[str] = st.session_state.pop(_SAID, [])
    live_region("announcer", " ".join(said))


def live_region(key: str, text: str) -> None:
    """Draw a live region of its own, for a part of a page that is drawn anew by itself."""
    with st.container(key=f"live-{key}", height=1, border=False):
        _component()(key=f"region-{key}", data={"text": text})
