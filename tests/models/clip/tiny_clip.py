"""A CLIP model of open_clip that is only small, with random weights, in the layout of the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save

from benchmarks.ways_in import random_model, tensors

NAME = "odits-hub-tiny"
CONFIG: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}


def tiny_weights(folder: Path) -> bytes:
    """Make its weights, safetensors of 13 MB; the folder is for its configuration."""
    import open_clip

    (folder / f"{NAME}.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder)
    return save(tensors(random_model(NAME)), {"format": "pt"})


def tiny_files(weights: bytes) -> dict[str, bytes]:
    """Return the files of its repository."""
    return {
        "open_clip_config.json": json.dumps({"model_cfg": CONFIG, "preprocess_cfg": {}}).encode(),
        "open_clip_model.safetensors": weights,
    }
