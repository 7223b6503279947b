"""One loader of state dicts for everything that claims to be CLIP: whoever saved it, and in whatever wrapping.

What a trainer put around the weights is taken off, the names of transformers' `CLIPModel` become open_clip's, positions
of another resolution are resized as open_clip does, and what does not fit is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict, resize_pos_embed, resize_text_pos_embed
from torch import Tensor, nn

from odits.core.errors import OditsError
from odits.core.weights import not_finite, read_tensors
from odits.models.layouts import NAMED, TRANSPOSED, is_hugging_face, open_clip_name, plain_names

# Buffers that some versions store, and that hold nothing learned.
_BUFFERS = re.compile(
    r"(^|\.)(attn_mask|position_ids|num_batches_tracked|n_averaged|input_resolution|context_length|vocab_size)$"
)


class ForeignWeightsError(ValueError):
    """Weights that are not those of the model; the message is a clause that names what does not fit."""


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the weights of the one CLIP model in a file, without what a trainer put before their names.

    Raises:
        OditsError: as `read_tensors`; or there are two models, or a tensor holds NaN or Inf, which is named.
    """
    try:
        return checked(plain_state(read_tensors(path)))
    except ForeignWeightsError as error:
        raise OditsError(f"{path.name} is refused: {error}.") from error


def plain_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off what trainers put before the names; other tensors than the model's are left out.

    Raises:
        ForeignWeightsError: there are two models.
    """
    try:
        names, _ = plain_names(state)
    except ValueError as error:
        raise ForeignWeightsError(str(error)) from error
    return {short: state[name] for name, short in names.items()}


def checked(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors, those of lower or higher precision as float32.

    Raises:
        ForeignWeightsError: one holds NaN or Inf.
    """
    found = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    hurt = not_finite(found)
    if hurt:
        raise ForeignWeightsError(f"{hurt} holds NaN or Inf")
    return found


def from_hugging_face(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of transformers' `CLIPModel` under open_clip's names: queries, keys and values as one."""
    found: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        target, _, part = open_clip_name(name).partition("/")
        if part:
            parts.setdefault(target, {})[part] = value
        else:
            found[target] = value.T if target in TRANSPOSED else value
    for target, values in parts.items():
        if set(values) == {"q", "k", "v"}:
            found[target] = torch.cat([values[part] for part in "qkv"])
    return found


def load_weights(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load weights into a model of open_clip's, as its own loading does, from any of the layouts.

    Args:
        model: of the architecture that the weights are of.
        state: the weights, with plain names (`plain_state`).

    Raises:
        ForeignWeightsError: names are missing or foreign, or shapes differ.
    """
    own = model.state_dict()
    fitted = _fitted(model, dict(state), own)
    missing = [name for name in own if name not in fitted and not _BUFFERS.search(name)]
    foreign = [name for name in fitted if name not in own]
    if missing or foreign:
        raise ForeignWeightsError(_differing_names(missing, foreign, len(own)))
    for name, value in fitted.items():
        if value.shape != own[name].shape:
            shapes = f"{_shape(value)} and should have {_shape(own[name])}"
            raise ForeignWeightsError(f"{name} has the shape {shapes}")
        if own[name].is_floating_point() and not value.is_floating_point():
            raise ForeignWeightsError(f"{name} holds {str(value.dtype).removeprefix('torch.')} numbers")
    model.load_state_dict(fitted, strict=False)


def _fitted(model: nn.Module, state: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under the model's names and in its shapes, as far as they can be brought there."""
    if is_hugging_face(state):
        state = from_hugging_face(state)
    if "logit_scale" in state and any(name.startswith("image_encoder.") for name in state):
        try:
            state = convert_state_dict(model, state)
        except Exception as error:  # MobileCLIP's conversion expects a MobileCLIP
            raise ForeignWeightsError("its names are those of a MobileCLIP") from error
    state = {name: value for name, value in state.items() if name in own or not _BUFFERS.search(name)}
    if hasattr(model, "text"):
        state = convert_to_custom_text_state_dict(state)
    elif "text.text_projection" in state:
        state = {name.removeprefix("text."): value for name, value in state.items()}
    for name in ("logit_scale", "logit_bias"):
        if name in state and name in own and state[name].numel() == own[name].numel():
            state[name] = state[name].reshape(own[name].shape)
    if "logit_bias" in own and "logit_bias" not in state and "logit_scale" in state:
        state["logit_bias"] = torch.zeros_like(own["logit_bias"])
    _resize_positions(model, state, own)
    return state


def _resize_positions(model: nn.Module, state: dict[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Resize the positions of another resolution or context length in place, as open_clip does."""
    resizing = {
        "visual.positional_embedding": resize_pos_embed,
        "positional_embedding": resize_text_pos_embed,
        "text.positional_embedding": resize_text_pos_embed,
    }
    for name, resize in resizing.items():
        mine, theirs = own.get(name), state.get(name)
        if mine is None or theirs is None or theirs.ndim != 2 or theirs.shape[1:] != mine.shape[1:]:
            continue
        if resize is resize_pos_embed and round((len(theirs) - 1) ** 0.5) ** 2 != len(theirs) - 1:
            continue  # not the cells of a square, which is all that open_clip resizes
        try:
            resize(state, model)
        except (RuntimeError, ValueError, ZeroDivisionError) as error:  # an image size of 0, say
            raise ForeignWeightsError(f"{name} can't be resized to {_shape(mine)}") from error


def _differing_names(missing: list[str], foreign: list[str], count: int) -> str:
    clauses = []
    if missing:
        clauses.append(f"{len(missing)} of {count} names are missing ({_first(missing)})")
    if foreign:
        clauses.append(f"{len(foreign)} {'is' if len(foreign) == 1 else 'are'} foreign ({_first(foreign)})")
    return " and ".join(clauses)


def _first(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


def _shape(tensor: Any) -> str:
    return "×".join(str(length) for length in tensor.shape) or "of a number"
