"""Contributions of objects: what a word loses without one, and whether that is faithful."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from odits.data import Vocabulary, open_image
from odits.models.clip.loading import load_clip
from odits.models.fusion.explanation import (
    COMPETITORS,
    Curves,
    Explainer,
    capabilities,
    curves,
    group_objects,
)
from odits.models.fusion.inputs import InputEncoder, ObjectEmbeddings, ObjectEncoder, OditsInput
from odits.models.fusion.model import OditsModel, untrained
from odits.models.fusion.settings import OditsConfig
from odits.models.segmentation.segmenters import load_segmenter

DEMO = Path(__file__).parents[3] / "assets" / "demo"
WORDS = Vocabulary.from_words([f"WORD{number}" for number in range(60)], "test")
WIDTH = 256


def embeddings_at(owner: list[int], kind: list[str], x: list[float]) -> ObjectEmbeddings:
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


SEEN = embeddings_at([0, 1, 1, 2, -1, -1], ["region", "text", "word", "text", "line", "line"], [0, 20, 22, 60, 61, 200])


def test_a_line_leaves_with_its_words_and_readings() -> None:
    groups = group_objects(SEEN)
    assert [group.members.tolist() for group in groups] == [[0], [1, 2], [3, 4], [5]]
    assert [group.owner for group in groups] == [0, 1, 2, -1]


def test_contributions_are_what_the_model_loses(model: OditsModel) -> None:
    one = OditsInput(SEEN)
    explainer = Explainer(model, one, WORDS)
    words = [4, 17, 50]
    found = explainer.contributions(words)
    whole = model.forward([one], WORDS).logits[0].numpy()
    for group, row in zip(explainer.groups, found, strict=True):
        present = np.ones(len(SEEN), bool)
        present[group.members] = False
        without = model.forward([one], WORDS, [present]).logits[0].numpy()
        np.testing.assert_allclose(row, (whole - without)[words], atol=2e-4)
    assert np.abs(found).max() > 0.01


def test_nothing_contributes_before_training(model: OditsModel) -> None:
    found = Explainer(untrained(model.input_encoder), OditsInput(SEEN), WORDS).contributions([0, 1])
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_attention_is_summed_over_the_groups(model: OditsModel) -> None:
    one = OditsInput(SEEN)
    attention = model.predict_input(one, WORDS).attention
    assert Explainer(model, one, WORDS).attention(attention).sum() == pytest.approx(1, abs=1e-5)


def test_the_best_order_has_the_best_curves(model: OditsModel) -> None:
    plain = untrained(model.input_encoder)
    plain.network.evidence.gate.data.fill_(3.0)
    objects = SEEN.objects.copy()
    objects[3] = plain.clip.encode_vocabulary(WORDS)[7].numpy()  # the sign of the third group says WORD7
    explainer = Explainer(plain, OditsInput(replace(SEEN, objects=objects)), WORDS)
    contributions = explainer.contributions([7])[:, 0]
    assert contributions.argmax() == 2 and contributions[2] > 1
    order = np.argsort(-contributions, kind="stable")
    best, worst = curves(explainer, 7, order), curves(explainer, 7, order[::-1].copy())
    assert best.deletion < worst.deletion and best.insertion > worst.insertion
    assert 0 <= best.deletion <= 1 and 0 <= best.insertion <= 1


def test_an_image_without_objects_explains_nothing(model: OditsModel) -> None:
    one = OditsInput(embeddings_at([], [], []))
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


def test_a_reading_belongs_to_the_text_that_it_covers_by_half() -> None:
    def groups(owner: list[int], kind: list[str], x: list[float]) -> list[list[int]]:
        return [group.members.tolist() for group in group_objects(embeddings_at(owner, kind, x))]

    assert groups([0, -1], ["text", "line"], [0, 5]) == [[0, 1]]  # half of either box
    assert groups([0, -1], ["text", "line"], [0, 5.1]) == [[0], [1]]
    assert groups([0, -1], ["text", "line"], [0, 10]) == [[0], [1]]  # they touch
    assert groups([0, -1], ["region", "line"], [0, 0]) == [[0], [1]]  # no text
    assert groups([-1, -1, 0], ["line", "line", "text"], [0, 1, 0]) == [[0, 1], [2]]
    assert groups([0, 0, 1, 0], ["mask", "mask", "mask", "mask"], [0, 50, 90, 130]) == [[0, 1, 3], [2]]


def test_a_group_has_the_corners_of_its_largest_member() -> None:
    objects = embeddings_at([3, 3, 3], ["text", "word", "word"], [0, 20, 40])
    (group,) = group_objects(replace(objects, area=np.array([100, 300, 200], np.float32)))
    assert group.corners.tolist() == objects.corners[1].tolist() and (group.kind, group.owner) == ("text", 3)


@pytest.mark.parametrize(("word", "steps"), [(4, 20), (4, 3), (17, 4), (59, 1)])
def test_curves_are_areas_under_the_words_share(model: OditsModel, word: int, steps: int) -> None:
    """Against the definition, one picture of the curve at a time."""
    one = OditsInput(SEEN)
    explainer = Explainer(model, one, WORDS)
    count = len(explainer.groups)
    order = np.array([2, 0, 3, 1])
    whole = model.forward([one], WORDS).logits[0].numpy()
    others = [int(index) for index in np.argsort(-whole, kind="stable")[:COMPETITORS] if index != word]
    chosen = [word, *others[: COMPETITORS - 1]]

    def share(present: set[int]) -> float:
        mask = np.zeros(len(SEEN), bool)
        for index in present:
            mask[explainer.groups[index].members] = True
        logits = model.forward([one], WORDS, [mask]).logits[0].numpy().astype(np.float64)[chosen]
        odds = np.exp(logits - logits.max())
        return float(odds[0] / odds.sum())

    numbers = sorted({round(float(x)) for x in np.linspace(0, count, min(steps, count) + 1)})
    deletion = [share(set(order[number:].tolist())) for number in numbers]
    insertion = [share(set(order[:number].tolist())) for number in numbers]

    def area(values: list[float]) -> float:
        pairs = zip(numbers, numbers[1:], values, values[1:], strict=False)
        return sum((right - left) / count * (first + second) / 2 for left, right, first, second in pairs)

    found = curves(explainer, word, order, steps)
    assert found.deletion == pytest.approx(area(deletion), rel=1e-3)
    assert found.insertion == pytest.approx(area(insertion), rel=1e-3)


def test_many_rows_have_the_logits_of_single_ones(model: OditsModel) -> None:
    explainer = Explainer(model, OditsInput(SEEN), WORDS)
    rng = np.random.default_rng(0)
    present = rng.random((70, 4)) < 0.5
    subset = torch.tensor([7, 2])
    found = explainer.logits(present, subset)
    assert found.shape == (70, 2)
    for row in (0, 63, 64, 69):
        np.testing.assert_allclose(found[row], explainer.logits(present[row : row + 1])[0, [7, 2]], atol=2e-4)


def test_without_objects_the_areas_are_whole(model: OditsModel) -> None:
    explainer = Explainer(model, OditsInput(embeddings_at([], [], [])), WORDS)
    assert curves(explainer, 3, np.empty(0, int)) == Curves(1.0, 1.0)


def test_the_table_says_what_a_training_did(model: OditsModel) -> None:
    plain = untrained(model.input_encoder, OditsConfig(WIDTH, feature_enhancer=False, object_attention=False))
    plain.metadata = {"imbalance": "0.5"}
    rows = {row.name: row for row in capabilities(plain)}
    for name in ("Feature enhancer", "Self-attention over objects"):
        assert not rows[name].odits and rows[name].here == "left out of this checkpoint"
    assert rows["Weighted losses against imbalance"].odits and "-0.5" in rows["Weighted losses against imbalance"].here
    assert not rows["Lexicons remembered"].odits and not rows["Signs read, not only seen"].odits
    whole = {row.name: row for row in capabilities(model)}
    assert whole["Lexicons remembered"].odits and whole["Self-attention over objects"].odits
    assert not whole["Weighted losses against imbalance"].odits
    assert not any(row.clip for row in whole.values())
