"""The embedded CLIP model, which reads words on signs: trained from scratch by `odits pretrain`.

Its image tower (`odits.models.clip.sign_tower`) is registered with timm, and the architecture with open_clip, which
build it by name. Its text tower is open_clip's transformer on single characters.
"""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from typing import Any

import open_clip
import torch
from torch import Tensor

from odits.core.files import temporary_folder
from odits.models.clip import sign_tower  # noqa: F401  (registers the tower)
from odits.models.layouts import CLIP_CONFIGS
from odits.models.reference import EMBEDDED_ARCHITECTURE

ARCHITECTURE = EMBEDDED_ARCHITECTURE
"""Its name among open_clip's architectures."""
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
IMAGE_MEAN = IMAGE_STD = (0.5, 0.5, 0.5)
MERGES = gzip.compress(b"#version: characters", mtime=0)
"""Byte pair merges for open_clip's tokenizer: none, so that every character stays on its own."""


def register_architecture() -> None:
    """Make the architecture known to open_clip by its name."""
    if ARCHITECTURE not in open_clip.list_models():
        open_clip.add_model_config(CLIP_CONFIGS)


def create_untrained(architecture: str, **options: Any) -> Any:
    """Create open_clip's model of an architecture with random weights, without its warning that they are random."""
    logging.disable(logging.WARNING)
    try:
        return open_clip.create_model(architecture, **options)
    finally:
        logging.disable(logging.NOTSET)


def new_model(device: str = "cpu") -> Any:
    """Create an untrained open_clip `CLIP` of the embedded architecture."""
    register_architecture()
    return create_untrained(ARCHITECTURE, device=device, force_preprocess_cfg={"mean": IMAGE_MEAN, "std": IMAGE_STD})


def tokenizer() -> Callable[[list[str]], Tensor]:
    """Return open_clip's tokenizer on single characters, lower case: texts -> ids (B, 32).

    open_clip reads its byte pair merges from a file; one without a single merge leaves every character on its own.
    """
    register_architecture()
    with temporary_folder("tokenizer") as folder:
        merges = folder / "characters.txt.gz"
        merges.write_bytes(MERGES)
        return open_clip.get_tokenizer(ARCHITECTURE, bpe_path=str(merges))


def normalise(images: Tensor) -> Tensor:
    """Convert RGB images uint8 (B, H, W, 3) to what the image tower takes: float (B, 3, H, W) in -1..1."""
    return images.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1
