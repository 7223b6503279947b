"""The stage in the page: a slide with linked words and full screen."""

from __future__ import annotations

from typing import Any

import streamlit as st

from odits.figures.stage import LINKING, STYLE

_SCRIPT = f"""
{LINKING}
export default function (component) {{
  const {{ data, parentElement }} = component;
  let root = parentElement.querySelector(".stage-root");
  if (!root.oditsLinked) {{ linkWords(root); root.oditsLinked = true; }}
  if (root.oditsShown !== data.slide) {{
    root.querySelector(".stage-place").innerHTML = data.slide;
    root.oditsShown = data.slide;
  }}
  root.classList.toggle("large", data.large);
  // the whole window, and the stage over it: an element that is drawn anew would leave its own
  const fill = () => root.classList.toggle("filling", !!document.fullscreenElement);
  const full = () =>
    document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen?.();
  fill();
  const button = root.querySelector(".stage-full");
  button.onclick = full;
  const onKey = (event) => {{
    const target = event.composedPath()[0] ?? event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || target.isContentEditable) return;
    if (["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName) || event.key.toLowerCase() !== "f") return;
    event.preventDefault();
    full();
  }};
  document.addEventListener("keydown", onKey, true);
  document.addEventListener("fullscreenchange", fill);
  return () => {{
    document.removeEventListener("keydown", onKey, true);
    document.removeEventListener("fullscreenchange", fill);
  }};
}}
"""
_BUTTON = """
.stage-full {font: inherit; color: inherit; background: transparent; border: 1px solid var(--soft); border-radius: 6px;
  padding: .1rem .6rem; cursor: pointer; font-size: 14px; display: block; margin: 0 0 .4rem auto}
.stage-root.filling .stage-full {opacity: .6}
"""


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    page = (
        '<div class="stage-root"><button type="button" class="stage-full">Full screen (F)</button>'
        '<div class="stage-place"></div></div>'
    )
    return st.components.v2.component("odits_stage", html=page, css=STYLE + _BUTTON, js=_SCRIPT)


def show_slide(slide: str, large: bool) -> None:
    """Show a slide's HTML, in which text from outside is escaped.

    Args:
        slide: of `odits.figures.stage.slide_html`.
        large: whether its text is to be read at three metres.
    """
    with st.container(key="stage"):
        _component()(key="stage-component", data={"slide": slide, "large": large})
