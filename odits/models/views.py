"""How an image is brought to the size a model looks at: as a whole scene, or as the crop of one object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from odits.models.embedded import normalise
from odits.models.sign_tower import CROP_HEIGHT, CROP_WIDTH, SignTower
from odits.predictions import View

Transform = Callable[[Image.Image], Tensor]

_PADDING = (127, 127, 127)


def view_transforms(model: Any, preprocess: Transform) -> dict[View, Transform]:
    """A transform from an RGB image to a tensor (3, H, W) for each view of the model.

    Ordinary CLIP models have one input size and see both alike, through open_clip's own `preprocess`. The embedded
    model's tower reads words of up to some 100 pixels anywhere in a scene, or one word that fills a 32x128 crop.
    """
    if not isinstance(getattr(model.visual, "trunk", None), SignTower):
        return {"scene": preprocess, "crop": preprocess}
    height, width = model.visual.image_size
    return {"scene": lambda image: _scene(image, height, width), "crop": _crop}


def _tensor(image: Image.Image) -> Tensor:
    return normalise(torch.from_numpy(np.array(image, dtype=np.uint8))[None])[0]


def _scene(image: Image.Image, height: int, width: int) -> Tensor:
    """The whole image inside height x width, shrunk where it must be, never enlarged, padded with grey."""
    scale = min(height / image.height, width / image.width, 1.0)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new("RGB", (width, height), _PADDING)
    canvas.paste(image.resize(size, Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR))
    return _tensor(canvas)


def _crop(image: Image.Image) -> Tensor:
    """The image stretched to one window of the tower."""
    return _tensor(image.resize((CROP_WIDTH, CROP_HEIGHT), Image.Resampling.BILINEAR))
