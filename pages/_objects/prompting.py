"""A click or a box on the picture, and the thing there: SAM's three candidates, or the object found under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from PIL import Image

from odits.data.predictions import Segmenter
from pages._objects.clicking import Prompt, clickable
from pages._shared.layout import file_stem, plain
from pages._shared.pictures import Opened, Picture

if TYPE_CHECKING:
    import supervision as sv

    from odits.models.segmentation.sam import Candidates, PromptedImage

GET_SAM = (
    "Masks for a click need SAM, and its weights are not in use here: choose **SAM ViT-B** (375 MB download) or a "
    "weights file of yours under *Objects by* on the left. Until then a click picks the smallest object found there."
)


def ask_for_mask(picture: Picture, opened: Opened, segmenter: Segmenter) -> sv.Detections | None:
    """The thing that was clicked or boxed, as the only object; None before that or where nothing is."""
    from odits.models.segmentation.sam import SamSegmenter

    by_sam = isinstance(segmenter, SamSegmenter)
    if not by_sam:
        st.info(GET_SAM, icon=":material/ads_click:")
    key = f"prompt-{opened.digest[:12]}"
    prompt = Prompt.read(st.session_state.get(key), opened.image.size)
    if by_sam:
        encoded = _encoded(opened.digest, segmenter.key.split("-")[1], segmenter, opened)
        candidates = None if prompt is None else encoded.ask(prompt.points, box=prompt.box)
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


@st.cache_resource(max_entries=2, show_spinner="SAM looks at the picture, once …", show_time=True)
def _encoded(digest: str, weights: str, _segmenter: Any, _opened: Opened) -> PromptedImage:
    from odits.models.segmentation.sam import PromptedImage

    return PromptedImage(_segmenter.model, _opened.image)


def _found(prompt: Prompt, picture: Picture, opened: Opened, segmenter: Segmenter) -> Candidates | None:
    """The object already found there: the smallest under a click, the one whose box fits a box best."""
    from odits.models.segmentation.sam import Candidates
    from odits.objects.detections import masks_of, object_at, object_in
    from pages._shared.segmenters import find_objects

    detections = find_objects(segmenter, picture, opened)
    index = object_in(detections, prompt.box) if prompt.box else object_at(detections, *prompt.points[0])
    if index is None:
        return None
    confidence = 1.0 if detections.confidence is None else detections.confidence[index]
    return Candidates(masks_of(detections)[index][None], np.array([confidence], np.float32))


def _choose(candidates: Candidates | None, prompt: Prompt | None) -> int | None:
    """Which candidate the user takes; the best at first."""
    if candidates is None:
        return None
    count = len(candidates.scores)
    if count == 1:
        return 0
    chosen = st.segmented_control(
        "Candidates, with the quality that SAM predicts",
        range(count),
        format_func=lambda index: f"{index + 1}: {candidates.scores[index]:.2f}",
        default=0,
        required=True,
        key=f"candidate-{prompt}",
    )
    return 0 if chosen is None else chosen


def _download(mask: np.ndarray, picture: Picture) -> None:
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
        help=plain(f"The mask in {picture.name} (PNG, white on black)"),
    )
