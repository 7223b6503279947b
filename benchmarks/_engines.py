"""Which engine encodes images in a benchmark, PyTorch or OpenVINO: decided before anything is measured."""

from __future__ import annotations

from PIL.Image import Image

from odits.models.clip.image_encoder import PYTORCH, TRIAL_AFTER
from odits.models.clip.model import IMAGE_BATCH, ClipModel


def settle(clip: ClipModel, image: Image) -> str:
    """Encode an image until it is decided who encodes (`odits.models.clip.image_encoder`); return the engine's name."""
    for _ in range(TRIAL_AFTER // IMAGE_BATCH + 1):
        clip.encode_images([image] * IMAGE_BATCH)
    return clip.engine or PYTORCH
