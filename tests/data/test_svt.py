from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.data import BoxedWord, read_dataset
from odits.data.svt import is_svt, read_svt


def rectangle(word: str, x: object, y: object, width: object, height: object) -> str:
    return f'<taggedRectangle x="{x}" y="{y}" width="{width}" height="{height}"><tag>{word}</tag></taggedRectangle>'


def element(name: str, lexicon: str, *rectangles: str) -> str:
    return (
        f"<image><imageName>{name}</imageName><lex>{lexicon}</lex>"
        f"<taggedRectangles>{''.join(rectangles)}</taggedRectangles></image>"
    )


def write(folder: Path, train: str | None, test: str | None, images: tuple[str, ...] = ("a", "b", "c")) -> Path:
    (folder / "img").mkdir()
    for name in images:
        Image.new("RGB", (100, 50)).save(folder / "img" / f"{name}.jpg")
    for file, content in (("train.xml", train), ("test.xml", test)):
        if content is not None:
            (folder / file).write_text(f"<?xml version='1.0' encoding='utf-8'?>\n<tagset>{content}</tagset>")
    return folder


def test_what_a_good_folder_gives(tmp_path: Path) -> None:
    write(
        tmp_path,
        element("img/a.jpg", "HOTEL,BAR,BAR", rectangle("BAR", 10, 5, 20, 30)),
        element("img/b.jpg", " BAR , GRILL"),
    )
    dataset = read_dataset(tmp_path)
    first, second = dataset.records
    assert dataset.warnings == ()
    assert (first.name, first.split, first.lexicon) == ("a.jpg", "train", ("HOTEL", "BAR", "BAR"))
    assert first.boxed == (BoxedWord("BAR", (10, 5, 30, 35)),)
    assert (second.name, second.split, second.lexicon, second.boxed) == ("b.jpg", "eval", ("BAR", "GRILL"), ())
    assert dataset.split("train") == (first,) and dataset.split("eval") == (second,)
    assert dataset.split("all") == dataset.records and dataset.splits == ("train", "eval")
    assert dataset.vocabulary().words == ("HOTEL", "BAR", "GRILL")
    assert dataset.find("b.jpg") is second and dataset.find("b") is second
    with pytest.raises(OditsError, match="no image 'z'"):
        dataset.find("z")
    with pytest.raises(OditsError, match="train, eval or all"):
        dataset.split("test")


def test_a_missing_or_broken_image_is_left_out_with_one_warning_each(tmp_path: Path) -> None:
    content = element("img/a.jpg", "BAR") + element("img/gone.jpg", "INN") + element("img/bad.jpg", "INN")
    write(tmp_path, content, "")
    (tmp_path / "img" / "bad.jpg").write_text("no picture")
    dataset = read_svt(tmp_path)
    assert [record.name for record in dataset.records] == ["a.jpg"]
    assert len(dataset.warnings) == 2
    assert dataset.warnings[0] == "train.xml, image 2: There is no image gone.jpg. Left out."
    assert dataset.warnings[1].startswith("train.xml, image 3: bad.jpg is not an image")


@pytest.mark.parametrize("lexicon", ["", " , ,", None])
def test_an_empty_lexicon_is_one_warning(tmp_path: Path, lexicon: str | None) -> None:
    bare = "<image><imageName>img/b.jpg</imageName></image>"
    write(tmp_path, element("img/a.jpg", "BAR") + (bare if lexicon is None else element("img/b.jpg", lexicon)), "")
    dataset = read_svt(tmp_path)
    assert dataset.find("b").lexicon == ()
    assert len(dataset.warnings) == 1 and "lexicon of b.jpg is empty" in dataset.warnings[0]


def test_boxes_are_cut_at_the_edge_or_left_out(tmp_path: Path) -> None:
    rectangles = (
        rectangle("IN", 0, 0, 100, 50),
        rectangle("LEFT", -5, 10, 20, 10),
        rectangle("RIGHT", 90, 45, 20, 10),
        rectangle("OUT", 200, 10, 20, 10),
        rectangle("FLAT", 10, 10, 0, 10),
        rectangle("WORDS", "ten", 10, 20, 10),
    )
    write(tmp_path, element("img/a.jpg", "BAR", *rectangles), "")
    dataset = read_svt(tmp_path)
    assert [(boxed.word, boxed.box) for boxed in dataset.records[0].boxed] == [
        ("IN", (0, 0, 100, 50)),
        ("LEFT", (0, 10, 15, 20)),
        ("RIGHT", (90, 45, 100, 50)),
    ]
    named = ("LEFT", "RIGHT", "OUT", "FLAT", "WORDS")
    assert len(dataset.warnings) == 5
    for word, warning in zip(named, dataset.warnings, strict=True):
        assert word in warning and "a.jpg" in warning and warning.startswith("train.xml, image 1: ")


@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
@pytest.mark.parametrize(
    ("resolution", "box"),
    [
        (None, (50, 160, 110, 300)),
        ((160, 320), (50, 160, 110, 300)),  # as displayed
        ((320, 160), (20, 210, 160, 270)),  # as stored: turned with the picture
    ],
)
def test_boxes_of_a_picture_that_is_turned(
    tmp_path: Path, format: str, resolution: tuple[int, int] | None, box: tuple[int, int, int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = resolution == (320, 160)
    word = rectangle("HOTEL", 210, 0, 60, 140) if stored else rectangle("HOTEL", 50, 160, 60, 140)
    told = f'<Resolution x="{resolution[0]}" y="{resolution[1]}"/></image>' if resolution else "</image>"
    write(tmp_path, None, element("img/t", "HOTEL", word).replace("</image>", told))
    Image.new("RGB", (320, 160)).save(tmp_path / "img" / "t", format, exif=exif)
    dataset = read_dataset(tmp_path)
    (record,) = dataset.records
    assert record.size() == record.open().size == (160, 320)
    assert [(boxed.word, boxed.box) for boxed in record.boxed] == [("HOTEL", box)]
    assert len(dataset.warnings) == 1, "that there is no train.xml"


def test_boxes_at_the_edge_to_the_pixel(tmp_path: Path) -> None:
    rectangles = (
        rectangle("FIRST", 0, 0, 1, 1),
        rectangle("LAST", 99, 49, 1, 1),
        rectangle("ALL", -1, -1, 102, 52),
        rectangle("TOP", 3, -4, 5, 5),
        rectangle("ABOVE", 3, -4, 5, 4),
        rectangle("RIGHT", 100, 10, 5, 5),
        rectangle("BELOW", 10, 50, 5, 5),
        rectangle("BACKWARDS", 10, 10, -5, 5),
        rectangle("", 10, 10, 5, 5),
    )
    write(tmp_path, "", element("img/a.jpg", "BAR", *rectangles))
    dataset = read_svt(tmp_path)
    assert [(boxed.word, boxed.box) for boxed in dataset.records[0].boxed] == [
        ("FIRST", (0, 0, 1, 1)),
        ("LAST", (99, 49, 100, 50)),
        ("ALL", (0, 0, 100, 50)),
        ("TOP", (3, 0, 8, 1)),
    ]
    assert ["cut there" in warning for warning in dataset.warnings] == [True, True] + [False] * 5


def test_paths_that_leave_the_folder_are_not_opened(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    Image.new("RGB", (9, 9)).save(outside / "secret.jpg")
    folder = tmp_path / "svt"
    folder.mkdir()
    names = ("../outside/secret.jpg", str(outside / "secret.jpg"), "img/link.jpg", "")
    write(folder, element("img/a.jpg", "BAR") + "".join(element(name, "X") for name in names), "")
    (folder / "img" / "link.jpg").symlink_to(outside / "secret.jpg")
    dataset = read_svt(folder)
    assert [record.name for record in dataset.records] == ["a.jpg"]
    assert len(dataset.warnings) == 4


def test_an_image_named_twice_counts_once(tmp_path: Path) -> None:
    dataset = read_svt(write(tmp_path, element("img/a.jpg", "BAR"), element("img/a.jpg", "INN")))
    assert [record.lexicon for record in dataset.records] == [("BAR",)]
    assert len(dataset.warnings) == 1 and "named before" in dataset.warnings[0]


def test_one_file_alone_is_enough(tmp_path: Path) -> None:
    assert not is_svt(tmp_path)
    dataset = read_dataset(write(tmp_path, None, element("img/a.jpg", "BAR")))
    assert dataset.splits == ("eval",) and dataset.split("train") == ()
    assert dataset.warnings == ("There is no train.xml, so the split train is empty.",)
    assert is_svt(tmp_path)


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE t [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>',
        '<!DOCTYPE t [<!ENTITY c SYSTEM "file:///etc/hostname">]>',
    ],
)
def test_entities_are_one_sentence(tmp_path: Path, declaration: str) -> None:
    (tmp_path / "train.xml").write_text(
        f"<?xml version='1.0'?>{declaration}<tagset><image><lex>&c;</lex></image></tagset>"
    )
    with pytest.raises(OditsError, match=r"^train\.xml declares XML entities"):
        read_svt(tmp_path)


@pytest.mark.parametrize(
    "content", ["<tagset><image>", "", "plain text", "<?xml version='1.0' encoding='nonsense'?><t/>"]
)
def test_xml_that_is_none_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "train.xml").write_text(content)
    with pytest.raises(OditsError, match=r"^train\.xml ") as caught:
        read_svt(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_line_of_a_mistake_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.xml").write_text("<tagset>\n<image>\n</tagset>")
    with pytest.raises(OditsError, match=r"^train\.xml is not well-formed XML \(line 3\)\.$"):
        read_svt(tmp_path)


def test_no_image_at_all(tmp_path: Path) -> None:
    with pytest.raises(OditsError, match="No image"):
        read_svt(write(tmp_path, "", ""))


def test_the_real_data_set(svt: Path) -> None:
    dataset = read_svt(svt)
    assert [len(dataset.split(split)) for split in ("train", "eval", "all")] == [100, 249, 349]
    assert [sum(len(r.boxed) for r in dataset.split(split)) for split in ("train", "eval")] == [257, 647]
    # three boxes of the eval set reach a few pixels over their image's edge
    assert [w.split("box of ")[1].split(" ")[0] for w in dataset.warnings] == ["'WHITE'", "'MUSEUM'", "'EAGLE'"]
    assert all(boxed.word in record.lexicon for record in dataset.records for boxed in record.boxed)
    assert len(dataset.vocabulary()) == 5363
    assert dataset.vocabulary().words[:3] == ("LIVING", "ROOM", "THEATERS")
    assert dataset.find("00_03").split == "eval"
