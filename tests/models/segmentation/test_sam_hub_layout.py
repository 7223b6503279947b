"""SAM 1 as the hub has it: transformers' names, in a folder; and Meta's files from a mirror."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import save_torch_state_dict
from PIL import Image
from safetensors.torch import load_file, save_file

from odits.core.errors import OditsError
from odits.models import reference
from odits.models.reference import parse
from odits.models.registry import fetch
from odits.models.segmentation.parameters import Sam3Parameters, SamParameters
from odits.models.segmentation.sam import SamSegmenter
from odits.models.segmentation.sam_weights import load_sam
from odits.models.segmentation.segmenters import load_segmenter
from odits.objects.detections import masks_of
from tests.loopback import serving
from tests.models.segmentation.small_hub_sam import write_small_hub_sam, write_small_sam2, write_small_sam3
from tests.models.segmentation.small_sam import write_small_sam
from tests.models.segmentation.test_sam2 import scene

FEW = {"points_per_side": 2, "points_per_batch": 4, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}

CROPS = {"points_per_side": 16, "points_per_batch": 64, "crop_n_layers": 4, "crop_n_points_downscale_factor": 2}
"""340 crops, of which most pictures below have fewer pixels; in the smallest a point each."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_hub_sam(tmp_path_factory.mktemp("hub") / "sam")


def test_the_networks_are_those_of_transformers(folder: Path) -> None:
    theirs = transformers.SamModel.from_pretrained(folder).eval()
    ours = load_sam(folder / "model.safetensors").model
    torch.manual_seed(1)
    image = torch.randn(1, 3, 1024, 1024)
    points, labels = torch.rand(1, 3, 2, 2) * 1024, torch.tensor([[[1, 0], [1, 1], [0, 1]]])
    boxes = torch.tensor([[[100.0, 200.0, 500.0, 600.0]] * 3])
    with torch.inference_mode():
        embedding = theirs.get_image_embeddings(image)
        assert (ours.image_encoder(image) - embedding).abs().max() < 1e-4
        expected = theirs(image_embeddings=embedding, input_points=points, input_labels=labels, input_boxes=boxes)
        sparse, dense = ours.prompt_encoder((points[0], labels[0]), boxes[0], None)
        masks, quality = ours.mask_decoder(embedding, ours.prompt_encoder.get_dense_pe(), sparse, dense, True)
    assert (masks - expected.pred_masks[0]).abs().max() < 1e-3
    assert (quality - expected.iou_scores[0]).abs().max() < 1e-4


def test_all_official_tensors_have_a_name_of_their_own() -> None:
    """The real architectures, without their weights."""
    from segment_anything import sam_model_registry

    from odits.models.segmentation.sam_weights import with_own_names

    large = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
    settings = {"vit_b": {}, "vit_l": large | {"global_attn_indexes": [5, 11, 17, 23]}}
    for name, vision in settings.items():
        with torch.device("meta"):
            hub = transformers.SamModel(transformers.SamConfig(vision_config=vision)).state_dict()
            official = sam_model_registry[name]().state_dict()
        renamed = with_own_names(hub)
        assert {key: value.shape for key, value in renamed.items()} == {k: v.shape for k, v in official.items()}


def test_a_folder_is_a_segmenter_with_the_fast_decoder(folder: Path, tmp_path: Path) -> None:
    image = scene(120, 80)
    loaded = load_segmenter(f"sam:{folder}", SamParameters(**FEW), "cpu")
    assert isinstance(loaded, SamSegmenter) and loaded.name == "SAM with 2 layers of width 32"
    found = loaded.segment(image)
    assert len(found) > 0
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text((folder / "config.json").read_text())
    torch.save(load_file(folder / "model.safetensors"), pickled / "pytorch_model.bin")
    again = load_segmenter(f"sam:{pickled}", SamParameters(**FEW), "cpu").segment(image)
    assert np.array_equal(masks_of(found), masks_of(again))


@pytest.mark.parametrize("safe", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_folder_whose_weights_lie_in_several_files(folder: Path, tmp_path: Path, safe: bool) -> None:
    state = load_file(folder / "model.safetensors")
    save_torch_state_dict(state, tmp_path, max_shard_size="400KB", safe_serialization=safe)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    ref = parse(f"sam:{tmp_path}")
    assert ref.weights.name.endswith(".index.json") and ref.ready
    whole, parted = load_sam(folder / "model.safetensors"), load_sam(ref.weights)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, parted.model.state_dict()[name])
    before = load_segmenter(ref, SamParameters(**FEW), "cpu")
    part = sorted(tmp_path.glob("*-00002-of-*"))[0]
    if safe:  # another part is another SAM
        changed = {name: value + 1 for name, value in load_file(part).items()}
        save_file(changed, part)
        assert load_segmenter(ref, SamParameters(**FEW), "cpu").key != before.key  # type: ignore[attr-defined]
    part.unlink()
    with pytest.raises(OditsError, match=rf"A part of the weights is missing in {tmp_path.name}: {part.name}"):
        load_segmenter(f"sam:{tmp_path}", device="cpu")


def test_a_sam_2_in_several_files(tmp_path: Path) -> None:
    whole = write_small_sam2(tmp_path / "whole")
    parts = tmp_path / "parts"
    transformers.Sam2Model.from_pretrained(whole).save_pretrained(parts, max_shard_size="100KB")
    assert len(list(parts.glob("*.safetensors"))) > 2
    image = scene(60, 40)
    found = [load_segmenter(f"sam2:{one}", SamParameters(**FEW), "cpu").segment(image) for one in (whole, parts)]
    assert len(found[0]) > 0 and np.array_equal(masks_of(found[0]), masks_of(found[1]))


def test_layers_without_end_are_not_built(tmp_path: Path) -> None:
    folder = write_small_sam2(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["mask_decoder_config"]["num_hidden_layers"] = 10**12
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(OditsError, match=r"config\.json describes no model, num_hidden_layers is 1000000000000\."):
        load_segmenter(f"sam2:{folder}", SamParameters(**FEW), "cpu").segment(scene(40, 40))


def test_a_network_far_larger_than_its_weights_is_not_built(tmp_path: Path) -> None:
    folder = write_small_sam2(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["backbone_config"] |= {"hidden_size": 200_000, "embed_dim_per_stage": [200_000] * 4}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(OditsError, match=r"describes [\d,]{12,} parameters, and there are \d{2,3},\d{3}\."):
        load_segmenter(f"sam2:{folder}", SamParameters(**FEW), "cpu").segment(scene(40, 40))


def test_numbers_that_are_none_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    for family, source in (("sam", folder), ("sam2", write_small_sam2(tmp_path / "sam2"))):
        state = load_file(source / "model.safetensors")
        name = next(iter(state))
        state[name].view(-1)[-1] = torch.nan
        hurt = tmp_path / f"hurt-{family}"
        hurt.mkdir()
        (hurt / "config.json").write_text((source / "config.json").read_text())
        save_file(state, hurt / "model.safetensors")
        with pytest.raises(OditsError, match=rf"model.safetensors is refused: {name} holds NaN or Inf\."):
            load_segmenter(f"{family}:{hurt}", SamParameters(**FEW), "cpu").segment(scene(40, 40))


def test_references(folder: Path, tmp_path: Path, home: Path) -> None:
    ref = parse(f"sam:{folder}")
    assert ref.path == folder / "model.safetensors" and ref.ready and ref.is_sam and ref.family == "sam"
    assert parse("sam:facebook/sam-vit-base").tag == "facebook/sam-vit-base"
    for wrong in (tmp_path, tmp_path / "absent.pth", "weights/absent.pth"):
        with pytest.raises(OditsError, match="no segmenter"):
            parse(f"sam:{wrong}", "segmenter")
    with pytest.raises(OditsError, match=r"config\.json"):
        parse(f"sam:{write_small_sam2(tmp_path / 'sam2')}")


@pytest.fixture(scope="module")
def segmenters(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> dict[str, tuple[str, SamParameters | None]]:
    place = tmp_path_factory.mktemp("all")
    sam3 = write_small_sam3(place / "sam3")
    return {
        "embedded": ("embedded", None),
        "sam": (f"sam:{write_small_sam(place)}", SamParameters(**FEW)),
        "sam, crops": (f"sam:{folder}", SamParameters(**FEW, crop_n_layers=1)),
        "sam2": (f"sam2:{write_small_sam2(place / 'sam2')}", SamParameters(**FEW)),
        "sam2, crops": (f"sam2:{place / 'sam2'}", SamParameters(**FEW | CROPS)),
        "sam3": (f"sam3:{sam3}", Sam3Parameters(**FEW)),
        "sam3, text": (f"sam3:{sam3}", Sam3Parameters(text="sign", text_threshold=0.01)),
    }


SIZES = [(3, 40), (40, 3), (200, 10), (10, 200), (1, 1), (3, 3), (3000, 1)]


KINDS = ["embedded", "sam", "sam, crops", "sam2", "sam3", "sam3, text"]
FOR_CROPS = [("sam2, crops", size) for size in ((3, 40), (1, 1))]  # many crops, and each takes its time


@pytest.mark.slow
@pytest.mark.parametrize(("which", "size"), [*((kind, size) for kind in KINDS for size in SIZES), *FOR_CROPS])
def test_pictures_that_are_long_or_small(
    segmenters: dict[str, tuple[str, SamParameters | None]], which: str, size: tuple[int, int]
) -> None:
    named, parameters = segmenters[which]
    segmenter = load_segmenter(named, parameters, "cpu")
    image = scene(*size) if min(size) > 4 else Image.new("RGB", size, (200, 30, 30))
    found = segmenter.segment(image)
    assert masks_of(found).shape == (len(found), size[1], size[0])
    if which in ("sam", "sam2", "sam3"):
        prompted = segmenter.encode(image)  # type: ignore[attr-defined]
        assert prompted.predict([(size[0] / 2, size[1] / 2)]).masks.shape == (3, size[1], size[0])
        assert prompted.predict(box=(0, 0, *size), multimask=False).masks.shape == (1, size[1], size[0])


def test_crops_of_fewer_pixels_than_there_are_crops(folder: Path) -> None:
    """facebookresearch/segment-anything#614: no masks in any crop ended in an IndexError."""
    crops = SamParameters(**FEW | {"points_per_side": 16}, crop_n_layers=4, crop_n_points_downscale_factor=2)
    segmenter = load_segmenter(f"sam:{folder}", crops, "cpu")
    assert isinstance(segmenter, SamSegmenter)
    from odits.models.segmentation.sam_generator import MaskGenerator

    generator = MaskGenerator(segmenter.model, None, **crops.generator_arguments())
    candidates, boxes = generator._crop_candidates(np.zeros((5, 9, 3), np.uint8), [9, 0, 9, 5], 0)
    assert candidates == [] and boxes.shape == (0, 4)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server with a folder, as a company's own copy of Meta's files."""
    files = tmp_path / "mirror"
    files.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(files))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with serving(handler) as address:
        yield address, files


def test_sam_comes_from_the_mirror_that_is_named(
    mirror: tuple[str, Path], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, files = mirror
    content = write_small_sam(tmp_path).read_bytes()
    name = f"sam_vit_b_{hashlib.md5(content).hexdigest()[:6]}.pth"
    (files / name).write_bytes(content)
    title, _, size, note = reference.SAM_WEIGHTS["vit_b"]
    monkeypatch.setitem(reference.SAM_WEIGHTS, "vit_b", (title, name, size, note))
    monkeypatch.setenv("ODITS_SAM_URL", f"{address}/")
    assert fetch("sam:vit_b") == home / "weights" / name
    assert (home / "weights" / name).read_bytes() == content
    (home / "weights" / name).unlink()
    (files / name).write_bytes(content[:-1])
    with pytest.raises(OditsError, match="damaged"):
        fetch("sam:vit_b")
    monkeypatch.setenv("ODITS_SAM_URL", "file:///etc")
    with pytest.raises(OditsError, match="only http"):
        fetch("sam:vit_b")
