"""The masks of segment-anything, computed in another order: compared with the library's own, on a SAM of 256 pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.modeling import Sam

from benchmarks.random_sam import make_random
from odits.models.segmentation.sam_generator import DecoderThreads, MaskGenerator
from odits.models.segmentation.sam_network import PointDecoder, encode_image
from tests.models.segmentation.small_sam import build_sam


def small_sam(depth: int = 2) -> Sam:
    """A SAM of 256 pixels whose random weights are wide enough that every part of it changes the masks."""
    torch.manual_seed(4)
    sam = build_sam(256, heads=4, global_layers=(1,), depth=depth)
    return make_random(sam, scene(256, 192), share=0.5)


@pytest.fixture(scope="module")
def sam() -> Sam:
    return small_sam()


def scene(width: int, height: int) -> np.ndarray:
    image = Image.new("RGB", (width, height), (160, 170, 190))
    draw = ImageDraw.Draw(image)
    draw.rectangle((width * 0.1, height * 0.2, width * 0.5, height * 0.7), fill=(150, 40, 30))
    draw.ellipse((width * 0.55, height * 0.3, width * 0.9, height * 0.8), fill=(30, 90, 60))
    draw.rectangle((width * 0.2, height * 0.3, width * 0.4, height * 0.45), fill=(240, 220, 40))
    return np.asarray(image)


LOOSE: dict[str, Any] = {
    "points_per_side": 6,
    "points_per_batch": 16,
    "pred_iou_thresh": 0.85,
    "stability_score_thresh": 0.3,
    "box_nms_thresh": 0.8,
}


def compare(expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    """The same records in the same order; scores but for rounding."""
    assert len(found) == len(expected)
    for one, other in zip(expected, found, strict=True):
        if isinstance(one["segmentation"], dict):
            assert other["segmentation"] == one["segmentation"]
        else:
            assert other["segmentation"].dtype == bool
            assert np.array_equal(other["segmentation"], one["segmentation"])
        for name in ("area", "bbox", "point_coords", "crop_box"):
            assert other[name] == one[name], name
        assert other["predicted_iou"] == pytest.approx(one["predicted_iou"], abs=1e-5)
        assert other["stability_score"] == pytest.approx(one["stability_score"], abs=1e-5, nan_ok=True)


def test_the_encoder_gives_the_library_s_embedding(sam: Sam) -> None:
    pixels = torch.randn(1, 3, 256, 256)
    steps: list[None] = []
    assert torch.allclose(encode_image(sam, pixels, lambda: steps.append(None)), sam.image_encoder(pixels), atol=1e-4)
    assert len(steps) == 2


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_decoder_gives_the_library_s_logits(depth: int) -> None:
    sam = small_sam(depth)
    embedding = torch.randn(1, 32, 16, 16)
    points = 256 * torch.rand(9, 1, 2, dtype=torch.float64)
    sparse, dense = sam.prompt_encoder(points=(points, torch.ones(9, 1)), boxes=None, masks=None)
    logits, quality = sam.mask_decoder(
        image_embeddings=embedding,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    decoder = PointDecoder(sam, embedding)
    decoded = decoder.decode(*decoder.tokens(points))
    assert torch.allclose(torch.stack([item.quality for item in decoded]), quality, atol=1e-4)
    masks = torch.stack([decoder.masks(item, [0, 1, 2]) for item in decoded])
    assert logits.std() > 0.5
    assert (masks - logits).abs().max() < 1e-3
    assert torch.equal(decoder.masks(decoded[4], [2])[0], masks[4, 2])


@pytest.mark.parametrize("mode", ["binary_mask", "uncompressed_rle", "coco_rle"])
@pytest.mark.parametrize("size", [(256, 192), (120, 200), (300, 300)])
def test_every_output_mode_is_the_library_s(sam: Sam, mode: str, size: tuple[int, int]) -> None:
    image = scene(*size)
    arguments = LOOSE | {"output_mode": mode}
    expected = SamAutomaticMaskGenerator(sam, **arguments).generate(image)
    assert len(expected) > 2
    compare(expected, MaskGenerator(sam, **arguments).generate(image))


@pytest.mark.parametrize(
    "changed",
    [
        {"pred_iou_thresh": 0.0},
        {"stability_score_thresh": 0.0},
        {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0},
        {"stability_score_offset": 0.3},
        {"box_nms_thresh": 0.5},
        {"min_mask_region_area": 300},
        {"points_per_side": 3, "crop_n_layers": 1},
        {"points_per_side": 4, "crop_n_layers": 2, "crop_n_points_downscale_factor": 2, "crop_overlap_ratio": 0.2},
        {"crop_n_layers": 1, "crop_nms_thresh": 0.4, "min_mask_region_area": 100},
        {"points_per_side": None, "point_grids": [np.array([[0.2, 0.4], [0.7, 0.5], [0.31, 0.36]])]},
        {"pred_iou_thresh": 2.0},
    ],
)
def test_every_parameter_does_what_it_does_in_the_library(sam: Sam, changed: dict[str, Any]) -> None:
    image = scene(200, 144)
    arguments = LOOSE | changed
    expected = SamAutomaticMaskGenerator(sam, **arguments).generate(image)
    assert bool(expected) == (arguments["pred_iou_thresh"] < 2)
    compare(expected, MaskGenerator(sam, **arguments).generate(image))


def test_crops_without_a_mask_give_none(sam: Sam) -> None:
    """Where the library breaks off with an IndexError."""
    arguments = LOOSE | {"pred_iou_thresh": 2.0, "points_per_side": 2, "crop_n_layers": 1}
    assert MaskGenerator(sam, **arguments).generate(scene(200, 144)) == []


def test_progress_counts_up_to_the_end(sam: Sam) -> None:
    seen: list[tuple[int, int]] = []
    MaskGenerator(sam, lambda done, of: seen.append((done, of)), **LOOSE | {"crop_n_layers": 1}).generate(
        scene(200, 144)
    )
    done = [item[0] for item in seen]
    assert done == sorted(done) and {item[1] for item in seen} == {2 * 36 * 5} and done[-1] == 2 * 36 * 5
    assert len(done) > 20


def cancel_at(limit: int) -> Callable[[int, int], None]:
    def advance(done: int, of: int) -> None:
        if done >= limit:
            raise InterruptedError(f"{done} of {of}")

    return advance


@pytest.mark.parametrize("limit", [1, 40, 60])
def test_what_the_callback_raises_ends_the_work(sam: Sam, limit: int) -> None:
    with pytest.raises(InterruptedError):
        MaskGenerator(sam, cancel_at(limit), **LOOSE).generate(scene(200, 144))


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_as_before_and_errors_come_out(sam: Sam, threads: int) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with pytest.raises(InterruptedError):
            MaskGenerator(sam, cancel_at(50), **LOOSE).generate(scene(200, 144))
        assert torch.get_num_threads() == threads
        with torch.inference_mode(), DecoderThreads(torch.device("cpu")) as pool:
            assert list(pool.map(lambda item: item * item, range(20))) == [item * item for item in range(20)]
            with pytest.raises(ZeroDivisionError):
                list(pool.map(lambda item: 1 / item, [2, 1, 0, 3]))
    finally:
        torch.set_num_threads(before)
