"""Where words stand in a scene: a small fully convolutional locator, a box a cell (FCOS, Tian et al. 2019).

It knows words of about 10 to 40 pixels height; larger ones are found on the scene at a half and a quarter of its size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss, nms, sigmoid_focal_loss

STRIDE = 8  # pixels between cells
SCALES = (1.0, 0.5, 0.25)
HEIGHTS = (9.0, 42.0)  # pixels of the words that a scale answers for
TOO_TALL = 60.0
MARGIN = 0.04  # share of a box's height added on every side; chosen on SVT's training images


def _layer(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution, normalisation, ReLU; dilated along the line of text only."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, (1, dilation), (1, dilation), bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class WordLocator(nn.Module):
    """Normalised images (B, 3, H, W) -> per cell of 8x8 pixels a logit (B, h, w) and a box (B, h, w, 4) in pixels."""

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
        """Logits that a word's middle lies in a cell, and the word's box x0, y0, x1, y1 seen from there."""
        found = self.head(self.layers(image))
        distance = found[:, 1:].clamp(-4, 5).exp() * STRIDE
        centres = _centres(found.shape[-2], found.shape[-1], image.device)
        left_top = centres - distance[:, :2].permute(0, 2, 3, 1)
        right_bottom = centres + distance[:, 2:].permute(0, 2, 3, 1)
        return found[:, 0], torch.cat([left_top, right_bottom], dim=-1)

    @torch.no_grad()
    def find(self, image: Tensor, count: int) -> Tensor:
        """The `count` likeliest word boxes (B, count, 4) of each image, x0, y0, x1, y1 in pixels, best first.

        Where fewer are found, the whole image fills the places that are left.
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
            kept = nms(candidates, all_logits[index, best], 0.35)[:count]
            pad = MARGIN * (candidates[kept, 3] - candidates[kept, 1])
            grown = candidates[kept] + torch.stack([-pad, -pad, pad, pad], dim=1)
            found[index, : len(kept)] = grown.clamp(min=0).minimum(limits)
        return found


def _centres(rows: int, columns: int, device: torch.device) -> Tensor:
    """Centres (rows, columns, 2) of the cells, x and y in pixels."""
    y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    return torch.stack([x, y], dim=-1) * STRIDE + STRIDE / 2


def locator_loss(locator: WordLocator, images: Tensor, boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Focal loss of the cells and GIoU loss of the boxes, for normalised images (B, 3, H, W) and their words' boxes.

    The cells in the middle of a word are positive, the rest of its box counts neither way. Words a little outside the
    heights that this scale answers for count neither way; the letters of far larger ones must not be taken for words.
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
                seen = found[index].flatten(0, 1)[middle]
                losses.append(generalized_box_iou_loss(seen, word.expand_as(seen), reduction="mean"))
    cells = (sigmoid_focal_loss(logits.flatten(1), target) * counted).sum() / target.sum().clamp(min=1)
    return cells, torch.stack(losses).mean() if losses else found.sum() * 0
