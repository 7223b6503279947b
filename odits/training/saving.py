"""Checkpoints as files: safetensors that say in their header what they are, the same bytes for the same model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from odits.core.files import write_atomically
from odits.models.clip.embedded import ARCHITECTURE


def save_model(model: Any, path: Path, metadata: dict[str, str]) -> None:
    """Writes the model as a checkpoint that says what it is: safetensors with its architecture in the header.

    Args:
        metadata: how it was made; "architecture" (open_clip's name) and "name" (for users) default to the embedded
            model's.
    """
    save_tensors(model.state_dict(), path, {"architecture": ARCHITECTURE, "name": "ODITS Signs", **metadata})


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Writes tensors as safetensors with this header: the same bytes for the same content."""
    # clones: weights that share memory (tied embeddings) can't be written as they are
    state = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    write_atomically(path, _ordered(save(state, {"format": "pt", **metadata})))


def _ordered(data: bytes) -> bytes:
    """The same safetensors file with its header sorted: the library writes metadata in a random order."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = dict(sorted(header.pop("__metadata__").items()))
    ordered = {"__metadata__": metadata, **dict(sorted(header.items(), key=lambda item: item[1]["data_offsets"]))}
    text = json.dumps(ordered, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of eight bytes
    return len(text).to_bytes(8, "little") + text + data[8 + length :]
