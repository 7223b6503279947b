"""SAM's parameters, weights and the generator's path, with a real SAM that is only small."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from segment_anything.modeling import Sam

from odits.core.errors import OditsError
from odits.models.registry import available
from odits.models.segmentation.parameters import SamParameters
from odits.models.segmentation.sam import SamSegmenter
from odits.models.segmentation.sam_weights import load_sam
from odits.models.segmentation.segmenters import load_segmenter
from tests.models.segmentation.small_sam import build_sam, write_small_sam

FAST = SamParameters(points_per_side=2, points_per_batch=4, pred_iou_thresh=0.0, stability_score_thresh=0.0)


def small_sam() -> Sam:
    """SAM at its full 1024 pixels with a two-layer encoder of width 32 and random weights."""
    torch.manual_seed(0)
    sam = build_sam(1024, heads=8)
    torch.nn.init.constant_(sam.mask_decoder.iou_prediction_head.layers[-1].bias, 0.9)
    return sam.eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_sam(tmp_path_factory.mktemp("sam"))


@pytest.fixture
def picture() -> Image.Image:
    pixels = np.full((120, 200, 3), 200, np.uint8)
    pixels[30:90, 40:110] = (180, 30, 30)
    return Image.fromarray(pixels)


def test_the_defaults_are_the_thesis_table() -> None:
    assert dataclasses.asdict(SamParameters()) == {
        "points_per_side": 32,
        "points_per_batch": 64,
        "pred_iou_thresh": 0.88,
        "stability_score_thresh": 0.95,
        "stability_score_offset": 1.0,
        "box_nms_thresh": 0.7,
        "crop_n_layers": 0,
        "crop_nms_thresh": 0.7,
        "crop_overlap_ratio": 0.341,
        "crop_n_points_downscale_factor": 1,
        "point_grids": None,
        "min_mask_region_area": 0,
        "output_mode": "binary_mask",
        "mode": "exact",
    }


def test_every_parameter_says_what_it_does() -> None:
    for field in dataclasses.fields(SamParameters):
        assert field.metadata["help"].endswith("."), field.name


@pytest.mark.parametrize(
    "wrong",
    [
        {"points_per_side": 0},
        {"points_per_side": 3.5},
        {"points_per_batch": 0},
        {"pred_iou_thresh": 1.2},
        {"stability_score_thresh": float("nan")},
        {"box_nms_thresh": -0.1},
        {"crop_n_layers": 9},
        {"crop_overlap_ratio": "wide"},
        {"min_mask_region_area": -1},
        {"output_mode": "png"},
        {"mode": "fast"},
        {"points_per_side": None},
        {"point_grids": (((0.5, 0.5),),)},
        {"points_per_side": None, "point_grids": (((0.5, 1.5),),)},
        {"points_per_side": None, "point_grids": (((0.5, 0.5),),), "crop_n_layers": 1},
        {"points_per_side": 4, "crop_n_layers": 2, "crop_n_points_downscale_factor": 4},
    ],
)
def test_a_value_out_of_range_is_one_sentence(wrong: dict[str, object]) -> None:
    with pytest.raises(OditsError) as caught:
        SamParameters(**wrong)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_the_key_tells_parameters_apart() -> None:
    assert SamParameters().key == SamParameters().key
    assert SamParameters().key != SamParameters(points_per_side=16).key


@pytest.mark.parametrize("mode", ["binary_mask", "uncompressed_rle", "coco_rle"])
def test_masks_come_back_at_the_image_s_own_size(weights: Path, picture: Image.Image, mode: str) -> None:
    segmenter = SamSegmenter(weights, dataclasses.replace(FAST, output_mode=mode), "cpu")
    found = segmenter.segment(picture)
    assert len(found) > 0
    assert found.mask.dtype == bool and found.mask.shape == (len(found), 120, 200)
    assert found.mask.reshape(len(found), -1).sum(axis=1).tolist() == found.data["area"].tolist()
    assert set(found.data["kind"]) == {"mask"}
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    again = segmenter.segment(picture)
    assert np.array_equal(found.mask, again.mask)


def test_thresholds_reach_the_generator(weights: Path, picture: Image.Image) -> None:
    strict = SamSegmenter(weights, dataclasses.replace(FAST, pred_iou_thresh=1.0), "cpu")
    assert len(strict.segment(picture)) == 0
    loose = strict.with_parameters(FAST)
    assert len(loose.segment(picture)) > 0
    assert loose.key != strict.key and loose.model is strict.model


def test_an_approximate_segmenter_says_so(weights: Path, picture: Image.Image) -> None:
    exact = SamSegmenter(weights, FAST, "cpu")
    approximate = exact.with_parameters(dataclasses.replace(FAST, mode="approximate"))
    assert exact.name == "SAM with 2 layers of width 32" and "approximate" not in exact.key
    assert approximate.name == "SAM with 2 layers of width 32, approximate" and "approximate" in approximate.key
    found = approximate.segment(picture)
    assert len(found) > 0 and found.mask.shape[1:] == (120, 200)


@pytest.mark.parametrize("mode", ["exact", "approximate"])
def test_progress_and_cancel(weights: Path, picture: Image.Image, mode: str) -> None:
    segmenter = SamSegmenter(weights, dataclasses.replace(FAST, mode=mode), "cpu")
    seen: list[tuple[int, int]] = []
    segmenter.segment(picture, lambda done, of: seen.append((done, of)))
    assert seen[-1] == (8, 8) and seen == sorted(seen)

    def cancel(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segmenter.segment(picture, cancel)
    assert len(segmenter.segment(picture)) > 0  # it can be used again


def test_own_points(weights: Path, picture: Image.Image) -> None:
    grid = (((0.2, 0.5), (0.6, 0.5)),)
    segmenter = SamSegmenter(weights, dataclasses.replace(FAST, points_per_side=None, point_grids=grid), "cpu")
    assert 0 < len(segmenter.segment(picture)) <= 6  # three masks a point


def test_loaded_weights_are_the_saved_ones(weights: Path) -> None:
    loaded, saved = load_sam(weights), small_sam()
    assert loaded.architecture == "with 2 layers of width 32"
    assert all(torch.equal(value, saved.state_dict()[name]) for name, value in loaded.model.state_dict().items())
    image = torch.rand(1, 3, 1024, 1024)
    with torch.no_grad():
        assert torch.equal(loaded.model.image_encoder(image), saved.image_encoder(image))
    assert torch.equal(loaded.model.pixel_mean, torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1))


def test_the_official_architectures_are_recognised() -> None:
    from segment_anything import sam_model_registry

    from odits.models.segmentation.sam_weights import _build

    for name in ("vit_b", "vit_l", "vit_h"):
        with torch.device("meta"):
            official = sam_model_registry[name]()
        model, architecture = _build(official.state_dict())
        assert architecture == name
        shapes = {key: value.shape for key, value in official.state_dict().items()}
        assert {key: value.shape for key, value in model.state_dict().items()} == shapes
        windows = [block.window_size for block in official.image_encoder.blocks]
        assert [block.window_size for block in model.image_encoder.blocks] == windows


class Trap:
    """A pickle that would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1/0",)


def test_wrong_files_are_one_sentence(weights: Path, tmp_path: Path) -> None:
    whole = weights.read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.pth").touch()
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "text.safetensors").write_text("no weights")
    torch.save({"weight": torch.ones(2)}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save(Trap(), tmp_path / "trap.pth")
    partly = dict(small_sam().state_dict())
    partly.popitem()
    torch.save(partly, tmp_path / "partly.pth")
    for path in [*sorted(tmp_path.iterdir()), tmp_path / "absent.pth"]:
        with pytest.raises(OditsError) as caught:
            load_segmenter(f"sam:{path}", device="cpu")
        assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_references(weights: Path, home: Path) -> None:
    embedded, smallest, *larger = available("segmenter")
    assert [ref.reference for ref in (embedded, smallest, *larger)] == [
        "embedded",
        "sam:vit_b",
        "sam:vit_l",
        "sam:vit_h",
    ]
    assert embedded.ready and not smallest.ready
    assert smallest.path == home / "weights" / "sam_vit_b_01ec64.pth"
    assert "not SAM" in load_segmenter("embedded").name
    assert load_segmenter(f"sam:{weights}", FAST, "cpu").name.startswith("SAM ")
    with pytest.raises(OditsError, match="no segmenter"):
        load_segmenter("yolo")
    with pytest.raises(OditsError, match="no device"):
        load_segmenter(f"sam:{weights}", device="tpu")
