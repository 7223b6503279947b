"""Which segmenter finds the objects, and what it found: in memory for the last pictures, on disk for all."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any

import streamlit as st

from odits.data import ImageRecord
from odits.data.predictions import Segmenter
from odits.models.registry import EMBEDDED, available, fetch, parse
from odits.models.segmentation.segmenters import SegmenterIdentity, identify_segmenter
from pages._shared import jobs, serving, state
from pages._shared.answers import Kind, answer
from pages._shared.glossary import help_on
from pages._shared.layout import NeededError, escape_markdown
from pages._shared.loaded import loaded
from pages._shared.pictures import Opened

if TYPE_CHECKING:
    import supervision as sv

    from odits.models.segmentation.parameters import SamParameters

_OBJECTS = Kind("objects", 12)
OWN_FILES = {
    "sam:file": "SAM, my own weights",
    "sam2:folder": "SAM 2, my own folder",
    "sam3:folder": "SAM 3, my own folder",
}
"""Segmenters whose weights the user names, by the key of the choice."""
_OWN_HELP = "A folder with config.json and model.safetensors, or a name on the Hugging Face hub such as {}."
_HELP = help_on("segmenter", "object")
_PUBLISHED = {"sam": "facebook/sam-vit-base", "sam2": "facebook/sam2.1-hiera-tiny", "sam3": "facebook/sam3"}
_SAM_1 = ("output_mode",)
"""What only SAM 1's generator has."""
_TITLES = {
    "points_per_side": "Points per side",
    "pred_iou_thresh": "Predicted quality, at least",
    "stability_score_thresh": "Stability, at least",
    "min_mask_region_area": "Smallest hole or island",
    "points_per_batch": "Points per batch",
    "stability_score_offset": "Stability offset",
    "box_nms_thresh": "NMS threshold (IoU)",
    "crop_n_layers": "Crop layers",
    "crop_nms_thresh": "NMS threshold between crops",
    "crop_overlap_ratio": "Overlap of crops",
    "crop_n_points_downscale_factor": "Fewer points in crops by",
    "output_mode": "How masks are stored",
}
_MOST = {float: 10.0, int: 1_048_576}


def choose_segmenter() -> tuple[str, SamParameters | None]:
    """Ask which segmenter is to work; return its reference, and SAM's parameters where it is SAM."""
    found = {ref.reference: ref for ref in available("segmenter")}
    titles = {
        reference: ref.name if ref.ready else f"{ref.name} ({ref.megabytes:,} MB download)"
        for reference, ref in found.items()
    } | (OWN_FILES if serving.paths_may_be_typed() else {})
    kind = state.choose("Objects by", list(titles), "segmenter", lambda key: titles.get(key, key), help=_HELP)
    family = kind.partition(":")[0]
    if kind in OWN_FILES:
        text = f"Meta's file, or: {_OWN_HELP}" if family == "sam" else _OWN_HELP
        path = st.text_input(
            "Path of the weights file" if family == "sam" else "Folder of the weights",
            help=text.format(_PUBLISHED[family]),
            **state.bind("weights", state.get("weights") or ""),
        )
        return f"{family}:{path.strip()}", _choose_parameters(family)
    if found[kind].note:
        st.caption(found[kind].note)
    return kind, None if kind == EMBEDDED else _choose_parameters(family)


def _choose_parameters(family: str) -> SamParameters:
    """Ask for SAM's parameters; at first they are those of Table 3.2. SAM 3 is asked for what a text names, too."""
    from odits.models.segmentation.parameters import OUTPUT_MODES, Sam3Parameters, parameters_of

    chosen = parameters_of(family)
    by_name = {item.name: item for item in fields(chosen)}
    values: dict[str, Any] = {}
    if family == "sam3":
        values["text"] = st.text_input(
            "Find",
            placeholder="sign, door",
            help=by_name["text"].metadata["help"],
            **state.bind("sam-text", state.get("sam-text") or ""),
        )
        if Sam3Parameters(text=values["text"]).phrases:
            values["text_threshold"] = _parameter(by_name["text_threshold"], "Match, at least", ())
            return chosen(**values)
    choices = {"output_mode": OUTPUT_MODES}
    titles = {name: title for name, title in _TITLES.items() if family == "sam" or name not in _SAM_1}
    with st.expander("SAM's parameters", icon=":material/tune:"):
        preset = _choose_preset()
        values |= {
            name: _parameter(by_name[name], f"{title} :small[({name})]", choices.get(name, ()))
            for name, title in titles.items()
        }
        made = chosen(**values)
        _show_changes(made, preset)
    return made


def _choose_preset() -> str:
    """Draw a button for each preset; return the one that changes are told against, the one that was pressed last."""
    from odits.models.segmentation.parameters import PRESETS

    asked = str(state.get("sam-preset") or "thesis")
    preset = asked if asked in PRESETS else "thesis"
    with st.container(horizontal=True, key="sam-presets"):
        for name, one in PRESETS.items():
            st.button(one.title, on_click=_use_preset, args=(name,), key=f"preset-{name}")
    return preset


def _show_changes(parameters: SamParameters, preset: str) -> None:
    """Say what differs from a preset, by SAM's own names."""
    from odits.models.segmentation.parameters import PRESETS, changed_against

    title = PRESETS[preset].title
    changed = changed_against(parameters, preset)
    if not changed:
        st.caption(f"As in: {escape_markdown(title)}.")
        return
    lines = [f"{name} {_short(before)} → {_short(now)}" for name, before, now in changed]
    st.caption(f"Changed against {escape_markdown(title)}: {escape_markdown('; '.join(lines))}.")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _parameter(item: Field[Any], title: str, choices: tuple[str, ...]) -> Any:
    default = item.default if item.default is not MISSING else None
    help_text = item.metadata.get("help")
    name = f"sam-{item.name}"
    if choices:
        asked = state.get(name, default)
        return st.selectbox(title, choices, help=help_text, **state.bind(name, asked if asked in choices else default))
    if isinstance(default, float):
        value = state.fraction(name, default, high=_MOST[float])
        return st.number_input(
            title, 0.0, _MOST[float], step=0.01, format="%.3f", help=help_text, **state.bind(name, value)
        )
    whole = int(state.fraction(name, default or 0, high=_MOST[int]))
    return st.number_input(title, 0, _MOST[int], step=1, help=help_text, **state.bind(name, whole))


def _use_preset(preset: str) -> None:
    from odits.models.segmentation.parameters import PRESETS

    state.act("sam-preset", preset)
    for name in _TITLES:
        state.act(f"sam-{name}", PRESETS[preset].values.get(name))


def link_names(parameters: SamParameters | None) -> list[str]:
    """Return the names that a link needs to reopen the choice; parameters at their defaults are left out."""
    if parameters is None:
        return ["segmenter"]
    changed = [item.name for item in fields(parameters) if getattr(parameters, item.name) != item.default]
    return ["segmenter", "weights", "sam-preset", *(f"sam-{name}" for name in changed)]


def load(reference: str, parameters: SamParameters | None) -> Segmenter:
    """Load the segmenter, once; offer the download of weights that are not here.

    Raises:
        NeededError: the weights have to be downloaded first.
        OditsError: there is no such segmenter.
    """
    _need_weights(reference)
    if reference == EMBEDDED:
        found: Segmenter = loaded(parse(reference, "segmenter"))
        return found
    sam: Any = loaded(parse(reference, "segmenter"))
    configured: Segmenter = sam.with_parameters(parameters)
    return configured


def identity_of(reference: str, parameters: SamParameters | None) -> SegmenterIdentity:
    """Return the segmenter's name and key; it is not loaded if they are known. Raises as `load`."""
    _need_weights(reference)
    with st.spinner("Checking the weights …", show_time=True):
        return identify_segmenter(reference, parameters)


def _need_weights(reference: str) -> None:
    if reference in ("sam:", "sam2:", "sam3:"):
        raise NeededError("Give the path of SAM's weights on the left.")
    ref = parse(reference, "segmenter")
    serving.require_offered(ref)
    if ref.ready:
        return
    if not serving.weights_may_be_downloaded():
        raise NeededError(f"The weights of {ref.name} are not on this server.")
    size = f"{ref.megabytes:,} MB" if ref.megabytes else "of a size that the hub knows"
    jobs.offer(
        jobs.Task(
            key=f"download-{ref.reference}",
            button=f"Download {ref.name} ({size})",
            title=f"Downloading {ref.name} ({size})",
            run=lambda job: fetch(ref, job.report),
            note="Once; the file is checked and stored on this machine.",
            stopped="Stopped. The button goes on with the download from there.",
            icon=":material/download:",
        )
    )
    raise NeededError(f"The weights of {ref.name} are not on this machine yet.")


def find_objects(segmenter: Segmenter, picture: ImageRecord, opened: Opened) -> sv.Detections:
    """Find the objects of a picture, or take them from memory or disk."""
    from odits.objects.codec import stored_objects

    return answer(_OBJECTS, (opened.digest, segmenter.key), lambda: stored_objects(picture.source, segmenter))


def offer_objects(segmenter: Segmenter, picture: ImageRecord, opened: Opened) -> sv.Detections | None:
    """Find the objects of a picture as `find_objects`; SAM, which is slow, works beside the page: None until then."""
    from odits.objects.codec import stored_count, stored_objects

    slow = not segmenter.key.startswith("regions")
    if slow and stored_count(picture.source, segmenter.key) is None:
        task = jobs.Task(
            key=f"objects-{opened.digest}-{segmenter.key}",
            button="Find the objects",
            title=f"Finding objects in {picture.name}",
            run=lambda job: stored_objects(picture.source, segmenter, job.report),
            stopped="Stopped.",
            for_all=True,
        )
        jobs.offer(task, by_itself=True)
        return None
    with st.spinner("Finding objects …", show_time=True):
        return find_objects(segmenter, picture, opened)


def show_segmenter(name: str) -> None:
    """Say who found the objects."""
    st.caption(f"Objects by {escape_markdown(name)}")
