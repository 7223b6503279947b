"""Pictures that look alike: the real network on drawn pictures, and a small CLIP model of random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from odits.cli import app
from odits.core.errors import OditsError
from odits.core.pool import Workers
from odits.data.records import ImageRecord
from odits.models.classification.eye import DIMENSION, PhotoNetwork
from odits.models.registry import EMBEDDED, load
from odits.search import likeness as module
from odits.search.embeddings import PHOTO_KEY, PICTURE_EMBEDDINGS, ClipEmbedder, embed_items, embedding_key
from odits.search.likeness import (
    DUPLICATE,
    Likeness,
    alike_pairs,
    embed_records,
    most_alike,
    repeated,
    stored_likeness,
)
from tests.search.conftest import DEMO
from tests.training import tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scenes, one of them twice, and a file that is no picture."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("cafe", "hotel"):
        shutil.copy(DEMO / f"{name}.jpg", folder)
    with Image.open(DEMO / "cafe.jpg") as image:
        image.resize((512, 384)).save(folder / "again.jpg", quality=60)
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


def records(folder: Path) -> list[ImageRecord]:
    return [ImageRecord(path.name, path) for path in sorted(folder.iterdir())]


@pytest.mark.slow
def test_pictures_are_found_by_a_picture_and_embedded_once(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = embed_records(records(folder))
    assert [record.name for record in found.records] == ["again.jpg", "cafe.jpg", "hotel.jpg"]
    assert found.table.shape == (3, DIMENSION) and found.table.dtype == np.float32
    assert [problem.image for problem in found.problems] == ["broken.jpg"]
    ranked = most_alike(found, found.table[1], 2)
    assert [one.record.name for one in ranked] == ["cafe.jpg", "again.jpg"]
    assert ranked[0].similarity == pytest.approx(1, abs=1e-5) and 0.999 > ranked[1].similarity > DUPLICATE
    (pair,) = (pair for pair in alike_pairs(found).closest if pair.near)
    assert (pair.first.name, pair.second.name) == ("again.jpg", "cafe.jpg")

    def fail(*_: object) -> None:
        raise AssertionError("a stored picture is embedded again")

    monkeypatch.setattr(PhotoNetwork, "_run", lambda self, images, *_: fail() if images else np.empty((0, 1)))
    assert (embed_records(records(folder)).table == found.table).all()


def around(**degrees: float) -> Likeness:
    """Pictures whose embeddings lie on a circle, by name in the order given: 30 degrees apart is a cosine of 0.87."""
    angles = np.deg2rad(list(degrees.values()))
    table = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    return Likeness(tuple(ImageRecord(f"{name}.jpg", b"") for name in degrees), table, ())


@pytest.mark.parametrize("block", [1, 2, 1024])
def test_of_pictures_that_look_alike_the_first_stays(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    assert repeated(Likeness((), np.empty((0, 0), np.float32), ())) == {}
    assert repeated(around(b=0, c=10, a=5)) == {"b.jpg": "a.jpg", "c.jpg": "a.jpg"}
    # c looks like b, which is left out: c stays, so that each picture, or one like it, is marked
    assert repeated(around(d=90, c=60, b=30, a=0), 0.8) == {"b.jpg": "a.jpg", "d.jpg": "c.jpg"}
    assert repeated(around(a=0, b=30)) == {}, "only similar"


def test_similar_is_not_a_near_duplicate_and_pairs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    found = alike_pairs(around(a=0, b=30, c=29, d=180))
    assert [(pair.first.name, pair.second.name, pair.near) for pair in found.closest] == [
        ("b.jpg", "c.jpg", True),
        ("a.jpg", "c.jpg", False),
        ("a.jpg", "b.jpg", False),
    ]
    assert (found.number, found.near) == (3, 1)
    monkeypatch.setattr(module, "_BLOCK", 3)
    same = around(**{f"p{number:02}": number / 100 for number in range(10)})
    few = alike_pairs(same, most=4)
    assert (few.number, few.near, len(few.closest)) == (45, 45, 4)
    assert all(pair.similarity >= alike_pairs(same).closest[4].similarity for pair in few.closest)


@pytest.mark.slow
def test_embeddings_come_from_the_store_alone(home: Path, folder: Path) -> None:
    whole = [record for record in records(folder) if record.name != "broken.jpg"]
    assert stored_likeness(whole) is None
    found = embed_records(whole)
    again = stored_likeness(whole)
    assert again is not None and again.records == found.records and (again.table == found.table).all()
    assert stored_likeness(records(folder)) is None  # of a broken picture there is none


def test_a_damaged_embedding_is_computed_again(home: Path, folder: Path) -> None:
    record = ImageRecord("cafe.jpg", folder / "cafe.jpg")
    PICTURE_EMBEDDINGS.put(embedding_key(record.digest), np.zeros(3, np.float32))
    assert embed_records([record]).table.shape == (1, DIMENSION)
    assert list(embed_items([])) == []


def test_none_that_can_be_read_is_one_sentence(home: Path, folder: Path) -> None:
    with pytest.raises(OditsError, match=r"None of the 1 images can be read: .*broken"):
        embed_records([ImageRecord("broken.jpg", folder / "broken.jpg")])


def test_pairs_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 2)
    table = np.eye(5, DIMENSION, dtype=np.float32)
    table[4], table[2] = table[0], table[1]
    some = Likeness(tuple(ImageRecord(f"{n}", b"") for n in range(5)), table, ())
    assert [(pair.first.name, pair.second.name) for pair in alike_pairs(some).closest] == [("0", "4"), ("1", "2")]
    assert alike_pairs(Likeness((), table[:0], ())) == ([], 0, 0)


@pytest.mark.slow
def test_the_commands(home: Path, folder: Path) -> None:
    done = CliRunner().invoke(app, ["search", "--like", str(DEMO / "hotel.jpg"), "--folder", str(folder), "--json"])
    assert done.exit_code == 1, done.output  # an image that can't be read
    answer = json.loads(done.stdout)
    assert answer["results"][0]["image"] == "hotel.jpg" and [one["image"] for one in answer["problems"]] == [
        "broken.jpg"
    ]
    (folder / "broken.jpg").unlink()
    (folder / "lexicons.csv").write_text("file,words\nagain.jpg,CAFE\ncafe.jpg,CAFE\nhotel.jpg,HOTEL\n")
    done = CliRunner().invoke(app, ["dataset", "--data", str(folder), "--duplicates", "--json"])
    assert done.exit_code == 0, done.output
    (pair,) = (pair for pair in json.loads(done.stdout)["duplicates"] if pair["kind"] == "near-duplicate")
    assert {pair["first"], pair["second"]} == {"again.jpg", "cafe.jpg"} and pair["similarity"] > DUPLICATE
    queue = ["annotations", "queue", "--data", str(folder), "--annotator", "Anna", "--json"]
    for more, names in (([], ["again.jpg", "cafe.jpg", "hotel.jpg"]), (["--once"], ["again.jpg", "hotel.jpg"])):
        done = CliRunner().invoke(app, [*queue, *more])
        assert sorted(json.loads(done.stdout)[0]["pictures"]) == names
    for wrong in ([], ["cafe", "--like", str(DEMO / "cafe.jpg")]):
        done = CliRunner().invoke(app, ["search", *wrong, "--folder", str(folder)])
        assert isinstance(done.exception, OditsError) and "--like" in str(done.exception)


# Any CLIP model's embeddings.


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A reference to a small CLIP model of random weights."""
    return tiny.write_weights(tmp_path_factory.mktemp("clip") / "weights.safetensors")


def test_a_clip_models_embeddings_are_compared_and_stored_by_its_weights(
    home: Path, folder: Path, clip: str, tmp_path: Path
) -> None:
    model = load(clip, "cpu", kind="clip")
    embedder = ClipEmbedder(model)
    calls: list[tuple[int, int]] = []
    found = embed_records(records(folder), progress=lambda done, of: calls.append((done, of)), embedder=embedder)
    assert calls[-1] == (4, 4) and [problem.image for problem in found.problems] == ["broken.jpg"]
    with Image.open(folder / "cafe.jpg") as image:
        alone = model.encode_images([image.convert("RGB")]).numpy()[0]
    np.testing.assert_allclose(found.table[1], alone, atol=1e-5)
    assert most_alike(found, alone, 1)[0].record.name == "cafe.jpg"
    whole = found.records
    assert stored_likeness(whole) is None, "another network has not seen them"
    again = stored_likeness(whole, embedder.key)
    assert again is not None and (again.table == found.table).all()
    other = load(EMBEDDED, "cpu", kind="clip")
    assert ClipEmbedder(other).key not in (embedder.key, PHOTO_KEY)
    assert stored_likeness(whole, ClipEmbedder(other).key) is None


@pytest.mark.slow
def test_other_processes_load_the_clip_model_by_its_reference(home: Path, folder: Path) -> None:
    embedder = ClipEmbedder(load(EMBEDDED, "cpu", kind="clip"))
    there = embed_records(records(folder), Workers(1), embedder=embedder, reference=EMBEDDED, device="cpu")
    PICTURE_EMBEDDINGS.clear()
    here = embed_records(records(folder), embedder=embedder)
    np.testing.assert_allclose(there.table, here.table, atol=1e-4)


def test_the_command_compares_a_clip_models_embeddings(home: Path, folder: Path, clip: str) -> None:
    (folder / "broken.jpg").unlink()
    command = ["search", "--like", str(DEMO / "hotel.jpg"), "--folder", str(folder), "--model", clip]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["results"][0]["image"] == "hotel.jpg" and answer["results"][0]["similarity"] > 0.999
    assert tiny.ARCHITECTURE in answer["model"] and answer["images"] == 3
    done = CliRunner().invoke(app, command)
    assert tiny.ARCHITECTURE in done.output
    done = CliRunner().invoke(app, ["search", "hotel", "--folder", str(folder), "--model", clip])
    assert "--like" in str(done.exception)
    done = CliRunner().invoke(app, [*command[:-1], "spotting"])
    assert isinstance(done.exception, OditsError)
