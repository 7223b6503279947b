"""Building an index: real images, a build that is killed, images that come, change, go or are broken."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.core.pool import Workers
from odits.data import read_dataset
from odits.data.records import collection_of_dataset, collection_of_folder
from odits.models.reading.reader import TextReader
from odits.search.index import (
    DESCRIPTION,
    build_index,
    index_folder,
    is_current,
    is_unchanged,
    open_index,
    remove_index,
)
from odits.search.query import parse_query
from odits.search.ranking import Searcher, search
from tests.killing import run_and_kill
from tests.search.conftest import DEMO

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """A folder with three of the demo images, one of them in a subfolder."""
    folder = tmp_path / "street"
    (folder / "more").mkdir(parents=True)
    for name, target in (("cafe", "cafe.jpg"), ("hotel", "hotel.jpg"), ("bakery", "more/bakery.jpg")):
        shutil.copy(DEMO / f"{name}.jpg", folder / target)
    return folder


def first(folder: Path, word: str) -> str | None:
    """The name of the best image of a folder for a word, after its index was brought up to date."""
    hits = search(Searcher(build_index(collection_of_folder(folder), Workers(1))), parse_query(word), 1)
    return hits[0].image.name if hits else None


def readings(home: Path) -> set[str]:
    return {file.name for file in (home / "cache" / "readings").glob("v1/*/*.npz")}


def test_a_collection_is_a_folder_or_a_split(street: Path) -> None:
    (street / ".hidden").mkdir()
    shutil.copy(DEMO / "cafe.jpg", street / ".hidden" / "cafe.jpg")
    (street / "notes.txt").write_text("no image")
    names = [item.name for item in collection_of_folder(street).records]
    assert names == ["cafe.jpg", "hotel.jpg", "more/bakery.jpg"]
    demo = collection_of_dataset(read_dataset(DEMO))
    assert len(demo.records) == 6 and demo.key != collection_of_folder(DEMO).key
    with pytest.raises(OditsError, match="There is no folder"):
        collection_of_folder(street / "absent")
    with pytest.raises(OditsError, match="no images"):
        collection_of_folder(street / ".hidden" / "..").records and collection_of_folder(_empty(street))
    with pytest.raises(OditsError):
        collection_of_dataset(read_dataset(DEMO), "train")


def _empty(street: Path) -> Path:
    folder = street / "empty"
    folder.mkdir()
    return folder


def test_an_index_is_built_once(home: Path, street: Path) -> None:
    said: list[tuple[str, int, int]] = []
    collection = collection_of_folder(street)
    index = build_index(collection, Workers(2), lambda *told: said.append(told))
    assert [image.name for image in index.images] == ["cafe.jpg", "hotel.jpg", "more/bakery.jpg"]
    assert {what for what, _, _ in said} == {"Reading images", "Laying out the index"}
    assert said[-1][1:] == (3, 3)
    said.clear()
    again = build_index(collection, Workers(2), lambda *told: said.append(told))
    assert again.folder == index.folder and said == []
    assert len([path for path in index_folder(collection.key).iterdir() if path.is_dir()]) == 1


def test_new_changed_and_removed_images_are_noticed(home: Path, street: Path) -> None:
    assert first(street, "hotel") == "hotel.jpg"
    assert first(street, "pharmacy") is None
    shutil.copy(DEMO / "pharmacy.jpg", street / "new.jpg")
    assert first(street, "pharmacy") == "new.jpg"
    shutil.copy(DEMO / "theater.jpg", street / "hotel.jpg")
    os.utime(street / "hotel.jpg", ns=(1, 1))
    assert first(street, "theater") == "hotel.jpg"
    assert first(street, "hotel") != "hotel.jpg"
    (street / "new.jpg").unlink()
    assert first(street, "pharmacy") is None
    collection = collection_of_folder(street)
    assert is_current(collection, open_index(collection.key), TextReader())


def test_a_file_with_another_time_is_unchanged_while_it_shows_the_same(home: Path, street: Path) -> None:
    collection = collection_of_folder(street)
    index = build_index(collection, Workers(1))
    entry = next(image for image in index.images if image.name == "hotel.jpg")
    os.utime(street / "hotel.jpg", ns=(1, 1))
    assert is_unchanged(entry) and is_current(collection, index, TextReader())
    size = (street / "hotel.jpg").stat().st_size
    with Image.open(street / "hotel.jpg") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(street / "hotel.jpg", quality=50)
    with (street / "hotel.jpg").open("ab") as file:
        file.truncate(size)
    assert (street / "hotel.jpg").stat().st_size == size
    assert not is_unchanged(entry) and not is_current(collection, index, TextReader())


def test_a_broken_image_is_named_and_the_rest_goes_on(home: Path, street: Path) -> None:
    (street / "broken.jpg").write_bytes((DEMO / "cafe.jpg").read_bytes()[:5000])
    (street / "empty.png").touch()
    index = build_index(collection_of_folder(street), Workers(1))
    assert len(index.images) == 3
    assert [problem.name for problem in index.problems] == ["broken.jpg", "empty.png"]
    for problem in index.problems:
        assert problem.problem.startswith(problem.name) and problem.problem.endswith(".")
    assert is_current(collection_of_folder(street), index, TextReader())


def test_a_damaged_index_is_built_again_from_the_readings(home: Path, street: Path) -> None:
    collection = collection_of_folder(street)
    index = build_index(collection, Workers(1))
    table = index.folder / "table.npy"
    del index
    table.write_bytes(table.read_bytes()[:-1000])
    assert open_index(collection.key) is None
    assert first(street, "cafe") == "cafe.jpg"
    description = index_folder(collection.key) / DESCRIPTION
    description.write_text("{")
    assert open_index(collection.key) is None
    assert first(street, "cafe") == "cafe.jpg"
    document = json.loads(description.read_bytes())
    description.write_text(json.dumps(document | {"version": 0}))
    assert open_index(collection.key) is None
    remove_index(collection.key)
    assert not index_folder(collection.key).exists()


def test_a_stopped_build_leaves_the_former_index_and_its_readings(home: Path, street: Path) -> None:
    collection = collection_of_folder(street)
    before = build_index(collection, Workers(1))
    for number, name in enumerate(("market", "theater", "pharmacy")):
        image = Image.open(DEMO / f"{name}.jpg").resize((300, 225))
        image.save(street / f"z{number}.png")
    kept = readings(home)

    class StoppedError(Exception):
        pass

    def stop(what: str, done: int, of: int) -> None:
        if done == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        build_index(collection_of_folder(street), Workers(1), stop)
    still = open_index(collection.key)
    assert still is not None and still.folder == before.folder and len(still.images) == 3
    assert len(readings(home)) >= len(kept) + 1
    assert len(build_index(collection_of_folder(street), Workers(1)).images) == 6


def test_a_killed_build_goes_on(home: Path, street: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):  # not read yet, and small
        left, top = rng.integers(0, 60, 2).tolist()
        Image.open(DEMO / "cafe.jpg").crop((left, top, left + 400, top + 300)).save(street / f"z{number}.png")
    kept = readings(home)
    searching = ["search", "cafe", "--folder", str(street), "--workers", "1"]
    run_and_kill(searching, lambda: len(readings(home)) > len(kept))
    done = readings(home)
    assert kept < done
    stamps = {file: file.stat().st_mtime_ns for file in (home / "cache" / "readings").glob("v1/*/*.npz")}
    index = build_index(collection_of_folder(street), Workers(1))
    assert len(index.images) == 7
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in stamps.items()), "nothing is read twice"


def test_nothing_can_be_kept_where_nothing_can_be_written(
    home: Path, street: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = street / "file"
    file.touch()
    monkeypatch.setenv("ODITS_HOME", str(file))
    with pytest.raises(OditsError):
        build_index(collection_of_folder(street), Workers(1))
