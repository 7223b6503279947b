"""Checkpoints as safetensors files that say in their header what they are: the same bytes for the same training."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from open_clip.pretrained import get_pretrained_cfg
from safetensors.torch import save
from torch import Tensor

from odits.core.files import file_digest, write_atomically
from odits.models.clip.model import ClipModel
from odits.models.fusion.inputs import InputEncoder
from odits.models.fusion.network import Odits
from odits.models.fusion.places import PlaceEncoder
from odits.models.reference import EMBEDDED_ARCHITECTURE, ModelRef, architectures, parse
from odits.training.low_rank import merged_state

INITIAL, BEST = "initial.safetensors", "best.safetensors"
"""An ODITS run's checkpoints: before training, and after the epoch with the lowest held-out loss."""

PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")


def save_model(model: Any, path: Path, metadata: Mapping[str, str]) -> None:
    """Write an open_clip model as a checkpoint, its weights with their low-rank updates.

    Args:
        model: the model.
        path: of the file.
        metadata: how it was made; "architecture" (open_clip's name) and "name" (for users) default to the embedded
            model's.
    """
    named = {"architecture": EMBEDDED_ARCHITECTURE, "name": "ODITS Signs", **metadata}
    save_tensors(merged_state(model), path, named)


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write tensors as safetensors with this header: the same bytes for the same content."""
    # clones: weights that share memory (tied embeddings) can't be written as they are
    state = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    write_atomically(path, _ordered(save(state, {"format": "pt", **metadata})))


def _ordered(data: bytes) -> bytes:
    """Sort the header of a safetensors file: the library writes metadata in a random order."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = dict(sorted(header.pop("__metadata__").items()))
    ordered = {"__metadata__": metadata, **dict(sorted(header.items(), key=lambda item: item[1]["data_offsets"]))}
    text = json.dumps(ordered, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of eight bytes
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def save_odits(
    path: Path,
    network: Odits,
    input_encoder: InputEncoder | PlaceEncoder,
    lexicons: Sequence[Sequence[str]],
    origin: Mapping[str, str],
) -> dict[str, Any]:
    """Write an ODITS checkpoint.

    The file holds all that a prediction needs but the segmenter and the spotter, which are named: CLIP's weights
    ("clip."), the fusion network's ("odits."), and the training lexicons as places in a list of words.

    Args:
        path: of the file.
        network: the fusion network.
        input_encoder: with the CLIP model, and what its inputs are made with.
        lexicons: the training images' words.
        origin: "architecture", "name" (of the CLIP model) and what else the checkpoint says of itself.

    Returns:
        "file", "digest" and "metadata" of what was written.
    """
    words = sorted({word for lexicon in lexicons for word in lexicon})
    place = {word: index for index, word in enumerate(words)}
    flat = torch.tensor([place[word] for lexicon in lexicons for word in lexicon], dtype=torch.int32)
    sizes = torch.tensor([len(lexicon) for lexicon in lexicons], dtype=torch.int32)
    clip = input_encoder.clip
    tensors = {} if clip is None else {f"clip.{name}": value for name, value in clip.model.state_dict().items()}
    tensors |= {f"odits.{name}": value for name, value in network.state_dict().items()}
    tensors |= {"lexicons.words": flat, "lexicons.sizes": sizes}
    epoch = origin.get("epoch", "0")
    metadata = {
        **origin,
        "name": f"{_name(clip, origin)} ({'before training' if epoch == '0' else f'+{epoch}'})",
        "kind": "odits",
        "parts": json.dumps(asdict(network.config), sort_keys=True),
        "words": json.dumps(words, ensure_ascii=False),
        **input_encoder.describe(),
    }
    save_tensors(tensors, path, metadata)
    return {
        "file": path.name,
        "digest": file_digest(path),
        "metadata": {key: value for key, value in metadata.items() if key != "words"},
    }


def _name(clip: ClipModel | None, origin: Mapping[str, str]) -> str:
    return f"ODITS on {origin['name']}" if clip is not None else origin["name"]


# What a checkpoint says of where it comes from


def inherited_metadata(reference: str | ModelRef) -> dict[str, str]:
    """Return what a CLIP model hands on to one that is trained from it.

    Args:
        reference: of the model.

    Returns:
        "architecture" and, where known, "preprocess" and, of a custom architecture, "model_cfg" (JSON).
    """
    ref = parse(reference, "clip")
    if not ref.tag:
        handed_on = ("preprocess", "model_cfg")
        return {"architecture": ref.architecture} | {k: v for k, v in ref.header.items() if k in handed_on}
    architecture, options = ref.architecture, get_pretrained_cfg(ref.architecture, ref.tag)
    if options.get("quick_gelu") and f"{architecture}-quickgelu" in architectures():
        architecture += "-quickgelu"  # the same weights mean something else with the other activation
    settings = {key: options[key] for key in PREPROCESSING if options.get(key)}
    return {"architecture": architecture, "preprocess": json.dumps(settings, sort_keys=True)}


def code_version() -> str:
    """Return the commit of the running code, with "-dirty" where files were changed; "unknown" outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
