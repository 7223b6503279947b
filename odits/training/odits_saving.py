"""ODITS checkpoints: one safetensors file with CLIP, the fusion network and the lexicons that it remembers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from odits.models.fusion.inputs import OditsEyes
from odits.models.fusion.network import Odits
from odits.models.registry import file_digest
from odits.training.saving import save_tensors

INITIAL, BEST = "initial.safetensors", "best.safetensors"


def save_odits(
    path: Path, network: Odits, eyes: OditsEyes, lexicons: Sequence[Sequence[str]], origin: Mapping[str, str]
) -> dict[str, Any]:
    """What was written: "file", "digest" and "metadata".

    The file holds all that a prediction needs but the segmenter and the spotter, which are named: CLIP's weights
    ("clip."), the fusion network's ("odits."), and the training lexicons as places in a list of words.

    Args:
        lexicons: the training images' words.
        origin: "architecture", "name" (of the CLIP model) and what else the checkpoint says of itself.
    """
    words = sorted({word for lexicon in lexicons for word in lexicon})
    place = {word: index for index, word in enumerate(words)}
    flat = torch.tensor([place[word] for lexicon in lexicons for word in lexicon], dtype=torch.int32)
    sizes = torch.tensor([len(lexicon) for lexicon in lexicons], dtype=torch.int32)
    encoder = eyes.encoder
    tensors = {f"clip.{name}": value for name, value in encoder.clip.model.state_dict().items()}
    tensors |= {f"odits.{name}": value for name, value in network.state_dict().items()}
    tensors |= {"lexicons.words": flat, "lexicons.sizes": sizes}
    metadata = {
        **origin,
        "name": f"ODITS on {origin['name']} ({_age(origin)})",
        "kind": "odits",
        "parts": json.dumps(asdict(network.config), sort_keys=True),
        "words": json.dumps(words, ensure_ascii=False),
        "view": encoder.view,
        "split_lines": str(encoder.words),
        "reads": str(eyes.spotter is not None),
    }
    save_tensors(tensors, path, metadata)
    return {
        "file": path.name,
        "digest": file_digest(path),
        "metadata": {k: v for k, v in metadata.items() if k != "words"},
    }


def _age(origin: Mapping[str, str]) -> str:
    epoch = origin.get("epoch", "0")
    return "before training" if epoch == "0" else f"+{epoch}"
