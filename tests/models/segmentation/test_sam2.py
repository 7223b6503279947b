"""SAM 2: masks equal to transformers' own on the same weights, with a real SAM 2 that is only small."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from odits.core.errors import OditsError
from odits.core.pool import Item, Workers
from odits.models.reference import from_settings, parse, to_settings
from odits.models.segmentation.batch import ObjectsRequest, precompute
from odits.models.segmentation.candidates import stored_candidates
from odits.models.segmentation.parameters import SamParameters, read_parameters
from odits.models.segmentation.sam_hub_segmenter import HubSamSegmenter
from odits.models.segmentation.segmenters import identify_segmenter, load_segmenter, takes_prompts
from odits.objects.codec import stored_count
from tests.models.segmentation.small_hub_sam import SIDE2, sam2_config, varied, write_small_sam2

ALL = SamParameters(
    points_per_side=4,
    points_per_batch=5,
    pred_iou_thresh=0.0,
    stability_score_thresh=0.0,
    box_nms_thresh=1.0,
    crop_nms_thresh=1.0,
)
"""Every mask passes: random weights make few that pass SAM's own thresholds."""


def scene(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width).integers(0, 255, (height, width, 3), np.uint8)
    pixels[height // 4 : height // 2, width // 4 : width // 2] = (180, 30, 30)
    return Image.fromarray(pixels)


def overlaps(found: sv.Detections, expected: Sequence[Any]) -> list[float]:
    """For each of transformers' masks the IoU with the mask of ours that fits best."""
    assert found.mask is not None
    theirs = [np.asarray(mask, bool) for mask in expected]
    return [float(max((own & mask).sum() / (own | mask).sum() for own in found.mask)) for mask in theirs if mask.any()]


def own_pipeline(folder: Path, **prepared: Any) -> transformers.MaskGenerationPipeline:
    processor = transformers.Sam2ImageProcessor(size={"height": SIDE2, "width": SIDE2}, **prepared)
    return transformers.MaskGenerationPipeline(
        model=transformers.Sam2Model.from_pretrained(folder), image_processor=processor
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_sam2(tmp_path_factory.mktemp("sam2") / "small")


@pytest.fixture(scope="module")
def segmenter(folder: Path) -> HubSamSegmenter:
    loaded = load_segmenter(f"sam2:{folder}", ALL, "cpu")
    assert isinstance(loaded, HubSamSegmenter)
    return loaded


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"pred_iou_thresh": 0.55}, {"pred_iou_thresh": 0.55}),
        ({"stability_score_thresh": 0.6}, {"stability_score_thresh": 0.6}),
        (
            {"stability_score_thresh": 0.8, "stability_score_offset": 0.1},
            {"stability_score_thresh": 0.8, "stability_score_offset": 0.1},
        ),
        ({"box_nms_thresh": 0.98}, {"crops_nms_thresh": 0.98}),
    ],
)
def test_masks_are_those_of_transformers_own_pipeline(
    folder: Path, segmenter: HubSamSegmenter, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    loose = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "crops_nms_thresh": 1.0}
    image = scene(96, 96)
    expected = own_pipeline(folder)(image, points_per_batch=7, points_per_crop=4, **(loose | theirs))
    found = segmenter.with_parameters(replace(ALL, **ours)).segment(image)
    ious = overlaps(found, expected["masks"])
    assert len(found) == len(ious) > 0
    assert bool(theirs) == (len(found) < 48)
    assert min(ious) >= 0.99
    pairs = zip(expected["scores"].tolist(), expected["masks"], strict=True)
    scores = sorted(score for score, mask in pairs if np.asarray(mask).any())
    assert sorted(found.confidence.tolist()) == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("size", [(180, 90), (60, 140), (300, 15), (3, 90), (90, 3), (3, 3)])
def test_long_pictures_equal_transformers_at_the_same_points(
    folder: Path, segmenter: HubSamSegmenter, size: tuple[int, int]
) -> None:
    """Transformers' grid ends before a long picture does, since it keeps proportions that its resizing does not."""
    image, pipeline = scene(*size), own_pipeline(folder)
    _, theirs, _, _ = pipeline.image_processor.generate_crop_boxes(image, SIDE2, points_per_crop=4)
    grid = tuple((x, y) for x, y in (theirs[0, :, 0] / SIDE2).tolist())
    expected = pipeline(image, points_per_crop=4, pred_iou_thresh=0.0, stability_score_thresh=0.0, crops_nms_thresh=1.0)
    at_their_points = replace(ALL, points_per_side=None, point_grids=(grid,))
    found = segmenter.with_parameters(at_their_points).segment(image)
    ious = overlaps(found, expected["masks"])
    assert len(found) == len(ious) > 0 and min(ious) >= 0.99


def test_the_grid_covers_the_whole_of_a_long_picture(folder: Path, segmenter: HubSamSegmenter) -> None:
    image = scene(180, 90)
    processor = transformers.Sam2Processor(own_pipeline(folder).image_processor)
    model = transformers.Sam2Model.from_pretrained(folder)
    points = [[(22.5 + 45 * x, 11.25 + 22.5 * y)] for y in range(4) for x in range(4)]
    inputs = processor(
        images=image, input_points=[[[list(point) for point in one] for one in points]], return_tensors="pt"
    )
    with torch.inference_mode():
        output = model(**inputs)
    masks = processor.post_process_masks(output.pred_masks, inputs["original_sizes"])[0].flatten(0, 1)
    found = segmenter.segment(image)
    assert len(found) == len(masks) == 48
    assert min(overlaps(found, list(masks))) >= 0.99


def test_crops_are_searched_too(segmenter: HubSamSegmenter) -> None:
    """Transformers' own generator broke off here: huggingface/transformers#35530."""
    image = scene(200, 150)
    both = segmenter.with_parameters(replace(ALL, crop_n_layers=1, crop_n_points_downscale_factor=2))
    stored = both.candidates(image)
    assert len(stored.crops) == 5 and stored.crops[0].tolist() == [0, 0, 200, 150]
    whole = segmenter.candidates(image)
    assert np.array_equal(stored.quality[stored.crop == 0], whole.quality)
    assert len(both.segment(image)) >= len(segmenter.segment(image))


def test_small_regions_and_large_pictures(segmenter: HubSamSegmenter) -> None:
    image = scene(96, 96)
    cleaned = segmenter.with_parameters(replace(ALL, min_mask_region_area=30)).segment(image)
    assert 0 < len(cleaned) <= len(segmenter.segment(image))
    large = segmenter.segment(scene(2500, 40))
    assert len(large) and large.mask.shape[1:] == (40, 2500)


@pytest.mark.parametrize(
    ("points", "negative_points", "box"),
    [
        ([(75.0, 50.0)], [], None),
        ([(75.0, 50.0), (60.5, 40.0)], [(5.0, 5.0)], None),
        ([], [], (40.0, 30.0, 110.0, 80.0)),
        ([(75.0, 50.0)], [(1.0, 2.0)], (40.0, 30.0, 110.0, 80.0)),
    ],
)
@pytest.mark.parametrize("multimask", [True, False])
def test_prompts_give_transformers_masks(
    folder: Path,
    segmenter: HubSamSegmenter,
    points: list[tuple[float, float]],
    negative_points: list[tuple[float, float]],
    box: tuple[float, float, float, float] | None,
    multimask: bool,
) -> None:
    image = scene(170, 110)
    assert takes_prompts(segmenter)
    found = segmenter.encode(image).predict(points, negative_points, box, multimask)
    processor = transformers.Sam2Processor(own_pipeline(folder).image_processor)
    both = [list(point) for point in [*points, *negative_points]]
    prompt = {
        "input_points": [[both]] if both else None,
        "input_labels": [[[1] * len(points) + [0] * len(negative_points)]] if both else None,
        "input_boxes": [[list(box)]] if box else None,
    }
    inputs = processor(images=image, return_tensors="pt", **prompt)
    with torch.inference_mode():
        output = transformers.Sam2Model.from_pretrained(folder)(**inputs, multimask_output=multimask)
    masks = processor.post_process_masks(output.pred_masks, inputs["original_sizes"])[0][0].numpy()
    quality = output.iou_scores[0, 0].numpy()
    order = np.argsort(-quality, kind="stable")
    assert found.masks.shape == ((3 if multimask else 1), 110, 170)
    assert np.allclose(found.scores, quality[order], atol=1e-5)
    assert (found.masks != masks[order]).mean() < 1e-3


def test_a_wrong_prompt_is_one_sentence(segmenter: HubSamSegmenter) -> None:
    encoded = segmenter.encode(scene(30, 20))
    for prompt in ({}, {"points": [(31.0, 2.0)]}, {"box": (5.0, 5.0, 5.0, 9.0)}):
        with pytest.raises(OditsError):
            encoded.predict(**prompt)  # type: ignore[arg-type]


def test_progress_and_cancel(segmenter: HubSamSegmenter) -> None:
    seen: list[tuple[int, int]] = []
    segmenter.segment(scene(40, 40), lambda done, of: seen.append((done, of)))
    assert seen[-1] == (32, 32) and seen == sorted(seen) and len(seen) > 6

    def cancel(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segmenter.segment(scene(40, 40), cancel)
    assert len(segmenter.segment(scene(40, 40))) > 0  # it can be used again


def test_keys_tell_weights_and_parameters_apart(segmenter: HubSamSegmenter, tmp_path: Path) -> None:
    other = load_segmenter(f"sam2:{write_small_sam2(tmp_path / 'other', seed=1)}", ALL, "cpu")
    again = load_segmenter(f"sam2:{write_small_sam2(tmp_path / 'again')}", ALL, "cpu")
    fewer = segmenter.with_parameters(replace(ALL, points_per_side=3))
    assert again.key == segmenter.key and len({segmenter.key, other.key, fewer.key}) == 3
    assert segmenter.key.startswith("sam2-")
    assert identify_segmenter(f"sam2:{tmp_path / 'other'}", ALL) == (other.name, other.key)
    config = tmp_path / "again" / "config.json"
    config.write_text(config.read_text().replace('"attention_downsample_rate": 2', '"attention_downsample_rate": 2 '))
    assert load_segmenter(f"sam2:{tmp_path / 'again'}", ALL, "cpu").key != segmenter.key


def test_weights_of_the_video_model_in_bfloat16_and_in_parts(segmenter: HubSamSegmenter, tmp_path: Path) -> None:
    """The hub's SAM 2.1 are saved as sam2_video, with a memory that a single image does not need."""
    model = varied(transformers.Sam2Model, sam2_config())
    model.save_pretrained(tmp_path / "parts", max_shard_size="300KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    assert np.array_equal(
        load_segmenter(f"sam2:{tmp_path / 'parts'}", ALL, "cpu").segment(scene(40, 40)).mask,
        segmenter.segment(scene(40, 40)).mask,
    )
    model.to(torch.bfloat16).save_pretrained(tmp_path / "half")
    config = json.loads((tmp_path / "half" / "config.json").read_text()) | {"model_type": "sam2_video", "image_size": 9}
    (tmp_path / "half" / "config.json").write_text(json.dumps(config))
    state = load_file(tmp_path / "half" / "model.safetensors") | {"memory_encoder.weight": torch.zeros(2)}
    save_file(state, tmp_path / "half" / "model.safetensors")
    half = load_segmenter(f"sam2:{tmp_path / 'half'}", ALL, "cpu")
    assert len(half.segment(scene(40, 40))) > 0


def damaged(folder: Path, target: Path, how: str) -> Path:
    """Copy a folder and damage it."""
    shutil.copytree(folder, target)
    weights, config = target / "model.safetensors", target / "config.json"
    state = load_file(weights)
    if how == "cut":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif how == "no config":
        config.unlink()
    elif how == "another model":
        config.write_text(json.dumps({"model_type": "clip"}))
    elif how == "no JSON":
        config.write_text("{")
    elif how == "incomplete config":
        config.write_text(json.dumps({"model_type": "sam2"}))
    elif how == "absurd config":
        document = json.loads(config.read_text())
        document["mask_decoder_config"]["hidden_size"] = "wide"
        config.write_text(json.dumps(document))
    elif how == "another architecture":
        document = json.loads(config.read_text())
        document["mask_decoder_config"]["mlp_dim"] = 65
        config.write_text(json.dumps(document))
    elif how == "a tensor less":
        save_file({name: value for name, value in state.items() if name != "no_memory_embedding"}, weights)
    elif how == "a pickle":
        weights.unlink()
        torch.save(state, target / "pytorch_model.bin")
    elif how == "a part that climbs out":
        weights.rename(target.parent / "outside.safetensors")
        index = {"weight_map": {"a": "../outside.safetensors"}}
        (target / "model.safetensors.index.json").write_text(json.dumps(index))
    elif how == "a part missing":
        weights.unlink()
        (target / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "b.safetensors"}}))
    return target


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("cut", "damaged"),
        ("no config", "config.json"),
        ("another model", "config.json"),
        ("no JSON", "config.json"),
        ("incomplete config", "not complete"),
        ("absurd config", "cannot be loaded"),
        ("another architecture", "cannot be loaded"),
        ("a tensor less", "no_memory_embedding"),
        ("a pickle", "no segmenter"),
        ("a part that climbs out", "damaged"),
        ("a part missing", "b.safetensors"),
    ],
)
def test_wrong_folders_are_one_sentence(folder: Path, tmp_path: Path, how: str, says: str) -> None:
    target = damaged(folder, tmp_path / "wrong", how)
    with pytest.raises(OditsError, match=says) as caught:
        load_segmenter(f"sam2:{target}", ALL, "cpu").segment(scene(20, 20))
    assert "\n" not in str(caught.value)


def test_metas_own_file_is_refused_with_what_to_use(tmp_path: Path) -> None:
    torch.save({"model": {}}, tmp_path / "sam2.1_hiera_tiny.pt")
    with pytest.raises(OditsError, match="layout"):
        parse(f"sam2:{tmp_path / 'sam2.1_hiera_tiny.pt'}")


def test_what_only_sam_3_has_is_refused(folder: Path) -> None:
    with pytest.raises(OditsError, match="not SAM 3"):
        parse(f"sam3:{folder}")
    with pytest.raises(OditsError, match="no parameter 'text'"):
        read_parameters(["text=sign"], "sam2")


def test_references_of_the_hub(home: Path) -> None:
    tiny = parse("sam2:tiny")
    assert (tiny.name, tiny.tag, tiny.megabytes, tiny.ready) == (
        "SAM 2.1 tiny",
        "facebook/sam2.1-hiera-tiny",
        156,
        False,
    )
    assert tiny.is_sam and tiny.path is None
    assert parse("sam2:someone/sam2-fine-tuned").tag == "someone/sam2-fine-tuned"
    for wrong in ("sam2", "sam2:", "sam2:huge", "sam2:no/where/at/all", "sam2:weights/sam2.pt", "sam3:../x/y"):
        with pytest.raises(OditsError, match="no segmenter"):
            parse(wrong, "segmenter")


def test_the_weights_may_travel_without_their_folder(segmenter: HubSamSegmenter, folder: Path, tmp_path: Path) -> None:
    """A cluster's machine gets the file and the settings, as JSON."""
    described = json.loads(json.dumps(to_settings(parse(f"sam2:{folder}"))))
    elsewhere = shutil.copy(described.pop("weights"), tmp_path / "cluster-file.safetensors")
    arrived = load_segmenter(from_settings(described["model"], str(elsewhere)), ALL, "cpu")
    assert arrived.key == segmenter.key
    assert np.array_equal(arrived.segment(scene(40, 40)).mask, segmenter.segment(scene(40, 40)).mask)


def test_many_images_in_processes_and_their_candidates(folder: Path, tmp_path: Path, home: Path) -> None:
    images = []
    for number in range(2):
        scene(60 + number, 40).save(tmp_path / f"{number}.png")
        images.append(Item(f"{number}.png", tmp_path / f"{number}.png"))
    (tmp_path / "2.png").write_bytes(b"no image")
    images.append(Item("2.png", tmp_path / "2.png"))
    request = ObjectsRequest(f"sam2:{folder}", ALL, "cpu")
    done = precompute(images, request, Workers(1))
    assert (done.computed, done.stored, list(done.problems)) == (2, 0, [2])
    assert done.segmenter.name == "SAM 2 (small)"
    assert precompute(images[:2], request, Workers(1)).stored == 2
    assert stored_count(tmp_path / "0.png", done.segmenter.key)
    candidates = replace(request, kind="candidates")
    assert request.has_candidates
    key = precompute(images[:1], candidates, Workers(0)).segmenter.key
    stored = stored_candidates(tmp_path / "0.png", key)
    assert stored is not None and len(stored.quality) == 48


@pytest.mark.slow
def test_the_smallest_real_architecture_equals_transformers(tmp_path: Path) -> None:
    varied(transformers.Sam2Model, transformers.Sam2Config()).save_pretrained(tmp_path / "tiny")
    image = scene(128, 128)
    model = transformers.Sam2Model.from_pretrained(tmp_path / "tiny")
    pipeline = transformers.MaskGenerationPipeline(model=model, image_processor=transformers.Sam2ImageProcessor())
    loose = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "crops_nms_thresh": 1.0}
    expected = pipeline(image, points_per_batch=4, points_per_crop=2, **loose)
    few = replace(ALL, points_per_side=2, points_per_batch=4)
    found = load_segmenter(f"sam2:{tmp_path / 'tiny'}", few, "cpu").segment(image)
    ious = overlaps(found, expected["masks"])
    assert len(found) == len(ious) == 12 and min(ious) >= 0.99
