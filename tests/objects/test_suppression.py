"""Suppression remembered, against torchvision's; and masks cleaned in a window, against the whole image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import nms

from odits.models.segmentation.sam_replay import MaskCandidates, _box, _clean
from odits.objects.filters import Suppression


@pytest.mark.parametrize("seed", range(5))
def test_the_same_stay_as_by_torchvision(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 60, (150, 2))
    boxes = np.concatenate([corner, corner + rng.integers(0, 40, (150, 2))], 1)
    scores = rng.integers(0, 30, 150) / 30  # with ties
    order = np.argsort(-scores, kind="stable")
    suppression = Suppression(boxes[order])
    for threshold in (0.0, 0.3, 0.5, 2 / 3, 0.7, 1.0):
        for share in (1.0, 0.5, 0.1):
            passes = rng.random(150) < share
            some = order[passes[order]]
            expected = nms(torch.tensor(boxes[some]).float(), torch.tensor(scores[some]).float(), threshold)
            found = order[suppression.survivors(passes[order], threshold)]
            assert found.tolist() == some[expected.numpy()].tolist()


def test_no_boxes() -> None:
    assert Suppression(np.empty((0, 4))).survivors(np.empty(0, bool), 0.5) == []


@pytest.mark.parametrize("area", [2, 4, 20, 90, 400])
def test_a_mask_is_cleaned_in_its_window_as_in_the_whole_image(area: int) -> None:
    rng = np.random.default_rng(area)
    changed_somewhere = 0
    for number in range(60):
        height, width = rng.integers(8, 40, 2).tolist()
        mask = np.zeros((height, width), bool)
        y0, x0 = int(rng.integers(0, height)), int(rng.integers(0, width))
        y1, x1 = int(rng.integers(y0, height)), int(rng.integers(x0, width))
        if number % 4 == 0:
            x0, x1 = 0, width - 1  # a bar from edge to edge: the ground above it and below are two
        part = rng.random((y1 - y0 + 1, x1 - x0 + 1)) < rng.choice([0.3, 0.6, 0.9])
        mask[y0 : y1 + 1, x0 : x1 + 1] = part
        if not mask.any():
            continue
        box = _box(mask)
        inside = mask[box[1] : box[3] + 1, box[0] : box[2] + 1]
        kept = MaskCandidates(
            (height, width),
            (0.0, 0.0),
            0.7,
            np.array([[0, 0, width, height]]),
            np.ones(1, np.float32),
            np.ones(1, np.float32),
            np.zeros(1, np.int64),
            box[None],
            np.packbits(inside),
        )
        assert np.array_equal(kept.mask(0), mask)
        expected, changed = _clean(mask, area)
        found = kept.cleaned(0, area)
        assert found[0] == changed and found[1].tolist() == _box(expected).tolist()
        changed_somewhere += changed
    assert changed_somewhere > 10
