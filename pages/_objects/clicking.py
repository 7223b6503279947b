"""A picture that tells where it was clicked, or which box was drawn on it, in its own pixels."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
import streamlit as st
from PIL import Image

from pages._shared.pictures import Opened, preview

_HTML = '<div class="stage"><img draggable="false"><div class="box"></div></div>'
_CSS = """
.stage {position: relative; display: inline-block; line-height: 0; touch-action: none; cursor: crosshair;
  max-width: 100%}
.stage img {max-width: 100%; max-height: 64vh; border-radius: 6px; user-select: none}
.box {position: absolute; border: 2px dashed #fff; outline: 1px solid #000; display: none; pointer-events: none}
"""
_SCRIPT = """
export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const stage = parentElement.querySelector(".stage");
  const image = stage.querySelector("img");
  const box = stage.querySelector(".box");
  image.src = data.source;
  image.alt = data.alt;
  box.style.display = "none";
  let from = null;
  const at = (event) => {
    const area = image.getBoundingClientRect();
    const share = (value, size) => Math.min(Math.max(value / size, 0), 1);
    return [share(event.clientX - area.left, area.width), share(event.clientY - area.top, area.height)];
  };
  const far = (to) => {
    const area = image.getBoundingClientRect();
    return Math.hypot((to[0] - from[0]) * area.width, (to[1] - from[1]) * area.height) > 6;
  };
  stage.onpointerdown = (event) => {
    if (event.button !== 0) return;
    from = at(event);
    stage.setPointerCapture(event.pointerId);
  };
  stage.onpointermove = (event) => {
    if (!from) return;
    const to = at(event);
    box.style.display = far(to) ? "block" : "none";
    box.style.left = 100 * Math.min(from[0], to[0]) + "%";
    box.style.top = 100 * Math.min(from[1], to[1]) + "%";
    box.style.width = 100 * Math.abs(to[0] - from[0]) + "%";
    box.style.height = 100 * Math.abs(to[1] - from[1]) + "%";
  };
  stage.onpointercancel = () => { from = null; };
  stage.onpointerup = (event) => {
    if (!from) return;
    const to = at(event);
    setStateValue("prompt", far(to) ? [...from, ...to] : to);
    from = null;
  };
}
"""


class Prompt(NamedTuple):
    """What the user pointed at, in the picture's pixels: a point, or a box x0, y0, x1, y1."""

    points: tuple[tuple[float, float], ...]
    box: tuple[float, float, float, float] | None

    @classmethod
    def read(cls, kept: Any, size: tuple[int, int]) -> Prompt | None:
        """The prompt in a component's state, where it is one: it comes from outside."""
        found = kept.get("prompt") if isinstance(kept, Mapping) else None
        if not isinstance(found, list) or not all(isinstance(v, int | float) and 0 <= v <= 1 for v in found):
            return None
        width, height = size
        pixels = [round(value * (height if place % 2 else width), 1) for place, value in enumerate(found)]
        if len(pixels) == 2:
            return cls(((min(pixels[0], width - 1), min(pixels[1], height - 1)),), None)
        if len(pixels) != 4:
            return None
        x0, x1, y0, y1 = *sorted(pixels[0::2]), *sorted(pixels[1::2])
        return cls((), (x0, y0, x1, y1)) if x1 > x0 and y1 > y0 else None


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("odits_click", html=_HTML, css=_CSS, js=_SCRIPT)


def clickable(key: str, opened: Opened, mask: np.ndarray | None, prompt: Prompt | None) -> None:
    """The picture, with a mask and the place asked about drawn on it; `Prompt.read` tells what was clicked."""
    shown = opened.image if prompt is None else _drawn(opened.image, mask, prompt)
    content = preview(opened.digest if prompt is None else f"{opened.digest}{prompt}{_sum(mask)}", shown)
    source = "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")
    _component()(key=key, data={"source": source, "alt": "The picture to click on"}, on_prompt_change=lambda: None)


def _sum(mask: np.ndarray | None) -> str:
    return "" if mask is None else f"{int(mask.sum())}-{hash(np.packbits(mask).tobytes())}"


def _drawn(image: Image.Image, mask: np.ndarray | None, prompt: Prompt) -> Image.Image:
    pixels = np.array(image)
    width = max(2, round(max(image.size) / 400))
    if mask is not None:
        color = np.array([86, 180, 233])
        pixels[mask] = (0.45 * pixels[mask] + 0.55 * color).astype(np.uint8)
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(pixels, contours, -1, (255, 255, 255), width)
    for x, y in prompt.points:
        cv2.circle(pixels, (round(x), round(y)), 3 * width, (255, 255, 255), -1)
        cv2.circle(pixels, (round(x), round(y)), 2 * width, (213, 94, 0), -1)
    if prompt.box:
        x0, y0, x1, y1 = (round(value) for value in prompt.box)
        cv2.rectangle(pixels, (x0, y0), (x1, y1), (213, 94, 0), width)
    return Image.fromarray(pixels)
