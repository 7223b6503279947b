"""Single masks of SAM: packed, measured, encoded and filtered, at the very boundaries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from segment_anything.modeling import Sam
from segment_anything.utils.amg import calculate_stability_score, rle_to_mask

from odits.core.errors import OditsError
from odits.models.segmentation.sam_generator import (
    MaskCandidate,
    MaskGenerator,
    pack_mask,
    stability_score,
    to_rle,
    upscale_logits,
)
from odits.models.segmentation.sam_replay import Filters, MaskCandidates, collect, replay
from tests.models.segmentation.test_sam_decoder import LOOSE, scene, small_sam


def candidate(mask: np.ndarray) -> MaskCandidate:
    box, bits = pack_mask(mask)
    return MaskCandidate(0.9, 0.9, np.zeros(2), box, bits)


def ring() -> np.ndarray:
    mask = np.zeros((12, 15), bool)
    mask[3:9, 2:11] = True
    mask[5:7, 4:8] = False
    return mask


def test_a_mask_is_packed_within_its_box() -> None:
    one = candidate(ring())
    assert one.box == (2, 3, 10, 8)
    assert np.array_equal(one.inside(), ring()[3:9, 2:11])
    corner = np.zeros((4, 5), bool)
    corner[3, 4] = True
    assert candidate(corner).box == (4, 3, 4, 3) and candidate(corner).inside().tolist() == [[True]]
    nothing = candidate(np.zeros((4, 5), bool))
    assert nothing.box == (0, 0, 0, 0) and nothing.inside().tolist() == [[False]]


@pytest.mark.parametrize("corner", [(0, 0), (3, 2), (5, 8)])
def test_run_lengths_are_the_librarys(corner: tuple[int, int]) -> None:
    size = (20, 20)
    for mask in (ring(), np.ones((12, 15), bool), np.zeros((12, 15), bool)):
        whole = np.zeros(size, bool)
        whole[corner[1] : corner[1] + 12, corner[0] : corner[0] + 15] = mask
        rle = to_rle(candidate(mask), corner, size)
        assert rle["size"] == [20, 20] and sum(rle["counts"]) == 400
        assert all(count > 0 for count in rle["counts"][1:])
        assert np.array_equal(rle_to_mask(rle), whole)
        assert rle["counts"][0] == (0 if whole[0, 0] else rle["counts"][0]) and (rle["counts"][0] == 0) == whole[0, 0]


def test_stability_is_the_librarys_also_on_the_cutoffs() -> None:
    logits = np.array([[1.0, 1.5, -1.0, -0.5], [2.0, 0.0, -2.0, 1.25]], np.float32)
    for threshold, offset in ((0.0, 1.0), (0.5, 0.5), (0.0, 0.0), (0.25, 1.25)):
        expected = float(calculate_stability_score(torch.tensor(logits)[None], threshold, offset)[0])
        assert stability_score(logits, threshold, offset) == expected
    assert stability_score(logits, 0.0, 1.0) == np.float32(3 / 6)  # 1.0 is not above 1, nor -1.0 above -1
    assert math.isnan(stability_score(logits, 9.0, 1.0))


def test_logits_are_upscaled_as_by_the_model() -> None:
    sam = small_sam()
    logits = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    for input_size, size in (((256, 192), (256, 192)), ((130, 256), (65, 128)), ((256, 33), (512, 66))):
        expected = sam.postprocess_masks(logits, input_size, size)[0, 0]
        rows = -(-input_size[0] // 4) + 1
        found = upscale_logits(logits[0, 0, :rows], 4, input_size, size)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def sam() -> Sam:
    return small_sam()


@pytest.fixture(scope="module")
def candidates(sam: Sam) -> MaskCandidates:
    return collect(sam, scene(120, 96), LOOSE | {"points_per_side": 4, "stability_score_thresh": 0.2})


def test_quality_must_be_above_and_stability_at_least_the_threshold(sam: Sam, candidates: MaskCandidates) -> None:
    """As in segment-anything: `>` and `>=`."""
    quality, stability = float(np.median(candidates.quality)), float(np.median(candidates.stability))
    if quality not in candidates.quality:
        quality = float(np.sort(candidates.quality)[len(candidates.quality) // 2])
    if stability not in candidates.stability:
        stability = float(np.sort(candidates.stability)[len(candidates.stability) // 2])
    above, enough = candidates.quality > quality, candidates.stability >= stability
    assert 0 < above.sum() < (candidates.quality >= quality).sum() < len(above)
    assert 0 < (candidates.stability > stability).sum() < enough.sum() < len(enough)
    loose = {"pred_iou_thresh": 0.85, "stability_score_thresh": 0.2, "box_nms_thresh": 1.0}
    for changed, expected in (
        ({"pred_iou_thresh": quality}, above),
        ({"stability_score_thresh": stability}, enough),
    ):
        filters = Filters(**loose | changed)
        assert sorted(replay(candidates, filters).indices) == np.flatnonzero(expected).tolist()
        arguments = LOOSE | {"points_per_side": 4} | loose | changed
        (_, found), *_ = MaskGenerator(sam, **arguments).candidates(scene(120, 96))
        assert len(found) == expected.sum()


def test_the_thresholds_of_the_candidates_can_still_be_tried(candidates: MaskCandidates) -> None:
    assert len(replay(candidates, Filters(0.85, 0.2, 1.0))) == len(candidates.quality)
    for looser in (Filters(0.8499, 0.2), Filters(0.85, 0.1999)):
        with pytest.raises(OditsError, match="cannot be tried below"):
            replay(candidates, looser)


def test_boxes_that_overlap_by_just_the_threshold_stay() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 10]])
    packed = [np.packbits(np.ones((y1 - y0 + 1, x1 - x0 + 1), bool)) for x0, y0, x1, y1 in boxes]
    made = MaskCandidates(
        (40, 40),
        (0.0, 0.0),
        0.7,
        np.array([[0, 0, 40, 40]]),
        np.array([0.9, 0.8, 0.7], np.float32),
        np.ones(3, np.float32),
        np.zeros(3, np.int64),
        boxes,
        np.concatenate(packed),
    )
    assert replay(made, Filters(0.0, 0.0, 0.5)).indices == (0, 1, 2)  # their IoU is 0.5
    assert replay(made, Filters(0.0, 0.0, 0.49)).indices == (0, 2)
    assert [int(mask.sum()) for mask in replay(made, Filters(0.0, 0.0, 0.5)).masks()] == [121, 66, 121]
