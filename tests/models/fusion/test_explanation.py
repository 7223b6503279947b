"""Contributions of objects: what a word loses without one, and whether that is faithful."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from odits.data import Vocabulary, open_image
from odits.models.clip.loading import load_clip
from odits.models.fusion.explanation import Explainer, capabilities, curves, group_objects
from odits.models.fusion.inputs import InputEncoder, ObjectEmbeddings, ObjectEncoder, OditsInput
from odits.models.fusion.model import OditsModel, untrained
from odits.models.segmentation.segmenters import load_segmenter

DEMO = Path(__file__).parents[3] / "assets" / "demo"
WORDS = Vocabulary.from_words([f"WORD{number}" for number in range(60)], "test")
WIDTH = 256


def seen(owner: list[int], kind: list[str], x: list[float]) -> ObjectEmbeddings:
    """Objects in a row, each 10 wide and 10 high, with random embeddings."""
    rng = np.random.default_rng(0)
    count = len(owner)
    objects = rng.normal(size=(count + 1, WIDTH)).astype(np.float32)
    objects /= np.linalg.norm(objects, axis=1, keepdims=True)
    left = np.array(x, np.float32)
    corners = np.stack(
        [np.stack([left, 0 * left], 1), np.stack([left + 10, 0 * left], 1), np.stack([left + 10, 0 * left + 10], 1),
         np.stack([left, 0 * left + 10], 1)], 1,
    )  # fmt: skip
    return ObjectEmbeddings(
        objects[0], objects[1:], np.ones(count, np.float32), corners, np.array(owner), np.array(kind, np.str_),
        np.full(count, 100, np.float32),
    )  # fmt: skip


@pytest.fixture(scope="module")
def model() -> OditsModel:
    input_encoder = InputEncoder(ObjectEncoder(load_clip("embedded", "cpu"), load_segmenter("embedded")))
    found = untrained(input_encoder)
    generator = torch.Generator().manual_seed(1)
    for parameter in found.network.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    found.network.evidence.gate.data.fill_(1.0)
    found.network.recall.gate.data.fill_(1.0)
    found.lexicons = [["WORD1", "WORD2"], ["WORD2", "WORD3", "WORD9"]]
    return found


SEEN = seen([0, 1, 1, 2, -1, -1], ["region", "text", "word", "text", "line", "line"], [0, 20, 22, 60, 61, 200])


def test_a_line_leaves_with_its_words_and_readings() -> None:
    places = group_objects(SEEN)
    assert [place.members.tolist() for place in places] == [[0], [1, 2], [3, 4], [5]]
    assert [place.owner for place in places] == [0, 1, 2, -1]


def test_contributions_are_what_the_model_loses(model: OditsModel) -> None:
    one = OditsInput(SEEN)
    explainer = Explainer(model, one, WORDS)
    words = [4, 17, 50]
    found = explainer.contributions(words)
    whole = model.forward([one], WORDS).logits[0].numpy()
    for place, row in zip(explainer.groups, found, strict=True):
        kept = np.ones(len(SEEN), bool)
        kept[place.members] = False
        without = model.forward([one], WORDS, [kept]).logits[0].numpy()
        np.testing.assert_allclose(row, (whole - without)[words], atol=2e-4)
    assert np.abs(found).max() > 0.01


def test_nothing_contributes_before_training(model: OditsModel) -> None:
    found = Explainer(untrained(model.input_encoder), OditsInput(SEEN), WORDS).contributions([0, 1])
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_attention_is_shared_out_over_the_places(model: OditsModel) -> None:
    one = OditsInput(SEEN)
    attention = model.predict_input(one, WORDS).attention
    assert Explainer(model, one, WORDS).attention(attention).sum() == pytest.approx(1, abs=1e-5)


def test_the_best_order_has_the_best_curves(model: OditsModel) -> None:
    plain = untrained(model.input_encoder)
    plain.network.evidence.gate.data.fill_(3.0)
    objects = SEEN.objects.copy()
    objects[3] = plain.clip.encode_vocabulary(WORDS)[7].numpy()  # the sign of the third place says WORD7
    explainer = Explainer(plain, OditsInput(replace(SEEN, objects=objects)), WORDS)
    told = explainer.contributions([7])[:, 0]
    assert told.argmax() == 2 and told[2] > 1
    order = np.argsort(-told, kind="stable")
    best, worst = curves(explainer, 7, order), curves(explainer, 7, order[::-1].copy())
    assert best.deletion < worst.deletion and best.insertion > worst.insertion
    assert 0 <= best.deletion <= 1 and 0 <= best.insertion <= 1


def test_an_image_without_objects_explains_nothing(model: OditsModel) -> None:
    one = OditsInput(seen([], [], []))
    explainer = Explainer(model, one, WORDS)
    assert explainer.groups == [] and explainer.contributions([3]).shape == (0, 1)


def test_a_real_picture_is_explained(model: OditsModel) -> None:
    image = open_image(DEMO / "cafe.jpg")
    image.thumbnail((400, 400))
    explainer = Explainer(model, model.input_encoder.encode(image, WORDS), WORDS)
    assert explainer.contributions([0]).shape == (len(explainer.groups), 1)


def test_the_table_of_parts_is_true_of_the_model(model: OditsModel) -> None:
    rows = {row.name: row for row in capabilities(model)}
    assert rows["Feature enhancer"].odits and not rows["Feature enhancer"].clip
    assert not rows["SAM"].odits and "not SAM" in rows["Object segmentation"].here
    assert rows["Lexicons remembered"].here.startswith("2 ")
