"""The embedded model: a small open_clip model that reads words on signs, trained from scratch by `odits pretrain`."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor

from odits.files import cache_home, write_atomically
from odits.models import sign_tower  # noqa: F401  (registers the image tower with timm)

ARCHITECTURE = "odits-signs"
"""Its name among open_clip's architectures."""

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
IMAGE_MEAN = IMAGE_STD = (0.5, 0.5, 0.5)


def register_architecture() -> None:
    """Makes the architecture known to open_clip by its name."""
    if ARCHITECTURE not in open_clip.list_models():
        open_clip.add_model_config(Path(__file__).parent / "configs")


def create_untrained(architecture: str, **options: Any) -> Any:
    """open_clip's model of that architecture with random weights, without its warning that they are random."""
    logging.disable(logging.WARNING)
    try:
        return open_clip.create_model(architecture, **options)
    finally:
        logging.disable(logging.NOTSET)


def new_model() -> Any:
    """An untrained open_clip `CLIP` of the embedded architecture, on the CPU."""
    register_architecture()
    return create_untrained(ARCHITECTURE, force_preprocess_cfg={"mean": IMAGE_MEAN, "std": IMAGE_STD})


def tokenizer() -> Callable[[list[str]], Tensor]:
    """open_clip's tokenizer on single characters, lower case: texts -> ids (B, 32).

    open_clip reads its byte pair merges from a file; one without a single merge leaves every character on its own.
    """
    merges = cache_home() / "characters.txt.gz"
    if not merges.exists():
        write_atomically(merges, gzip.compress(b"#version: characters", mtime=0))
    register_architecture()
    return open_clip.get_tokenizer(ARCHITECTURE, bpe_path=str(merges))


def normalise(images: Tensor) -> Tensor:
    """uint8 RGB (B, H, W, 3) -> float (B, 3, H, W) in -1..1, as the image tower expects it."""
    return images.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1
