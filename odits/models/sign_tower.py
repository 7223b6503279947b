"""The image tower of the embedded sign-reading model, registered with timm so that open_clip builds it by name.

A scene is searched for words by a small locator (`odits.models.locator`); each place found is cut out as a window of
32x128 pixels; a convolutional trunk and a small transformer read the windows; a gate says how much each looks like one
well-framed word, and averages their features. A 32x128 crop is exactly one window, so crops and whole scenes go through
the same weights.
"""

from __future__ import annotations

import torch
from timm.models import register_model
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from odits.models.locator import WordLocator

CROP_HEIGHT, CROP_WIDTH = 32, 128
"""Pixels of one window: the size of a tight word crop."""

WINDOW_TOKENS = 32  # feature columns of one window (stride 4)
SEGMENTS = 4  # the window's features are averaged in this many parts, so that the order of letters survives pooling


def _conv(inputs: int, outputs: int, stride: int | tuple[int, int] = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """The same channels (B, C, H, W) after two convolutions and the way around them."""
        return F.relu(x + self.second(self.first(x)), inplace=True)


class SignTower(nn.Module):
    """Image (B, 3, H, W), normalised, H and W multiples of 32 and at least 32x128 -> features (B, num_features).

    Args:
        widths: channels after strides 2, 4 and 8.
        width: channels of the tokens the transformer reads.
        layers: transformer layers.
        windows_per_scene: how many places of a scene are read.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (32, 80, 144),
        width: int = 192,
        layers: int = 2,
        windows_per_scene: int = 24,
    ) -> None:
        super().__init__()
        self.windows_per_scene = windows_per_scene
        self.locator = WordLocator()
        self.num_features = SEGMENTS * width
        self.default_cfg: dict[str, object] = {}  # read by open_clip's timm adapter
        c1, c2, c3 = widths
        self.trunk = nn.Sequential(
            _conv(3, c1, 2), _conv(c1, c1), _conv(c1, c2, 2), _Residual(c2), _conv(c2, c3, (2, 1)), _Residual(c3)
        )
        self.column = nn.Conv2d(c3, width, (CROP_HEIGHT // 8, 1))
        self.position = nn.Parameter(torch.zeros(WINDOW_TOKENS, width))
        layer = nn.TransformerEncoderLayer(
            width, width // 64, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.reader = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Sequential(nn.Linear(8 * width, 64), nn.ReLU(inplace=True), nn.Linear(64, 1))
        nn.init.normal_(self.position, std=0.02)

    def reset_classifier(self, num_classes: int, **_: object) -> None:
        """Part of timm's interface: the tower never has a classifier of its own."""

    def read(self, windows: Tensor) -> Tensor:
        """Token features (N, 32, width) of windows (N, 32, width): what the word looks like at each column."""
        return self.norm(self.reader(windows + self.position))

    def gate_logits(self, windows: Tensor) -> Tensor:
        """Log-odds (N,) that each window (N, 32, width) holds one well-framed word."""
        return self.gate(windows.unflatten(1, (8, -1)).mean(2).flatten(1)).squeeze(1)

    def windows(self, image: Tensor) -> Tensor:
        """The windows of a batch of images before reading: (B, windows, 32, width); one for 32x128 crops."""
        if image.shape[-2:] == (CROP_HEIGHT, CROP_WIDTH):
            return self._columns(image).unsqueeze(1)
        crops = self.crops(image)
        return self._columns(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])

    def crops(self, image: Tensor) -> Tensor:
        """The places that the locator chooses in scenes (B, 3, H, W), cut out: (B, windows, 3, 32, 128)."""
        boxes = self.locator.find(image, self.windows_per_scene)
        cut = roi_align(image, list(boxes), (CROP_HEIGHT, CROP_WIDTH), sampling_ratio=3, aligned=True)
        return cut.unflatten(0, boxes.shape[:2])

    def _columns(self, crops: Tensor) -> Tensor:
        """Features (N, 32, width) of the columns of crops (N, 3, 32, 128)."""
        return self.column(self.trunk(crops)).squeeze(2).transpose(1, 2)

    def pool(self, tokens: Tensor) -> Tensor:
        """Features (N, num_features) of read windows (N, 32, width)."""
        return tokens.unflatten(1, (SEGMENTS, -1)).mean(2).flatten(1)

    def forward(self, image: Tensor) -> Tensor:
        """Features (B, num_features) of normalised images (B, 3, H, W)."""
        return self.average(self.windows(image))

    def average(self, windows: Tensor) -> Tensor:
        """Features (B, num_features) of windows (B, n, 32, width), read and averaged by the gate."""
        batch, count = windows.shape[:2]
        flat = windows.flatten(0, 1)
        features = self.pool(self.read(flat)).view(batch, count, self.num_features)
        weights = self.gate_logits(flat).view(batch, count).softmax(dim=1)
        return (weights.unsqueeze(-1) * features).sum(1)


@register_model
def odits_sign_tower(pretrained: bool = False, **kwargs: object) -> SignTower:
    """timm's entry point; weights come with the whole model, never through timm."""
    known = {"widths", "width", "layers", "windows_per_scene"}
    return SignTower(**{name: value for name, value in kwargs.items() if name in known})  # type: ignore[arg-type]
