"""Which segmenter finds the objects, and what it found: kept in memory and on disk, so that nothing is done twice."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any

import streamlit as st

from odits.core.errors import OditsError
from odits.data.predictions import Segmenter
from odits.models.segmentation.segmenters import SEGMENTERS, SegmenterChoice, SegmenterIdentity, identify_segmenter
from pages._shared import jobs, state
from pages._shared.layout import plain
from pages._shared.pictures import Opened, Picture

if TYPE_CHECKING:
    import supervision as sv

    from odits.models.segmentation.parameters import SamParameters

OWN_FILE = "sam:file"
_BEGUN = "odits-segmenting"
_SHOWN = {
    "mode": "Exact or approximate",
    "points_per_side": "Points per side",
    "pred_iou_thresh": "Least predicted quality",
    "stability_score_thresh": "Least stability",
    "min_mask_region_area": "Smallest hole or island",
    "points_per_batch": "Points per batch",
    "stability_score_offset": "Stability offset",
    "box_nms_thresh": "Overlap that counts as double",
    "crop_n_layers": "Crop layers",
    "crop_nms_thresh": "Overlap between crops",
    "crop_overlap_ratio": "How far crops overlap",
    "crop_n_points_downscale_factor": "Fewer points in crops by",
    "output_mode": "How masks are kept",
}


def choose_segmenter() -> tuple[str, SamParameters | None]:
    """The reference of the segmenter that is to work, and SAM's parameters where it is SAM."""
    titles = {choice.reference: _title(choice) for choice in SEGMENTERS} | {OWN_FILE: "SAM, a weights file of mine"}
    kind = state.choose("Objects by", list(titles), "segmenter", lambda key: titles.get(key, key))
    note = next((choice.note for choice in SEGMENTERS if choice.reference == kind), "")
    if note:
        st.caption(note)
    reference = kind
    if kind == OWN_FILE:
        path = st.text_input("Path of the weights file", **state.bind("weights", state.get("weights") or ""))
        reference = f"sam:{path.strip()}"
    return reference, None if kind == "embedded" else _sam_parameters()


def _title(choice: SegmenterChoice) -> str:
    return choice.title if choice.ready else f"{choice.title} ({choice.megabytes:,} MB download)"


def _sam_parameters() -> SamParameters:
    """SAM's parameters as set by the user; Table 3.2's at first."""
    from odits.models.segmentation.parameters import MODES, OUTPUT_MODES, SamParameters

    choices = {"mode": MODES, "output_mode": OUTPUT_MODES}
    found = {item.name: item for item in fields(SamParameters)}
    values: dict[str, Any] = {}
    with st.expander("SAM's parameters", icon=":material/tune:"):
        for name, title in _SHOWN.items():
            values[name] = _parameter(found[name], title, choices.get(name, ()))
        st.button("Back to the thesis's values", on_click=_reset, type="tertiary")
    return SamParameters(**values)


def _parameter(item: Field[Any], title: str, choices: tuple[str, ...]) -> Any:
    default = item.default if item.default is not MISSING else None
    help_text = item.metadata.get("help")
    name = f"sam-{item.name}"
    kept = state.get(name, default)
    if choices:
        return st.selectbox(title, choices, help=help_text, **state.bind(name, kept if kept in choices else default))
    if isinstance(default, float):
        value = _number(kept, float, default)
        return st.number_input(title, 0.0, 10.0, step=0.01, format="%.3f", help=help_text, **state.bind(name, value))
    value = _number(kept, int, default)
    return st.number_input(title, 0, 1_048_576, step=1, help=help_text, **state.bind(name, value))


def _number(kept: Any, kind: type, default: Any) -> Any:
    """What a link says, where it is a number in range."""
    try:
        value = kind(kept)
        return value if 0 <= value <= (10 if kind is float else 1_048_576) else default
    except (TypeError, ValueError):
        return default


def _reset() -> None:
    for name in _SHOWN:
        state.act(f"sam-{name}", None)
        st.session_state.pop(f"odits.sam-{name}", None)


def link_names(parameters: SamParameters | None) -> list[str]:
    """The names that a link needs to reopen the choice; parameters that are the thesis's own are left out."""
    if parameters is None:
        return ["segmenter"]
    changed = [item.name for item in fields(parameters) if getattr(parameters, item.name) != item.default]
    return ["segmenter", "weights", *(f"sam-{name}" for name in changed)]


def load(reference: str, parameters: SamParameters | None) -> Segmenter:
    """The segmenter, loaded once and kept; downloads with a progress bar. Raises OditsError."""
    _check_weights(reference)
    if reference == "embedded":
        return _load(reference)
    loaded: Any = _load(reference)
    return loaded.with_parameters(parameters)


def identity_of(reference: str, parameters: SamParameters | None) -> SegmenterIdentity:
    """The segmenter's name and key; it is not loaded if it is known. Downloads as `load`. Raises OditsError."""
    _check_weights(reference)
    with st.spinner("Looking at SAM's weights …", show_time=True):
        return identify_segmenter(reference, parameters)


def _check_weights(reference: str) -> None:
    if reference == "sam:":
        raise OditsError("Give the path of SAM's weights on the left.")
    choice = next((choice for choice in SEGMENTERS if choice.reference == reference), None)
    if choice is not None and not choice.ready:
        _download(choice)


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(reference: str) -> Segmenter:
    from odits.models.segmentation.segmenters import load_segmenter

    return load_segmenter(reference)


def _download(choice: SegmenterChoice) -> None:
    """Fetches SAM's weights where the user asks for it, with progress."""
    from pathlib import Path

    from odits.core.downloads import fetch
    from odits.models.segmentation.segmenters import SAM_URL

    if not st.button(f"Download {choice.title} ({choice.megabytes:,} MB)", type="primary", icon=":material/download:"):
        raise OditsError(f"The weights of {choice.title} are not on this machine yet. Download them, or choose others.")
    bar = st.progress(0.0, f"Downloading {choice.file}")

    def advance(done: int, total: int) -> None:
        share = done / (total or choice.megabytes * 10**6)
        bar.progress(min(share, 1.0), f"Downloading {choice.file}: {done / 10**6:,.0f} MB")

    try:
        fetch(f"{SAM_URL}/{choice.file}", choice.path or Path(choice.file), Path(choice.file).stem[-6:], advance)
    finally:
        bar.empty()


def find_objects(segmenter: Segmenter, picture: Picture, opened: Opened) -> sv.Detections:
    """The objects of a picture: kept in memory for the last few, on disk for all."""
    from odits.objects.codec import stored_objects

    kept = _shelf(opened.digest, segmenter.key)
    if not kept:
        kept.append(stored_objects(picture.source, segmenter))
    return kept[0]


def find_objects_shown(segmenter: Segmenter, picture: Picture, opened: Opened) -> sv.Detections | None:
    """As `find_objects`; but SAM, which takes long, works beside the page, with progress and Stop: None until then."""
    from odits.objects.codec import stored_count, stored_objects

    kept = _shelf(opened.digest, segmenter.key)
    if kept or segmenter.key.startswith("regions") or stored_count(picture.source, segmenter.key) is not None:
        with st.spinner("Looking for objects …", show_time=True):
            return find_objects(segmenter, picture, opened)
    name = f"objects-{opened.digest}-{segmenter.key}"
    begun = st.session_state.setdefault(_BEGUN, set())

    def work(job: jobs.Job) -> None:
        kept.append(stored_objects(picture.source, segmenter, job.report))

    # once by itself, then only if the user asks: what fails or is stopped must not begin again and again
    if name not in begun:
        begun.add(name)
        jobs.start(name, f"Looking for objects in {picture.name}", work)
    jobs.show(name, "Stopped.")
    if kept:
        return kept[0]
    if not jobs.running(name):
        st.button("Look for objects", icon=":material/play_circle:", on_click=begun.discard, args=(name,))
    return None


@st.cache_resource(max_entries=12, show_spinner=False)
def _shelf(digest: str, key: str) -> list[sv.Detections]:
    """Where the objects of a picture are kept: empty until they are found."""
    return []


def say_segmenter(name: str) -> None:
    """The line that says who found the objects."""
    st.caption(f"Objects by {plain(name)}")
