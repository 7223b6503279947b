"""CLIP's ranking beside the one by reading, with the embedded checkpoint on the demo images."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from odits.core.errors import OditsError
from odits.core.pool import Workers
from odits.data.records import collection_of_folder
from odits.evaluation.retrieval import IMAGE_WEIGHT
from odits.models.clip.loading import load_clip
from odits.models.clip.model import ClipModel
from odits.search.image_ranking import Fusion, embed_images, stored_embeddings
from odits.search.index import Index, build_index
from odits.search.query import parse_query
from odits.search.ranking import LEAST
from tests.search.conftest import DEMO


@pytest.fixture(scope="module")
def model() -> Iterator[ClipModel]:
    yield load_clip("embedded", "cpu")


def test_images_are_seen_once_and_ranked(demo_index: Index, model: ClipModel) -> None:
    assert stored_embeddings(demo_index, model.checkpoint) is None
    calls: list[tuple[int, int]] = []

    def stop(_what: str, done: int, of: int) -> None:
        calls.append((done, of))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_images(demo_index, model, stop)
    calls.clear()
    embedded = embed_images(demo_index, model, lambda _what, done, of: calls.append((done, of)))
    assert calls[0] == (4, 6), "it goes on where it was stopped"
    np.testing.assert_allclose(np.linalg.norm(embedded.table, axis=1), 1, atol=1e-4)
    assert stored_embeddings(demo_index, model.checkpoint) is not None
    calls.clear()
    embed_images(demo_index, model, lambda _what, done, of: calls.append((done, of)))
    assert calls == []
    found = embedded.similarities(model, parse_query("hotel"))
    both = embedded.similarities(model, parse_query("hotel cafe"))
    np.testing.assert_allclose(both, found + embedded.similarities(model, parse_query("cafe")), atol=1e-3)
    fusion = Fusion([], np.empty(0), found, 1)
    assert fusion.best(6)[0].image_rank == 1 and fusion.best(6)[0].reading_rank == 0


def test_reading_decides_and_clip_orders_the_rest() -> None:
    similarities = np.array([5.0, 9.0, 1.0, 7.0], np.float32)
    fusion = Fusion([2, 0], np.array([3.0, 1.0]), similarities, 1)
    best = fusion.best(4)
    assert [one.place for one in best] == [2, 0, 1, 3]
    assert [(one.reading_rank, one.image_rank) for one in best] == [(1, 4), (2, 3), (0, 1), (0, 2)]
    chance = np.exp(similarities - 9) / np.exp(similarities - 9).sum()
    unread = np.log(LEAST / (1 - LEAST))
    wanted = np.array([1.0, unread, 3.0, unread]) + IMAGE_WEIGHT * np.log(chance)
    np.testing.assert_allclose([fusion.standing(place).score for place in range(4)], wanted, atol=1e-6)
    assert [one.place for one in fusion.best_by_image(2)] == [1, 3]


def test_an_image_that_vanished_since_it_was_indexed_is_named(home: Path, tmp_path: Path, model: ClipModel) -> None:
    for name in ("cafe.jpg", "hotel.jpg"):
        shutil.copy(DEMO / name, tmp_path / name)
    index = build_index(collection_of_folder(tmp_path), Workers(1))
    (tmp_path / "hotel.jpg").write_bytes((DEMO / "hotel.jpg").read_bytes()[:9000])
    with pytest.raises(OditsError, match=r"^hotel\.jpg is damaged .* Build the index again\.$"):
        embed_images(index, model)


def test_a_grown_collection_embeds_its_new_images_only(
    home: Path, tmp_path: Path, model: ClipModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(DEMO / "cafe.jpg", tmp_path / "cafe.jpg")
    first = embed_images(build_index(collection_of_folder(tmp_path), Workers(1)), model).table.copy()
    shutil.copy(DEMO / "hotel.jpg", tmp_path / "hotel.jpg")
    index = build_index(collection_of_folder(tmp_path), Workers(1))
    encoded: list[int] = []
    encode = model.encode_images
    monkeypatch.setattr(model, "encode_images", lambda images: encoded.append(len(images)) or encode(images))
    grown = embed_images(index, model)
    assert encoded == [1]
    cafe = [image.name for image in index.images].index("cafe.jpg")
    assert np.array_equal(grown.table[cafe], first[0])
