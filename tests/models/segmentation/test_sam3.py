"""SAM 3: what a text names, and masks of points, equal to transformers' own on the same weights."""

from __future__ import annotations

import gzip
import json
import sys
import types
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

import odits
from odits.core.errors import OditsError
from odits.core.pool import Item, Workers
from odits.models.segmentation.batch import ObjectsRequest, precompute, read_settings
from odits.models.segmentation.parameters import Sam3Parameters, SamParameters, read_parameters
from odits.models.segmentation.sam_hub_segmenter import HubSamSegmenter
from odits.models.segmentation.segmenters import identify_segmenter, load_segmenter
from odits.objects.codec import from_document, stored_objects, to_document
from odits.objects.detections import texts_of
from tests.models.segmentation.small_hub_sam import SIDE3, write_small_sam3
from tests.models.segmentation.test_sam2 import ALL, overlaps, scene

EVERYTHING = Sam3Parameters(**asdict(ALL))
SIGN = Sam3Parameters(text="sign", text_threshold=0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_sam3(tmp_path_factory.mktemp("sam3") / "small")


@pytest.fixture(scope="module")
def segmenter(folder: Path) -> HubSamSegmenter:
    loaded = load_segmenter(f"sam3:{folder}", SIGN, "cpu")
    assert isinstance(loaded, HubSamSegmenter)
    return loaded


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Transformers' own processor, with CLIP's tokenizer from the byte pairs that open_clip carries."""
    place = Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    merges = gzip.decompress(place.read_bytes()).decode("utf-8").split("\n")[1 : 49152 - 256 - 2 + 1]
    letters = list(open_clip.tokenizer.bytes_to_unicode().values())
    words = [*letters, *(f"{one}</w>" for one in letters), *("".join(pair.split()) for pair in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = transformers.CLIPTokenizer(
        vocab={word: number for number, word in enumerate(words)}, merges=[tuple(pair.split()) for pair in merges]
    )
    image_processor = transformers.Sam3ImageProcessor(size={"height": SIDE3, "width": SIDE3})
    return transformers.Sam3Processor(image_processor, tokenizer)


@pytest.mark.parametrize("size", [(96, 96), (180, 90), (300, 15), (3, 90), (90, 3)])
@pytest.mark.parametrize("text", ["sign", "A red  Street-Sign, isn't it"])
def test_what_a_text_names_is_what_transformers_finds(
    folder: Path, segmenter: HubSamSegmenter, processor: Any, size: tuple[int, int], text: str
) -> None:
    image = scene(*size)
    phrases = Sam3Parameters(text=text).phrases
    found = segmenter.with_parameters(replace(SIGN, text=text)).segment(image)
    expected: list[Any] = []
    scores: list[float] = []
    model = transformers.Sam3Model.from_pretrained(folder)
    for phrase in phrases:
        inputs = processor(images=image, text=phrase, return_tensors="pt")
        with torch.inference_mode():
            output = model(**inputs)
        one = processor.post_process_instance_segmentation(output, 0.05, 0.5, target_sizes=[image.size[::-1]])[0]
        expected += [mask.numpy() for mask in one["masks"]]
        scores += [score for score, mask in zip(one["scores"].tolist(), one["masks"], strict=True) if mask.any()]
    ious = overlaps(found, expected)
    assert len(found) == len(ious) > 0 and min(ious) >= 0.99
    assert sorted(found.confidence.tolist()) == pytest.approx(sorted(scores), abs=1e-5)
    assert texts_of(found) and set(texts_of(found)) <= set(phrases)


def test_the_threshold_of_the_match(segmenter: HubSamSegmenter) -> None:
    image = scene(96, 96)
    all_of_it = segmenter.segment(image).confidence
    middle = float(np.median(all_of_it))
    fewer = segmenter.with_parameters(replace(SIGN, text_threshold=middle)).segment(image)
    assert len(fewer) == (all_of_it > middle).sum() < len(all_of_it)
    assert len(segmenter.with_parameters(replace(SIGN, text_threshold=1.0)).segment(image)) == 0


def test_without_a_text_everything_is_found_as_transformers_does(tmp_path: Path) -> None:
    folder = write_small_sam3(tmp_path / "tracker", "tracker")
    pipeline = transformers.MaskGenerationPipeline(
        model=transformers.Sam3TrackerModel.from_pretrained(folder),
        image_processor=transformers.Sam3ImageProcessor(size={"height": SIDE3, "width": SIDE3}),
    )
    image = scene(96, 96)
    loose = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "crops_nms_thresh": 1.0}
    expected = pipeline(image, points_per_batch=7, points_per_crop=4, **loose)
    found = load_segmenter(f"sam3:{folder}", EVERYTHING, "cpu").segment(image)
    ious = overlaps(found, expected["masks"])
    assert len(found) == len(ious) > 0 and min(ious) >= 0.99
    assert texts_of(found) == ()


def test_both_networks_of_a_whole_sam_3(folder: Path, segmenter: HubSamSegmenter, tmp_path: Path) -> None:
    """The hub's facebook/sam3 names the tracker's tensors once where a saved model names them twice."""
    whole = transformers.Sam3VideoModel.from_pretrained(folder)
    detector = segmenter._weights.network("text").model.state_dict()
    tracker = segmenter._weights.network("points").model.state_dict()
    assert all(torch.equal(value, detector[name]) for name, value in whole.detector_model.state_dict().items())
    own = whole.tracker_model.state_dict()
    shared = [name for name in tracker if name in own]
    assert len(shared) > 100 and all(torch.equal(tracker[name], own[name]) for name in shared)
    rest = {name for name in tracker if name not in own}
    assert rest and all(name.startswith("vision_encoder.") for name in rest)
    neck, backbone = whole.tracker_neck.state_dict(), whole.detector_model.vision_encoder.backbone.state_dict()
    assert all(torch.equal(tracker[f"vision_encoder.neck.{name}"], value) for name, value in neck.items())
    assert all(torch.equal(tracker[f"vision_encoder.backbone.{name}"], value) for name, value in backbone.items())

    hub = tmp_path / "hub"
    hub.mkdir()
    (hub / "config.json").write_text((folder / "config.json").read_text())
    state = load_file(folder / "model.safetensors")
    once = {name.replace("tracker_model.tracker_model.", "tracker_model."): value for name, value in state.items()}
    assert set(once) != set(state)
    save_file(once, hub / "model.safetensors")
    image = scene(60, 40)
    prompt = {"points": [(10.0, 10.0)], "box": (5.0, 5.0, 40.0, 30.0)}
    found = load_segmenter(f"sam3:{hub}", None, "cpu").encode(image).predict(**prompt)  # type: ignore[attr-defined]
    assert np.array_equal(found.masks, segmenter.encode(image).predict(**prompt).masks)  # type: ignore[arg-type]


def test_a_folder_with_one_network_says_what_it_lacks(tmp_path: Path) -> None:
    image = scene(40, 40)
    detector = load_segmenter(f"sam3:{write_small_sam3(tmp_path / 'd', 'detector')}", SIGN, "cpu")
    tracker = load_segmenter(f"sam3:{write_small_sam3(tmp_path / 't', 'tracker')}", EVERYTHING, "cpu")
    assert isinstance(detector, HubSamSegmenter) and isinstance(tracker, HubSamSegmenter)
    assert len(detector.segment(image)) and len(tracker.segment(image))
    with pytest.raises(OditsError, match="needs a text"):
        detector.with_parameters(EVERYTHING).segment(image)
    with pytest.raises(OditsError, match="needs a text"):
        detector.encode(image)
    with pytest.raises(OditsError, match="takes no text"):
        tracker.with_parameters(SIGN).segment(image)


def test_a_text_is_read_in_phrases() -> None:
    assert Sam3Parameters(text=" shop  sign,door,, door ").phrases == ("shop sign", "door")
    assert Sam3Parameters(text=" , ").phrases == ()
    assert read_parameters(["text=shop sign, door", "text_threshold=0.3"], "sam3") == Sam3Parameters(
        text="shop sign, door", text_threshold=0.3
    )
    with pytest.raises(OditsError, match="text_threshold"):
        Sam3Parameters(text_threshold=1.5)


def test_a_text_that_is_too_long_is_one_sentence(segmenter: HubSamSegmenter) -> None:
    with pytest.raises(OditsError, match="too long"):
        segmenter.with_parameters(replace(SIGN, text="sign " * 40)).segment(scene(30, 30))


def test_keys_say_what_counts(folder: Path, segmenter: HubSamSegmenter) -> None:
    keys = [
        segmenter.with_parameters(parameters).key
        for parameters in (SIGN, replace(SIGN, text="door"), replace(SIGN, text_threshold=0.4), EVERYTHING)
    ]
    assert len(set(keys)) == 4 and all(key.startswith("sam3-") for key in keys)
    assert segmenter.with_parameters(replace(SIGN, points_per_side=3)).key == keys[0]
    assert segmenter.with_parameters(replace(SIGN, text=" sign ,")).key == keys[0]
    assert segmenter.with_parameters(replace(EVERYTHING, text_threshold=0.1)).key == keys[3]
    assert Sam3Parameters().key == SamParameters().key
    assert identify_segmenter(f"sam3:{folder}", SIGN) == ("SAM 3 (small): sign", keys[0])


def test_texts_are_stored_with_the_objects(folder: Path, segmenter: HubSamSegmenter, tmp_path: Path) -> None:
    scene(60, 40).save(tmp_path / "a.png")
    both = replace(SIGN, text="sign, door")
    request = ObjectsRequest(f"sam3:{folder}", both, "cpu")
    assert not request.has_candidates and read_settings(json.loads(json.dumps(asdict(both)))) == both
    done = precompute([Item("a.png", tmp_path / "a.png")], request, Workers(1))
    assert done.computed == 1 and not done.problems
    found = stored_objects(tmp_path / "a.png", segmenter.with_parameters(both))
    assert set(texts_of(found)) == {"sign", "door"} and len(texts_of(found)) == len(found)
    assert texts_of(from_document(json.loads(json.dumps(to_document(found))))) == texts_of(found)
    with pytest.raises(OditsError, match="leave SAM 3's text empty"):
        precompute([Item("a.png", tmp_path / "a.png")], replace(request, kind="candidates"), Workers(0))
    with pytest.raises(OditsError, match="leave SAM 3's text empty"):
        segmenter.candidates(Image.new("RGB", (9, 9)))


def test_texts_in_python(segmenter: HubSamSegmenter) -> None:
    image = scene(40, 40)
    found = odits.find_objects(image, segmenter.with_parameters(EVERYTHING), ["door"])
    assert len(found) == len(segmenter.with_parameters(Sam3Parameters(text="door")).segment(image))
    with pytest.raises(OditsError, match="takes no text"):
        odits.find_objects(image, "embedded", ["door"])


def test_progress_and_cancel(segmenter: HubSamSegmenter) -> None:
    seen: list[tuple[int, int]] = []
    two = segmenter.with_parameters(replace(SIGN, text="sign, door"))
    two.segment(scene(40, 40), lambda done, of: seen.append((done, of)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def cancel(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        two.segment(scene(40, 40), cancel)
    assert len(two.segment(scene(40, 40))) > 0  # it can be used again


def test_an_older_transformers_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """facebookresearch/sam3#145: cannot import name 'Sam3Processor' from 'transformers'."""
    loaded = load_segmenter(f"sam3:{folder}", SIGN, "cpu")
    monkeypatch.setitem(sys.modules, "transformers", types.ModuleType("transformers"))
    with pytest.raises(OditsError, match=r"needs transformers 5\.0 or later"):
        loaded.segment(scene(20, 20))


@pytest.mark.slow
def test_the_real_widths_equal_transformers(tmp_path: Path, processor: Any) -> None:
    """SAM 3 as it is, but for the number of layers: its 840 million weights would not fit beside other tests."""
    config = transformers.Sam3Config()
    config.vision_config.backbone_config.num_hidden_layers = 2
    config.vision_config.backbone_config.global_attn_indexes = [1]
    config.text_config.num_hidden_layers = 1
    config.detr_encoder_config.num_layers = config.detr_decoder_config.num_layers = 1
    torch.manual_seed(0)
    model = transformers.Sam3Model(config).eval()
    model.save_pretrained(tmp_path / "real")
    image = scene(200, 120)
    prepared = transformers.Sam3Processor(transformers.Sam3ImageProcessor(), processor.tokenizer)
    inputs = prepared(images=image, text="sign", return_tensors="pt")
    with torch.inference_mode():
        output = model(**inputs)
    expected = prepared.post_process_instance_segmentation(output, 0.1, 0.5, target_sizes=[(120, 200)])[0]
    found = load_segmenter(f"sam3:{tmp_path / 'real'}", replace(SIGN, text_threshold=0.1), "cpu").segment(image)
    ious = overlaps(found, list(expected["masks"]))
    assert len(found) == len(ious) > 0 and min(ious) >= 0.99
