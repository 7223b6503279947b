"""Inputs of ODITS collated into batches, and the embeddings' own small operations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from odits.data import Vocabulary
from odits.models.fusion.inputs import EMBEDDINGS, ObjectEmbeddings, OditsInput, _line_view, collate, lexicon_table
from odits.models.reading.reader import TextLine

WIDTH = 4


def embeddings(count: int, seed: int = 0) -> ObjectEmbeddings:
    rng = np.random.default_rng(seed)
    return ObjectEmbeddings(
        rng.normal(size=WIDTH).astype(np.float32),
        rng.normal(size=(count, WIDTH)).astype(np.float32),
        rng.uniform(0.1, 1, count).astype(np.float32),
        rng.uniform(0, 50, (count, 4, 2)).astype(np.float32),
        np.arange(count),
        np.array(["mask"] * count, np.str_),
        rng.uniform(1, 99, count).astype(np.float32),
    )


def test_a_batch_is_padded_to_the_most_objects() -> None:
    inputs = [OditsInput(embeddings(2, 1)), OditsInput(embeddings(0, 2)), OditsInput(embeddings(3, 3))]
    batch = collate(inputs)
    assert batch.objects.shape == (3, 3, WIDTH) and batch.read is None and batch.is_read is None
    assert batch.present.tolist() == [[True, True, False], [False] * 3, [True] * 3]
    for row, one in enumerate(inputs):
        count = len(one.embeddings)
        assert batch.image[row].tolist() == one.embeddings.image.tolist()
        assert batch.objects[row, :count].tolist() == one.embeddings.objects.tolist()
        assert batch.confidence[row, :count].tolist() == one.embeddings.confidence.tolist()
        assert not batch.objects[row, count:].any() and not batch.confidence[row, count:].any()


def test_objects_that_are_left_out_keep_their_places() -> None:
    one = OditsInput(embeddings(3))
    batch = collate([one], [np.array([True, False, True])])
    assert batch.present.tolist() == [[True, False, True]]
    assert not batch.objects[0, 1].any() and batch.confidence[0, 1] == 0
    assert batch.objects[0, 2].tolist() == one.embeddings.objects[2].tolist()


def test_rows_that_were_read_belong_to_the_last_objects() -> None:
    rows = np.array([[0.5, 0.25], [0.125, 0]], np.float16)
    inputs = [OditsInput(embeddings(3), rows), OditsInput(embeddings(4)), OditsInput(embeddings(1), rows[:0])]
    assert inputs[0].is_read.tolist() == [False, True, True] and not inputs[1].is_read.any()
    batch = collate(inputs)
    assert batch.is_read is not None and batch.read is not None
    assert batch.is_read.tolist() == [[False, True, True, False], [False] * 4, [False] * 4]
    assert batch.read[0].tolist() == [[0, 0], [0.5, 0.25], [0.125, 0], [0, 0]]
    assert not batch.read[1:].any() and batch.read.dtype == torch.float32


def test_a_table_of_lexicons_leaves_unknown_words_out() -> None:
    table = lexicon_table([["B", "X"], [], ["C", "A"]], Vocabulary.from_words(["A", "B", "C"], "test"))
    assert table.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 1]]


def test_controls_change_one_thing_alone() -> None:
    one, other = embeddings(2, 1), embeddings(3, 2)
    alone = one.image_as_object()
    assert alone.objects.tolist() == [one.image.tolist()] and alone.confidence.tolist() == [1] and len(alone) == 1
    assert alone.owner.tolist() == [-1] and alone.kind.tolist() == ["image"]
    swapped = one.with_image(other.image)
    assert swapped.image is other.image and swapped.objects is one.objects
    both = one.with_lines(other)
    assert both.image is one.image and len(both) == 5
    assert both.objects.tolist() == one.objects.tolist() + other.objects.tolist()
    assert both.owner.tolist() == [0, 1, 0, 1, 2]


def test_a_line_has_its_own_area() -> None:
    corners = np.array([[10, 10], [40, 50], [32, 56], [2, 16]], np.float32)  # 50 long, 10 high
    line = TextLine(corners, 0.75, "", np.zeros((1, 1), np.float16))
    view = _line_view(np.asarray(Image.new("RGB", (80, 80))), line)
    assert (view.area, view.confidence, view.owner, view.kind) == (500.0, 0.75, -1, "line")
    assert view.corners.tolist() == corners.tolist()


def test_embeddings_survive_a_file_and_damage_is_noticed() -> None:
    codec, one = EMBEDDINGS.codec, embeddings(3)
    again = codec.decode(codec.encode(one))
    for name, value in vars(one).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    for damaged in (b"", codec.encode(one)[:300], codec.encode(replace(one, area=one.area[:2]))):
        with pytest.raises(ValueError, match="damaged"):
            codec.decode(damaged)
