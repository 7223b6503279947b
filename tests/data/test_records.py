"""The one type for an image, in a file or in memory, and collections of them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.data.images import ImageError, image_digest
from odits.data.records import (
    BoxedWord,
    Collection,
    Dataset,
    ImageRecord,
    collection_of_dataset,
    collection_of_folder,
)


def save(path: Path, color: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), color).save(path, "PNG")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save(tmp_path / "shop.png")


def test_a_file_and_its_bytes_are_the_same_image(file: Path) -> None:
    stored, uploaded = ImageRecord("shop", file), ImageRecord("mine", file.read_bytes())
    assert stored.digest == uploaded.digest and len(stored.digest) == 64
    assert stored.read() == uploaded.read() == file.read_bytes()
    assert image_digest(stored.open()) == image_digest(uploaded.open())
    assert np.asarray(stored.open()).tolist() == [[[255, 0, 0]] * 8] * 6
    assert (stored.split, stored.lexicon, stored.boxed) == ("", (), ())
    assert stored.path == file
    with pytest.raises(OditsError, match=r"^mine is not in a file\.$"):
        _ = uploaded.path


def test_the_size_comes_from_the_header_alone(file: Path, tmp_path: Path) -> None:
    assert ImageRecord("shop", file).size() == ImageRecord("mine", file.read_bytes()).size() == (8, 6)
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG")
    half = ImageRecord("half", stream.getvalue()[: len(stream.getvalue()) // 2])
    assert half.size() == (80, 60)
    with pytest.raises(ImageError, match=r"^half is damaged or cut off"):
        half.open()
    with pytest.raises(ImageError, match=r"^mine\.png is not an image"):
        ImageRecord("mine.png", b"no picture").size()


def test_the_visible_words_are_the_boxed_ones() -> None:
    boxed = (BoxedWord("BAR", (0, 0, 2, 2)), BoxedWord("INN", (2, 2, 4, 4)))
    assert ImageRecord("a", b"", "eval", ("CAFE",), boxed).visible == ("BAR", "INN")


def test_a_stamp_changes_with_the_content_and_a_digest_too(file: Path) -> None:
    record = ImageRecord("shop", file)
    stamp, digest = record.stamp, record.digest
    assert record.stamp == stamp and str(file) in stamp
    save(file, "blue")
    os.utime(file, ns=(1, 1))
    assert record.stamp != stamp and record.digest != digest
    other = ImageRecord("shop", save(file.with_name("other.png"), "blue"))
    assert other.digest == record.digest and other.stamp != record.stamp


def test_a_stamp_tells_size_and_time_apart(file: Path) -> None:
    record = ImageRecord("shop", file)
    os.utime(file, ns=(5, 5))
    first = record.stamp
    os.utime(file, ns=(6, 6))
    second = record.stamp
    file.write_bytes(file.read_bytes() + b"0")
    os.utime(file, ns=(6, 6))
    assert len({first, second, record.stamp}) == 3


def test_bytes_are_stamped_by_their_content() -> None:
    assert ImageRecord("a", b"one").stamp == ImageRecord("b", b"one").stamp == ImageRecord("a", b"one").digest
    assert ImageRecord("a", b"one").stamp != ImageRecord("a", b"two").stamp


def test_a_file_that_is_gone_has_a_stamp_and_one_sentence(tmp_path: Path) -> None:
    gone = ImageRecord("gone.jpg", tmp_path / "place" / "gone.jpg")
    assert gone.stamp == str(tmp_path / "place" / "gone.jpg")
    for what in (lambda: gone.digest, gone.read, gone.open):
        with pytest.raises(ImageError, match=r"gone\.jpg") as caught:
            what()
        assert "\n" not in str(caught.value)


def test_an_error_names_the_record_not_the_file(tmp_path: Path) -> None:
    (tmp_path / "0001.jpg").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"^street/0001\.jpg is not an image"):
        ImageRecord("street/0001.jpg", tmp_path / "0001.jpg").open()


def test_records_can_be_told_apart_and_used_as_keys(file: Path) -> None:
    assert len({ImageRecord("a", file), ImageRecord("a", file), ImageRecord("a", file.read_bytes())}) == 2
    assert "PNG" not in repr(ImageRecord("a", file.read_bytes())), "a megabyte of pixels is no use in a message"


def dataset(*names: str) -> Dataset:
    records = tuple(ImageRecord(name, Path(name), "train" if name < "m" else "eval", (name[0],)) for name in names)
    return Dataset("small", Path("place"), records)


def test_an_image_is_found_by_name_with_or_without_its_ending() -> None:
    data = dataset("a.jpg", "a.png", "sub/b.jpg", "a")
    assert data.find("a.png").name == "a.png"
    assert data.find("a").name == "a", "a whole name goes before one without its ending"
    assert data.find("sub/b").name == "sub/b.jpg"
    assert dataset("a.jpg", "a.png").find("a").name == "a.jpg", "of two the first"
    with pytest.raises(OditsError, match="small has no image 'b'"):
        data.find("b")


def test_splits_and_their_words() -> None:
    data = dataset("z.jpg", "a.jpg", "b.jpg")
    assert data.splits == ("train", "eval")
    assert [record.name for record in data.split("train")] == ["a.jpg", "b.jpg"]
    assert data.split("all") == data.records
    assert data.vocabulary("train").words == ("a", "b") and data.vocabulary("train").name == "small, train words"
    assert dataset("z.jpg").splits == ("eval",) and dataset("z.jpg").split("train") == ()


def test_a_collection_of_a_data_set() -> None:
    data = dataset("z.jpg", "a.jpg")
    found = collection_of_dataset(data, "eval")
    assert (found.title, found.records) == ("small, eval images", data.split("eval"))
    assert collection_of_dataset(data).records == data.records
    keys = {collection_of_dataset(data, split).key for split in ("train", "eval", "all")}
    assert len(keys) == 3 and all(len(key) == 24 for key in keys)
    with pytest.raises(OditsError, match="small has no images of the split train"):
        collection_of_dataset(dataset("z.jpg"), "train")


def test_a_collection_of_a_folder_has_its_images_by_name(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "sub/c.tiff", ".hidden.png", ".folder/d.png", "notes.txt", "sub/.e.png"):
        save(tmp_path / name)
    found = collection_of_folder(tmp_path)
    assert [record.name for record in found.records] == ["a.jpg", "b.PNG", "sub/c.tiff"]
    assert [record.path for record in found.records] == [tmp_path / record.name for record in found.records]
    assert found.title == tmp_path.name
    again = collection_of_folder(tmp_path / "sub" / "..")
    assert again.key == found.key, "the same place"
    assert collection_of_folder(tmp_path / "sub").key != found.key
    assert found.key == Collection("another title", found.origin, ()).key


def test_a_folder_without_images_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OditsError, match=r"There are no images in .*\.bmp, "):
        collection_of_folder(tmp_path)
    with pytest.raises(OditsError, match="There is no folder"):
        collection_of_folder(tmp_path / "none")


def test_a_name_that_is_no_utf8_is_spelled_out_and_its_file_is_found(tmp_path: Path) -> None:
    save(tmp_path / "good.png")
    try:
        save(tmp_path / "odd.png").rename(tmp_path / os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("This file system only takes names in UTF-8.")
    found = {record.name: record for record in collection_of_folder(tmp_path).records}
    assert sorted(found) == [r"\xff.png", "good.png"]
    assert found[r"\xff.png"].open().size == (8, 6)
