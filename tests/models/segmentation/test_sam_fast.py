"""The approximate mode: what it skips, and that it says what it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from segment_anything.modeling import Sam

from odits.models.segmentation.parameters import SamParameters
from odits.models.segmentation.sam_generator import (
    ApproximateGenerator,
    MaskGenerator,
    agreement,
    coarse_to_fine,
    has_bfloat16,
)
from odits.models.segmentation.sam_network import PointDecoder
from tests.models.segmentation.test_sam_decoder import LOOSE, cancel_at, scene, small_sam


@pytest.fixture(scope="module")
def sam() -> Sam:
    return small_sam()


def grid(side: int) -> np.ndarray:
    centres = (np.arange(side) + 0.5) / side
    return np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)


def test_points_come_from_coarse_to_fine() -> None:
    points = grid(16)
    order = coarse_to_fine(points)
    assert sorted(order) == list(range(256))
    for side in (4, 8):
        first = np.floor(points[order[: side * side]] * side).astype(int)
        assert len(np.unique(first, axis=0)) == side * side


def test_points_at_one_place_are_all_asked_about() -> None:
    assert sorted(coarse_to_fine(np.array([[0.3, 0.3], [0.3, 0.3], [1.0, 1.0]]))) == [0, 1, 2]


def test_points_in_accepted_masks_are_skipped(sam: Sam, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    decode = PointDecoder.decode

    def counting(self: PointDecoder, start: torch.Tensor, queries: torch.Tensor) -> object:
        asked.append(len(start))
        return decode(self, start, queries)

    monkeypatch.setattr(PointDecoder, "decode", counting)
    arguments = LOOSE | {"points_per_side": 12, "pred_iou_thresh": 0.8}
    found = ApproximateGenerator(sam, **arguments).generate(scene(200, 144))
    assert found and 16 <= sum(asked) < 144
    asked.clear()
    MaskGenerator(sam, **arguments).generate(scene(200, 144))
    assert sum(asked) == 144


def test_without_accepted_masks_every_point_is_asked_about(sam: Sam) -> None:
    seen: list[tuple[int, int]] = []
    arguments = LOOSE | {"pred_iou_thresh": 2.0}
    assert (
        ApproximateGenerator(sam, lambda done, of: seen.append((done, of)), **arguments).generate(scene(90, 64)) == []
    )
    assert seen[-1] == (72, 72)


def test_skipping_points_is_the_only_difference(sam: Sam) -> None:
    """Where bfloat16 is not to be had, its masks are exact ones."""
    if has_bfloat16(torch.device("cpu")):
        pytest.skip("this processor works in bfloat16")
    image = scene(256, 192)
    arguments = LOOSE | {"output_mode": "coco_rle", "box_nms_thresh": 1.0}
    exact = [item["segmentation"]["counts"] for item in MaskGenerator(sam, **arguments).generate(image)]
    found = [item["segmentation"]["counts"] for item in ApproximateGenerator(sam, **arguments).generate(image)]
    assert 0 < len(found) <= len(exact)
    assert set(found) <= set(exact)


def test_records_fit_the_image(sam: Sam) -> None:
    found = ApproximateGenerator(sam, **LOOSE | {"crop_n_layers": 1}).generate(scene(200, 120))
    assert found
    for item in found:
        assert item["segmentation"].shape == (120, 200)
        assert item["segmentation"].sum() == item["area"]
        assert item["predicted_iou"] > LOOSE["pred_iou_thresh"]
        assert item["stability_score"] >= LOOSE["stability_score_thresh"]


def test_reduced_precision_gives_nearly_the_same_embedding(sam: Sam, monkeypatch: pytest.MonkeyPatch) -> None:
    """bfloat16 is emulated where the processor has none: slow, but with the same result."""
    generator = ApproximateGenerator(sam, **LOOSE)
    pixels = torch.as_tensor(scene(256, 192).copy()).permute(2, 0, 1)[None]
    embeddings = []
    for reduced in (False, True):
        monkeypatch.setattr(
            "odits.models.segmentation.sam_generator.has_bfloat16", lambda device, reduced=reduced: reduced
        )
        with torch.inference_mode():
            embeddings.append(generator._embed(pixels, lambda: None))
    full, half = embeddings
    assert full.shape == (1, 32, 16, 16) and half.dtype == torch.float32
    assert 0 < (full - half).abs().mean() < 0.05 * full.std()


@pytest.mark.parametrize("limit", [1, 40])
def test_what_the_callback_raises_ends_the_work(sam: Sam, limit: int) -> None:
    with pytest.raises(InterruptedError):
        ApproximateGenerator(sam, cancel_at(limit), **LOOSE).generate(scene(200, 144))


def test_the_masks_do_not_depend_on_the_number_of_threads(sam: Sam) -> None:
    threads = torch.get_num_threads()
    counts = []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            found = ApproximateGenerator(sam, **LOOSE | {"output_mode": "coco_rle"}).generate(scene(200, 144))
            counts.append([item["segmentation"]["counts"] for item in found])
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    assert counts[0] == counts[1]


def test_agreement_counts_exact_masks_with_a_counterpart() -> None:
    from pycocotools import mask as coco

    def rle(x0: int, x1: int) -> dict[str, object]:
        mask = np.zeros((10, 100), np.uint8, order="F")
        mask[:, x0:x1] = 1
        return coco.encode(mask)

    exact, other = [rle(0, 10), rle(20, 40)], [rle(0, 9), rle(20, 30), rle(90, 95)]
    found = agreement(exact, other)
    assert found.mean_iou == pytest.approx((0.9 + 0.5) / 2) and found.found == 0.5
    assert agreement(exact, []) == (0.0, 0.0) and agreement([], other) == (1.0, 1.0)


def test_the_key_tells_the_modes_apart() -> None:
    exact, approximate = SamParameters(), SamParameters(mode="approximate")
    assert exact.key != approximate.key and "approximate" in approximate.key
    assert "mode" not in approximate.generator_arguments()
