"""SAM's parameters, weights and the generator's path, with a real SAM that is only small."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from segment_anything.modeling import Sam

from odits.core.errors import OditsError
from odits.models.registry import available
from odits.models.segmentation.parameters import RegionParameters, SamParameters
from odits.models.segmentation.sam import SamSegmenter, _resized
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


def test_progress_and_cancel(weights: Path, picture: Image.Image) -> None:
    segmenter = SamSegmenter(weights, FAST, "cpu")
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
    torch.save(small_sam().state_dict() | {"image_encoder.pos_embed": torch.tensor(torch.nan)}, tmp_path / "nan.pth")
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
        "sam2:tiny",
        "sam2:small",
        "sam2:base-plus",
        "sam2:large",
        "sam3",
    ]
    assert embedded.ready and not smallest.ready
    assert smallest.path == home / "weights" / "sam_vit_b_01ec64.pth"
    assert "not SAM" in load_segmenter("embedded").name
    assert load_segmenter(f"sam:{weights}", FAST, "cpu").name.startswith("SAM ")
    with pytest.raises(OditsError, match="no segmenter"):
        load_segmenter("yolo")
    with pytest.raises(OditsError, match="no device"):
        load_segmenter(f"sam:{weights}", device="tpu")


def test_a_known_sam_is_named_without_torch(weights: Path) -> None:
    expected = load_segmenter(f"sam:{weights}", FAST, "cpu")
    code = (
        "import sys\nfrom odits.models.segmentation.parameters import RegionParameters, SamParameters\n"
        "from odits.models.segmentation.segmenters import identify_segmenter\n"
        f"parameters = SamParameters(points_per_side=2, points_per_batch=4, pred_iou_thresh=0.0, "
        f"stability_score_thresh=0.0)\nprint(*identify_segmenter({f'sam:{weights}'!r}, parameters), sep='|')\n"
        "assert 'torch' not in sys.modules"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == f"{expected.name}|{expected.key}"


BOUNDS = {
    SamParameters: {
        "points_per_side": (1, 256),
        "points_per_batch": (1, 4096),
        "pred_iou_thresh": (0, 1),
        "stability_score_thresh": (0, 1),
        "stability_score_offset": (0, 10),
        "box_nms_thresh": (0, 1),
        "crop_n_layers": (0, 4),
        "crop_nms_thresh": (0, 1),
        "crop_overlap_ratio": (0, 0.9),
        "crop_n_points_downscale_factor": (1, 16),
        "min_mask_region_area": (0, 1024 * 1024),
    },
    RegionParameters: {
        "side": (64, 2048),
        "superpixel": (3, 64),
        "smallest": (0, 1),
        "largest": (0, 1),
        "noise": (0.1, 1000),
        "detail": (0.1, 2),
        "min_stability": (0, 1),
        "text_side": (64, 4096),
        "text_threshold": (0, 1),
        "nms_iou": (0, 1),
        "max_objects": (1, 1000),
    },
}


@pytest.mark.parametrize("kind", BOUNDS)
def test_bounds_are_inclusive_and_stand_with_the_parameters(kind: type) -> None:
    found = {field.name: field for field in dataclasses.fields(kind) if "low" in field.metadata}
    assert {name: (one.metadata["low"], one.metadata["high"]) for name, one in found.items()} == BOUNDS[kind]
    for name, (low, high) in BOUNDS[kind].items():
        step = 1 if isinstance(found[name].default, int) else 1e-6
        for value in (low, high):
            assert getattr(kind(**{name: value}), name) == value
        for value in (low - step, high + step, True, "3", None):
            if not (value is None and name == "points_per_side"):
                with pytest.raises(OditsError, match=name):
                    kind(**{name: value})
        if step == 1:
            with pytest.raises(OditsError, match=f"{name} must be a whole number from {low} to {high}"):
                kind(**{name: low + 0.5})


def test_the_last_crop_layer_needs_a_point() -> None:
    SamParameters(points_per_side=16, crop_n_layers=2, crop_n_points_downscale_factor=4)  # one point a side
    with pytest.raises(OditsError, match="without a point"):
        SamParameters(points_per_side=15, crop_n_layers=2, crop_n_points_downscale_factor=4)
    with pytest.raises(OditsError, match="Exactly one"):
        SamParameters(points_per_side=None)
    corners = (((0.0, 0.0), (1.0, 1.0)),)
    assert SamParameters(points_per_side=None, point_grids=corners).generator_arguments()["point_grids"][0].shape == (
        2,
        2,
    )
    for outside in (-0.01, 1.01):
        with pytest.raises(OditsError, match=r"both in 0\.\.1"):
            SamParameters(points_per_side=None, point_grids=(((0.5, outside),),))


def test_keys_are_those_of_earlier_versions() -> None:
    assert SamParameters().key == "417363c8b8bde4bd"
    assert RegionParameters().key == "regions-1-36579df14a2eea66"


@pytest.mark.parametrize(
    ("size", "expected"), [((2048, 512), (256, 1024)), ((100, 400), (1024, 256)), ((3000, 1), (1, 1024))]
)
def test_sam_sees_a_longer_side_of_1024_pixels(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert _resized(Image.new("L", size)).shape == (*expected, 3)
