"""The image tower of the embedded CLIP model. This file needs nothing of the package: it is pushed with checkpoints.

A locator, small and fully convolutional, predicts a word's box in each cell of the scene (FCOS, Tian et al. 2019); it
knows words of about 10 to 40 pixels height, and larger ones on the scene at a half and a quarter of its size. Each box
is cut out as a window of 32x128 pixels, which a convolutional trunk and a small transformer read; a gate says how much
each window looks like one well-framed word, and averages their features. A crop of 32x128 pixels is exactly one window,
so that crops and whole scenes go through the same weights.

Importing it registers the tower with timm, so that open_clip builds it by name.
"""

from __future__ import annotations

import torch
from timm.models import register_model
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss, nms, roi_align, sigmoid_focal_loss

STRIDE = 8  # pixels between cells
SCALES = (1.0, 0.5, 0.25)
HEIGHTS = (9.0, 42.0)  # pixels of the words that a scale answers for
TOO_TALL = 60.0
MARGIN = 0.04  # share of a box's height added on every side; chosen on SVT's training images

CROP_HEIGHT, CROP_WIDTH = 32, 128
"""Pixels of one window: the size of a tight word crop."""
WINDOW_TOKENS = 32  # feature columns of one window (stride 4)
SEGMENTS = 4  # the window's features are averaged in this many segments, so that the order of letters survives pooling


def _layer(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Build a convolution, normalisation and ReLU, dilated along the line of text only."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, (1, dilation), (1, dilation), bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class WordLocator(nn.Module):
    """Finds words in scenes: for each cell of 8x8 pixels a logit and a box (FCOS, Tian et al. 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _layer(3, 16, 2),
            _layer(16, 32, 2),
            _layer(32, 32),
            _layer(32, 64, 2),
            _layer(64, 64, dilation=2),
            _layer(64, 64, dilation=4),
            _layer(64, 64, dilation=8),
            _layer(64, 64),
        )
        self.head = nn.Conv2d(64, 5, 1)
        nn.init.constant_(self.head.bias[:1], -4.0)  # words are rare: the focal loss starts quietly

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Predict a word for each cell.

        Args:
            image: normalised images (B, 3, H, W).

        Returns:
            Logits (B, h, w) that a word's middle lies in the cell, and its box (B, h, w, 4): x0, y0, x1, y1 in pixels.
        """
        found = self.head(self.layers(image))
        distance = found[:, 1:].clamp(-4, 5).exp() * STRIDE
        centres = _centres(found.shape[-2], found.shape[-1], image.device)
        left_top = centres - distance[:, :2].permute(0, 2, 3, 1)
        right_bottom = centres + distance[:, 2:].permute(0, 2, 3, 1)
        return found[:, 0], torch.cat([left_top, right_bottom], dim=-1)

    @torch.no_grad()
    def find(self, image: Tensor, count: int) -> Tensor:
        """Find the `count` likeliest word boxes of each image.

        Args:
            image: normalised images (B, 3, H, W).
            count: boxes of each image.

        Returns:
            (B, count, 4): x0, y0, x1, y1 in pixels, best first; where fewer are found, the whole image fills the rest.
        """
        batch, _, height, width = image.shape
        whole = torch.tensor([0.0, 0.0, width, height], device=image.device)
        limits = whole[[2, 3, 2, 3]]
        logits, boxes = [], []
        for scale in SCALES:
            size = (max(STRIDE, int(height * scale)), max(STRIDE, int(width * scale)))
            level = image if scale == 1 else F.interpolate(image, size, mode="area")
            logit, box = self(level)
            logits.append(logit.flatten(1))
            boxes.append(box.flatten(1, 2) / scale)
        all_logits, all_boxes = torch.cat(logits, 1), torch.cat(boxes, 1)
        found = whole.repeat(batch, count, 1)
        for index in range(batch):
            best = all_logits[index].topk(min(300, all_logits.shape[1])).indices
            candidates = all_boxes[index, best]
            selected = candidates[nms(candidates, all_logits[index, best], 0.35)[:count]]
            pad = MARGIN * (selected[:, 3] - selected[:, 1])
            grown = selected + torch.stack([-pad, -pad, pad, pad], dim=1)
            found[index, : len(selected)] = grown.clamp(min=0).minimum(limits)
        return found


def _centres(rows: int, columns: int, device: torch.device) -> Tensor:
    """Return the centres (rows, columns, 2) of the cells, x and y in pixels."""
    y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    return torch.stack([x, y], dim=-1) * STRIDE + STRIDE / 2


def locator_loss(locator: WordLocator, images: Tensor, boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Compute the focal loss of the cells and the GIoU loss of the boxes.

    The cells in the middle of a word are positive, the rest of its box counts neither way. Words a little outside the
    heights that this scale answers for count neither way; the letters of far larger ones must not be taken for words.

    Args:
        locator: the locator in training.
        images: normalised images (B, 3, H, W).
        boxes: of each image the boxes (n, 4) of its words, x0, y0, x1, y1 in pixels.

    Returns:
        The focal loss (Lin et al. 2017) of the cells and the GIoU loss (Rezatofighi et al. 2019) of the boxes.
    """
    logits, found = locator(images)
    centres = _centres(logits.shape[1], logits.shape[2], images.device).flatten(0, 1)
    target = torch.zeros(logits.shape[0], len(centres))
    counted = torch.ones_like(target)
    losses = []
    for index, words in enumerate(boxes):
        for word in words:
            x0, y0, x1, y1 = word.tolist()
            width, height = x1 - x0, y1 - y0
            offset = centres - torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2])
            inside = (offset[:, 0].abs() <= width / 2) & (offset[:, 1].abs() <= height / 2)
            if height <= TOO_TALL:
                counted[index, inside] = 0
            if HEIGHTS[0] <= height <= HEIGHTS[1]:
                reach_x, reach_y = max(0.2 * width, 0.5 * STRIDE), max(0.25 * height, 0.5 * STRIDE)
                middle = (offset[:, 0].abs() <= reach_x) & (offset[:, 1].abs() <= reach_y)
                target[index, middle] = 1
                counted[index, middle] = 1
                predicted = found[index].flatten(0, 1)[middle]
                losses.append(generalized_box_iou_loss(predicted, word.expand_as(predicted), reduction="mean"))
    cells = (sigmoid_focal_loss(logits.flatten(1), target) * counted).sum() / target.sum().clamp(min=1)
    return cells, torch.stack(losses).mean() if losses else found.sum() * 0


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
        """Add two convolutions to `x` (B, C, H, W)."""
        return F.relu(x + self.second(self.first(x)), inplace=True)


class SignTower(nn.Module):
    """Encodes normalised images (B, 3, H, W), H and W multiples of 32 and at least 32x128, as (B, num_features).

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
        """Do nothing: part of timm's interface, and the tower never has a classifier of its own."""

    def read(self, windows: Tensor) -> Tensor:
        """Read windows (N, 32, width): token features (N, 32, width), what the word looks like at each column."""
        return self.norm(self.reader(windows + self.position))

    def gate_logits(self, windows: Tensor) -> Tensor:
        """Return the log-odds (N,) that each window (N, 32, width) holds one well-framed word."""
        return self.gate(windows.unflatten(1, (8, -1)).mean(2).flatten(1)).squeeze(1)

    def windows(self, image: Tensor) -> Tensor:
        """Return the windows of images before reading: (B, windows, 32, width); one for a crop of 32x128 pixels."""
        if image.shape[-2:] == (CROP_HEIGHT, CROP_WIDTH):
            return self._columns(image).unsqueeze(1)
        crops = self.crops(image)
        return self._columns(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])

    def crops(self, image: Tensor) -> Tensor:
        """Cut out of scenes (B, 3, H, W) the boxes that the locator finds: (B, windows, 3, 32, 128)."""
        boxes = self.locator.find(image, self.windows_per_scene)
        cut = roi_align(image, list(boxes), (CROP_HEIGHT, CROP_WIDTH), sampling_ratio=3, aligned=True)
        return cut.unflatten(0, boxes.shape[:2])

    def _columns(self, crops: Tensor) -> Tensor:
        """Return features (N, 32, width) of the columns of crops (N, 3, 32, 128)."""
        return self.column(self.trunk(crops)).squeeze(2).transpose(1, 2)

    def pool(self, tokens: Tensor) -> Tensor:
        """Pool read windows (N, 32, width) to features (N, num_features)."""
        return tokens.unflatten(1, (SEGMENTS, -1)).mean(2).flatten(1)

    def forward(self, image: Tensor) -> Tensor:
        """Encode normalised images (B, 3, H, W) as features (B, num_features)."""
        return self.average(self.windows(image))

    def average(self, windows: Tensor) -> Tensor:
        """Read windows (B, n, 32, width) and average their features by the gate: (B, num_features)."""
        batch, count = windows.shape[:2]
        flat = windows.flatten(0, 1)
        features = self.pool(self.read(flat)).view(batch, count, self.num_features)
        weights = self.gate_logits(flat).view(batch, count).softmax(dim=1)
        return (weights.unsqueeze(-1) * features).sum(1)


@register_model
def odits_sign_tower(pretrained: bool = False, **kwargs: object) -> SignTower:
    """Build the tower: timm's entry point; weights come with the whole model, never through timm."""
    known = {"widths", "width", "layers", "windows_per_scene"}
    return SignTower(**{name: value for name, value in kwargs.items() if name in known})  # type: ignore[arg-type]
