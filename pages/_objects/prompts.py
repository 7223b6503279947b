"""A click or a box on the picture, and the object there: SAM's three candidates, or one that was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import streamlit as st
from PIL import Image

from odits.data import ImageRecord
from odits.data.predictions import Segmenter
from odits.figures.theme import data_uri
from odits.models.segmentation.segmenters import takes_prompts
from pages._shared.answers import Kind, answer
from pages._shared.layout import escape_markdown, file_stem
from pages._shared.pictures import Opened, preview
from pages._shared.segmenters import find_objects

if TYPE_CHECKING:
    import supervision as sv

    from odits.models.segmentation.sam import PromptMasks


_ENCODED = Kind("encoded", 2, holds_model=True)
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
    def read(cls, value: Any, size: tuple[int, int]) -> Prompt | None:
        """Read the prompt in a component's state, where it is one: it comes from outside."""
        found = value.get("prompt") if isinstance(value, Mapping) else None
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
    """Draw the picture with a mask and the prompt on it; `Prompt.read` tells what was clicked."""
    shown = opened.image if prompt is None else _drawn(opened.image, mask, prompt)
    content = preview(opened.digest if prompt is None else f"{opened.digest}{prompt}{_sum(mask)}", shown)
    _component()(
        key=key, data={"source": data_uri(content), "alt": "The picture to click on"}, on_prompt_change=lambda: None
    )


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


GET_SAM = (
    "Masks for a click need SAM, and its weights are not in use here: choose **SAM ViT-B** (375 MB download) or a "
    "weights file of yours under *Objects by* on the left. Until then a click picks the smallest object found there."
)


def ask_for_mask(picture: ImageRecord, opened: Opened, segmenter: Segmenter) -> sv.Detections | None:
    """Ask for a click or a box; return what is there as the only object, None before that or where nothing is."""
    by_sam = takes_prompts(segmenter)
    if not by_sam:
        st.info(GET_SAM, icon=":material/ads_click:")
    key = f"prompt-{opened.digest[:12]}"
    prompt = Prompt.read(st.session_state.get(key), opened.image.size)
    if by_sam:
        sam: Any = segmenter
        weights = segmenter.key.split("-")[1]
        with st.spinner("SAM encodes the picture, once …", show_time=True):
            encoded = answer(_ENCODED, (opened.digest, weights), lambda: sam.encode(opened.image))
        candidates = None if prompt is None else encoded.predict(prompt.points, box=prompt.box)
    else:
        candidates = None if prompt is None else _found(prompt, picture, opened, segmenter)
    index = _choose(candidates, prompt)
    mask = None if candidates is None or index is None else candidates.masks[index]
    clickable(key, opened, mask, prompt)
    st.caption("Click on a thing, or draw a box around it.")
    if candidates is None or index is None or mask is None or not mask.any():
        if prompt is not None:
            st.info("Nothing was found there. Click elsewhere, or draw a box.", icon=":material/search_off:")
        return None
    _download(mask, picture)
    return candidates.detection(index)


def _found(prompt: Prompt, picture: ImageRecord, opened: Opened, segmenter: Segmenter) -> PromptMasks | None:
    """Return the object already found there: the smallest under a click, the one whose box fits a box best."""
    from odits.models.segmentation.sam import PromptMasks
    from odits.objects.detections import masks_of, object_at, object_in

    detections = find_objects(segmenter, picture, opened)
    index = object_in(detections, prompt.box) if prompt.box else object_at(detections, *prompt.points[0])
    if index is None:
        return None
    confidence = 1.0 if detections.confidence is None else detections.confidence[index]
    return PromptMasks(masks_of(detections)[index][None], np.array([confidence], np.float32))


def _choose(candidates: PromptMasks | None, prompt: Prompt | None) -> int | None:
    """Ask which candidate to take; the best at first."""
    if candidates is None:
        return None
    count = len(candidates.scores)
    if count == 1:
        return 0
    chosen = st.segmented_control(
        "Masks, with the quality that SAM predicts",
        range(count),
        format_func=lambda index: f"{index + 1}: {candidates.scores[index]:.2f}",
        default=0,
        required=True,
        key=f"candidate-{prompt}",
    )
    return 0 if chosen is None else chosen


def _download(mask: np.ndarray, picture: ImageRecord) -> None:
    def content() -> bytes:
        from odits.objects.coco import png

        return png(Image.fromarray(mask.astype(np.uint8) * 255))

    st.download_button(
        "Mask",
        content,
        f"{file_stem(f'mask-{picture.name}')}.png",
        "image/png",
        icon=":material/download:",
        on_click="ignore",
        help=escape_markdown(f"The mask in {picture.name} (PNG, white on black)"),
    )
