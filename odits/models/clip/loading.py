"""CLIP models from their references: weights fetched once, read, and made a model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import open_clip
import torch
from open_clip.pretrained import get_pretrained_cfg

from odits.core.device import resolve_device
from odits.core.errors import OditsError
from odits.core.model_folders import implausible
from odits.core.progress import Progress
from odits.core.weights import excess, weights_digest
from odits.models.clip.building import build_model, build_tokenizer
from odits.models.clip.hub import fetch_pretrained, fetch_repository
from odits.models.clip.model import ClipModel
from odits.models.clip.state_dicts import load_weights, plain_state, read_state
from odits.models.layouts import describes_model
from odits.models.reference import ModelRef, parse


def load_clip(reference: ModelRef | str | Path, device: str = "auto", progress: Progress | None = None) -> ClipModel:
    """Load the CLIP model that a reference stands for, on the device and ready to predict.

    Args:
        reference: "embedded"; "ARCHITECTURE/TAG" of open_clip, such as "ViT-B-32/openai", or "hf-hub:ORG/NAME"
            (downloaded once); a folder in open_clip's or transformers' layout; a safetensors file that names its
            architecture; or "ARCHITECTURE@FILE" for one that does not.
        device: "auto", "cpu", "cuda" or "mps".
        progress: called with (bytes so far, bytes in all) during a download.

    Raises:
        OditsError: no such checkpoint, a damaged or foreign file, or a network that is not there.
    """
    ref = parse(reference, "clip")
    if ref.hub and ref.path is None:
        fetch_repository(ref.hub, progress)
        ref = parse(ref.reference, "clip")
    if ref.tag:
        path, options = (
            fetch_pretrained(ref.architecture, ref.tag, progress),
            get_pretrained_cfg(ref.architecture, ref.tag),
        )
    else:
        path, options = ref.weights, recorded_options(ref.header)
    state = read_state(path)
    try:
        checkpoint = ref.clip_checkpoint(weights_digest(path))
        return clip_from_state(state, ref.architecture, ref.name, checkpoint, device, options | {"folder": path.parent})
    except ValueError as error:
        raise OditsError(f"{path.name} does not hold weights of {ref.architecture}: {error}.") from error


def recorded_options(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Read what a header hands on of a model: its preprocessing, and its configuration where it is a custom one.

    What is unusable counts as not there.
    """
    found: dict[str, Any] = {}
    for key in ("preprocess", "model_cfg"):
        try:
            recorded = json.loads(metadata.get(key, "{}"))
        except (ValueError, RecursionError):
            continue
        if isinstance(recorded, dict):
            found |= recorded if key == "preprocess" else {key: recorded}
    return found


def clip_from_state(
    state: Mapping[str, torch.Tensor],
    architecture: str,
    name: str,
    checkpoint: str,
    device: str,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> ClipModel:
    """Make a CLIP model of its weights, on the device and ready to predict.

    Args:
        state: the weights by name.
        architecture: open_clip's, or the embedded one.
        name: as shown to users.
        checkpoint: hexadecimal digest that results key on (`ModelRef.clip_checkpoint`).
        device: "auto", "cpu", "cuda" or "mps".
        options: preprocessing: mean, std, interpolation, resize_mode, quick_gelu; of a custom architecture its
            `model_cfg`, and the `folder` with its tokenizer.

    Raises:
        ValueError: the weights are not that architecture's; the message is a clause that names what does not fit.
        OditsError: a part of the architecture has to come from the hub and is not here.
    """
    target, config = resolve_device(device), options.get("model_cfg")
    settings = _preprocessing(options, name)
    if config:
        _require_room(architecture, config, state)
    model = build_model(architecture, config, bool(options.get("quick_gelu")))
    load_weights(model, plain_state(state))
    tokenize = build_tokenizer(architecture, config, options.get("folder"))
    size = {"size": model.visual.image_size}
    preprocess = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(**size, **settings), is_train=False
    )
    return ClipModel(model.to(target), tokenize, preprocess, name, checkpoint)


def _preprocessing(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return how images are prepared, as far as a configuration says.

    Raises:
        OditsError: it says what can't be done.
    """
    settings = {key: options[key] for key in ("mean", "std", "interpolation", "resize_mode") if options.get(key)}
    for key, value in settings.items():
        if key in _CHOICES:
            fits = value in _CHOICES[key]
        else:
            fits = isinstance(value, list | tuple) and len(value) == 3 and all(_is_number(one) for one in value)
            fits = fits and not (key == "std" and 0 in value)
        if not fits:
            raise OditsError(f"{name} can't be loaded: its {key} for preparing images is {str(value)[:40]}.")
    return settings


_CHOICES = {"interpolation": ("bicubic", "bilinear", "random"), "resize_mode": ("shortest", "longest", "squash")}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _require_room(architecture: str, config: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> None:
    """Refuse a configuration of a far larger model than the weights are of, before memory is taken for it.

    Raises:
        ValueError: the message is a clause.
    """
    wrong = implausible(config)
    if wrong or not describes_model(config):
        raise ValueError(f"its configuration describes no model{f', {wrong}' if wrong else ''}")
    with torch.device("meta"):
        described = build_model(architecture, config, device="meta")
    if larger := excess(described, state):
        raise ValueError(larger)
