"""Names of objects: by the embedded CLIP, and by a real GroundingDINO that is only small and random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
import torch
from PIL import Image, ImageDraw, ImageFont

from odits.core.errors import OditsError
from odits.core.files import asset
from odits.data import Vocabulary
from odits.models.classification.eye import PhotoNetwork
from odits.models.registry import load
from odits.models.segmentation.naming import (
    PHOTO_LIMIT,
    GroundingDinoNamer,
    NamedBox,
    PhotoNamer,
    WordNamer,
    match_boxes,
    weights_available,
)
from odits.objects.detections import make_detections

SIZE = (200, 120)
WORDS = Vocabulary(("hotel", "bar", "bank", "blue house", "bakery"), "shops")


def block(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], bool)
    mask[y0:y1, x0:x1] = True
    return mask


def two_signs() -> tuple[Image.Image, list[str]]:
    image, words = Image.new("RGB", SIZE, (235, 235, 225)), ["BANK", "HOTEL"]
    font = ImageFont.load_default(32)
    for row, word in enumerate(words):
        ImageDraw.Draw(image).text((20, 8 + 60 * row), word, (20, 20, 60), font)
    return image, words


def test_the_embedded_model_reads_names_off_crops() -> None:
    image, words = two_signs()
    signs = make_detections([block(14, 8, 125, 50), block(14, 68, 145, 110)], [1, 1], ["text"] * 2, SIZE)
    steps: list[tuple[int, int]] = []
    named = WordNamer(load("embedded")).names(image, signs, WORDS, lambda *step: steps.append(step))
    expected = [words[0 if box[1] < 60 else 1].lower() for box in signs.xyxy]
    assert list(named.names) == expected
    assert named.scores.shape == (2,) and ((named.scores > 0) & (named.scores <= 1)).all()
    assert steps[-1] == (2, 2) and named.model == load("embedded").name and named.vocabulary == "shops"


class Blind(PhotoNetwork):
    """The network, where it must not be asked."""

    def probabilities(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Fail."""
        raise AssertionError(f"{len(images)} pictures were seen again")


def test_imagenet_names_an_object_but_no_text_and_nothing_unsure() -> None:
    image = Image.new("RGB", (300, 200), "gray")
    with Image.open(asset("demo/cafe.jpg")) as scene:
        image.paste(scene.resize((200, 150)), (50, 25))
    masks = [np.zeros((200, 300), bool) for _ in range(3)]
    masks[0][25:175, 50:250] = True
    masks[1][25:175, 50:250] = True
    masks[2][:10, :10] = True
    found = make_detections(masks, [1] * 3, ["region", "text", "region"], (300, 200))
    namer, steps = PhotoNamer("cpu"), list[tuple[int, int]]()
    named = namer.names(image, found, WORDS, lambda *step: steps.append(step))
    assert named.names == ("scoreboard", "", "plain grey surface")  # as drawn pictures come out
    assert named.levels == ("class", "", "plain surface") and "ImageNet's classes" in named.vocabulary
    assert PHOTO_LIMIT <= named.scores[0] <= 1 and named.scores[1:].tolist() == [0, 0] and steps[-1] == (2, 2)
    strict = PhotoNamer("cpu", limit=1.0, coarse=False)
    assert strict.names(image, found, WORDS).names == ("", "", "") and strict.key != namer.key
    assert namer.names(image, make_detections([], [], [], (300, 200)), WORDS).names == ()
    again = PhotoNamer("cpu", network=Blind("cpu"))
    assert again.names(image, found, WORDS).names == named.names  # from the store: nothing is seen twice
    name, score = namer.scene(image)
    assert name in ("scoreboard", "") and (score >= PHOTO_LIMIT) == bool(name) and strict.scene(image)[0] == ""


def test_an_image_without_objects_has_no_names() -> None:
    model = load("embedded")
    named = WordNamer(model).names(Image.new("RGB", SIZE), make_detections([], [], [], SIZE), WORDS)
    assert named.names == () and len(named.scores) == 0
    assert model.probabilities([], WORDS, "crop").shape == (0, len(WORDS))


def test_boxes_are_matched_by_overlap_and_by_coverage() -> None:
    masks = [block(0, 0, 100, 100), block(150, 20, 190, 60), block(20, 20, 26, 26)]
    found = make_detections(masks, [1, 1, 1], ["mask"] * 3, SIZE)
    house = NamedBox((2, 0, 104, 98), "house", 0.6)
    loose = NamedBox((140, 10, 200, 70), "car", 0.5)  # IoU 0.44, but it covers the mask, which fills it well enough
    better = NamedBox((0, 0, 100, 101), "home", 0.7)
    assert [one.word if one else None for one in match_boxes(found, [house, loose])] == ["house", "car", None]
    assert match_boxes(found, [house, better])[0] == better
    assert match_boxes(found, []) == [None] * 3


@pytest.fixture(scope="module")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `save_pretrained` writes it: GroundingDINO, small, its weights random."""
    from transformers import (
        BertConfig,
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        SwinConfig,
    )

    folder = tmp_path_factory.mktemp("dino")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "hotel", "bar", "bank", "blue", "house", "baker"]
    (folder / "vocab.txt").write_text("\n".join([*pieces, "##y", *(f"[unused{n}]" for n in range(1100))]))
    torch.manual_seed(1)
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            image_size=64,
            embed_dim=16,
            depths=[1, 1, 1, 1],
            num_heads=[1, 2, 2, 2],
            window_size=4,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=BertConfig(
            vocab_size=len(pieces) + 1101,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=48,
            max_position_embeddings=64,
        ),
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        num_queries=20,
        max_text_len=12,
        encoder_n_points=2,
        decoder_n_points=2,
    )
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}).save_pretrained(folder)
    return folder


def test_grounding_dino_from_a_folder_names_objects_in_passes(dino: Path) -> None:
    assert weights_available(str(dino))
    namer = GroundingDinoNamer(str(dino), "cpu", threshold=0.0)
    image, _ = two_signs()
    steps: list[tuple[int, int]] = []
    boxes = namer.boxes(image, WORDS, lambda *step: steps.append(step))
    assert steps[-1][0] == steps[-1][1] == 2  # five words do not fit into twelve tokens
    assert len(boxes) == 2 * 20 and {one.word for one in boxes} <= set(WORDS.words)
    for one in boxes:
        x0, y0, x1, y1 = one.box
        assert 0 <= x0 <= x1 <= 200 and 0 <= y0 <= y1 <= 120 and 0 <= one.score <= 1
    x0, y0, x1, y1 = (int(value) for value in max(boxes, key=lambda one: one.score).box)
    target = make_detections([block(x0, y0, max(x1, x0 + 2), max(y1, y0 + 2))], [1], ["mask"], SIZE)
    named = namer.names(image, target, WORDS)
    assert named.names[0] in WORDS.words and named.scores[0] > 0 and named.model.startswith("GroundingDINO")


def test_words_scores_are_those_of_the_processor_s_own_prompt(dino: Path) -> None:
    """The same token ids as transformers makes of the text, and so the same logits for a word of one token."""
    namer = GroundingDinoNamer(str(dino), "cpu")
    ids, spans = next(namer._prompts(("hotel", "bar")))
    assert ids == namer._tokens("hotel. bar.")["input_ids"]
    assert spans == [("hotel", 1, 2), ("bar", 3, 4)]


def test_no_box_above_the_threshold_means_no_name(dino: Path) -> None:
    namer = GroundingDinoNamer(str(dino), "cpu", threshold=1.0)
    target = make_detections([block(0, 0, 200, 120)], [1], ["mask"], SIZE)
    named = namer.names(Image.new("RGB", SIZE), target, WORDS)
    assert named.names == ("",) and named.scores.tolist() == [0.0]
    assert (
        GroundingDinoNamer(str(dino), "cpu", threshold=1.0).key == namer.key != GroundingDinoNamer(str(dino), "cpu").key
    )


def test_weights_that_are_not_here_are_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(OditsError, match="give the path"):
        GroundingDinoNamer("nobody/knows-this-model")
    with pytest.raises(OditsError, match="give the path"):
        GroundingDinoNamer(str(tmp_path))


def names_of(detections: sv.Detections, *boxes: NamedBox) -> list[str]:
    return [one.word if one else "" for one in match_boxes(detections, boxes)]


def test_a_box_of_half_the_overlap_names_an_object() -> None:
    found = make_detections([block(0, 0, 10, 10)], [1], ["mask"], SIZE)
    assert names_of(found, NamedBox((0, 0, 10, 5), "half", 0.5)) == ["half"]  # IoU 50 / 100
    assert names_of(found, NamedBox((0, 0, 10, 4.9), "less", 0.5)) == [""]
    assert names_of(found, NamedBox((10, 0, 20, 10), "beside", 0.5)) == [""]
    assert names_of(found, NamedBox((0, 0, 0, 0), "point", 0.5)) == [""]


def test_a_box_that_covers_nine_tenths_names_what_fills_a_fifth_of_it() -> None:
    found = make_detections([block(0, 0, 10, 10)], [1], ["mask"], SIZE)
    assert names_of(found, NamedBox((0, 1, 30, 16), "covers", 0.5)) == ["covers"]  # 90 of 100 pixels, 90 of 450
    assert names_of(found, NamedBox((0, 1, 31, 16), "too large", 0.5)) == [""]
    assert names_of(found, NamedBox((0, 2, 30, 15), "too little", 0.5)) == [""]


def test_the_largest_product_of_overlap_and_score_counts() -> None:
    found = make_detections([block(0, 0, 10, 10)], [1], ["mask"], SIZE)
    exact, half = NamedBox((0, 0, 10, 10), "exact", 0.4), NamedBox((0, 0, 10, 5), "half", 0.79)
    assert names_of(found, half, exact) == ["exact"]
    assert names_of(found, half._replace(score=0.81), exact) == ["half"]
    assert names_of(found, exact, exact._replace(word="second")) == ["exact"]


def test_progress_is_reported_every_sixteen_crops() -> None:
    masks = [block(10 * n, 0, 10 * n + 8, 20 + n) for n in range(17)]
    steps: list[tuple[int, int]] = []
    found = make_detections(masks, [1] * 17, ["mask"] * 17, SIZE)
    named = WordNamer(load("embedded")).names(two_signs()[0], found, WORDS, lambda *step: steps.append(step))
    assert steps == [(0, 17), (16, 17), (17, 17)] and len(named.names) == len(named.scores) == 17
