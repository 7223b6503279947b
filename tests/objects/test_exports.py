"""Objects and words as files for Label Studio and CVAT, as tables, and as these tools themselves read them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from defusedxml.ElementTree import fromstring
from PIL import Image
from pycocotools import mask as coco

from odits.core.errors import OditsError
from odits.data import BoxedWord, ImageRecord
from odits.data.csv_tables import unguard
from odits.data.exports import Predictor, WordsOfImage, format_of, picture_address, relative_names, write_files
from odits.data.predictions import WordProbability
from odits.data.word_exports import export_words
from odits.objects.coco import ExportedImage, exported_files
from odits.objects.detections import make_detections
from odits.objects.exports import PictureRegions, export_regions, regions_of, word_regions
from odits.objects.outlines import cvat_runs, label_studio_runs, polygons_of

SIZE = (80, 50)


def disc(x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def picture() -> PictureRegions:
    """A disc, a ring in two parts with a hole, and a line one pixel wide."""
    line = np.zeros(SIZE[::-1], bool)
    line[45, 3:70] = True
    masks = [disc(20, 20, 12), (disc(60, 20, 9) & ~disc(60, 20, 4)) | disc(40, 44, 2), line]
    found = make_detections(masks, [0.9, 0.8, 0.7], ["mask", "region", "text"], SIZE)
    return PictureRegions("street/a b.png", SIZE, regions_of(found, ["HOUSE", "", "=SUM(A1)"]))


def drawn(polygons: list[Any]) -> np.ndarray:
    """The pixels of polygons, as COCO's own code draws them."""
    return coco.decode(
        coco.merge(coco.frPyObjects([np.ravel(one).tolist() for one in polygons], SIZE[1], SIZE[0]))
    ).astype(bool)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_polygons_enclose_their_masks() -> None:
    whole, parts, line = (region.mask for region in picture().regions)
    assert whole is not None and parts is not None and line is not None
    assert iou(drawn(polygons_of(whole)), whole) > 0.97
    outlines = polygons_of(parts)
    assert len(outlines) == 2 and all(len(outline) >= 3 for outline in outlines)
    filled = parts | disc(60, 20, 4)
    assert iou(drawn(outlines), filled) > 0.95
    assert len(polygons_of(line)) == 1
    assert polygons_of(np.zeros((5, 5), bool)) == []
    assert len(polygons_of(np.eye(1, dtype=bool))[0]) >= 3, "CVAT: https://github.com/anuragxel/salt/issues/44"


def test_run_lengths_of_cvat_give_the_mask_back() -> None:
    for region in picture().regions:
        assert region.mask is not None
        told = cvat_runs(region.mask)
        left, top, width, height = (int(told[key]) for key in ("left", "top", "width", "height"))
        values = [value for number, run in enumerate(told["rle"].split(", ")) for value in [number % 2] * int(run)]
        again = np.zeros(SIZE[::-1], bool)
        again[top : top + height, left : left + width] = np.array(values, bool).reshape(height, width)
        np.testing.assert_array_equal(again, region.mask)


def decode(rle: list[int]) -> np.ndarray:
    """Label Studio's run lengths, decoded as its own JavaScript does."""
    bits = "".join(f"{byte:08b}" for byte in rle)
    at = 0

    def read(size: int) -> int:
        nonlocal at
        at += size
        return int(bits[at - size : at], 2)

    count, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < count:
        run = read(1)
        length = read(sizes[read(2)]) + 1
        values += [read(word)] * length if run else [read(word) for _ in range(length)]
    return np.array(values)


def test_run_lengths_of_label_studio_give_the_mask_back() -> None:
    for region in picture().regions:
        assert region.mask is not None
        channels = decode(label_studio_runs(region.mask)).reshape(SIZE[1], SIZE[0], 4)
        np.testing.assert_array_equal(channels, np.repeat(region.mask[..., None] * 255, 4, axis=2))
    large = np.zeros((300, 300), bool)
    assert not decode(label_studio_runs(large)).any(), "a run longer than 65,536"


def test_label_studio_tasks() -> None:
    files = export_regions([picture()], "SAM", "label-studio")
    (task,) = json.loads(files[".json"])
    assert task["data"] == {"image": "/data/local-files/?d=street/a%20b.png"}
    (prediction,) = task["predictions"]
    assert prediction["model_version"] == "SAM" and prediction["score"] == pytest.approx(0.8)
    results = prediction["result"]
    assert [one["value"]["polygonlabels"] for one in results] == [["HOUSE"], ["region"], ["region"], ["=SUM(A1)"]]
    assert len({one["id"] for one in results}) == 4
    for one in results:
        assert (one["original_width"], one["original_height"], one["image_rotation"]) == (*SIZE, 0)
        assert all(0 <= value <= 100 for point in one["value"]["points"] for value in point)
    config = fromstring(files[".config.xml"].decode())
    assert [label.get("value") for label in config.iter("Label")] == ["HOUSE", "region", "=SUM(A1)"]
    again = json.loads(export_regions([picture()], "SAM", "label-studio")[".json"])
    assert again == [task], "the same objects get the same ids"


def test_boxes_and_texts_of_label_studio() -> None:
    record = ImageRecord("a.png", b"", boxed=(BoxedWord('A "B" & <C>', (8, 5, 40, 25)),))
    files = export_regions(
        [PictureRegions("a.png", SIZE, word_regions(record))], "SVT", "label-studio", "box", "https://h/"
    )
    (task,) = json.loads(files[".json"])
    assert task["data"]["image"] == "https://h/a.png"
    box, text = task["predictions"][0]["result"]
    assert box["value"] == {"x": 10, "y": 10, "width": 40, "height": 40, "rotation": 0, "rectanglelabels": ["text"]}
    assert text["id"] == box["id"] and text["value"]["text"] == ['A "B" & <C>']
    assert [one.tag for one in fromstring(files[".config.xml"].decode())] == ["Image", "RectangleLabels", "TextArea"]


def test_cvat() -> None:
    root = fromstring(export_regions([picture()], "SAM", "cvat")[".xml"].decode())
    assert root.findtext("version") == "1.1" and root.findtext("meta/task/mode") == "annotation"
    assert [label.findtext("name") for label in root.iter("label")] == ["HOUSE", "region", "=SUM(A1)"]
    (image,) = root.findall("image")
    assert image.attrib == {"id": "0", "name": "street/a b.png", "width": "80", "height": "50"}
    polygons = image.findall("polygon")
    assert [one.get("label") for one in polygons] == ["HOUSE", "region", "region", "=SUM(A1)"]
    assert [one.get("group_id") for one in polygons] == [None, "2", "2", None], "parts of one object belong together"
    for one in polygons:
        points = [tuple(map(float, point.split(","))) for point in (one.get("points") or "").split(";")]
        assert len(points) >= 3 and all(0 <= x <= 80 and 0 <= y <= 50 for x, y in points)
        assert one.get("source") == "auto" and one.get("occluded") == "0"
    assert [(one.get("name"), one.text) for one in polygons[0]] == [("kind", "mask"), ("score", "0.9")]
    masks = fromstring(export_regions([picture()], "SAM", "cvat", "mask")[".xml"].decode())
    assert len(masks.findall("image/mask")) == 3
    boxes = fromstring(export_regions([picture()], "SAM", "cvat", "box", "set/")[".xml"].decode())
    assert boxes.find("image").get("name") == "set/street/a b.png"
    assert boxes.find("image/box").get("xbr") == "33.00"
    assert [label.findtext("type") for label in boxes.iter("label")] == ["rectangle"] * 3


def test_cvat_without_any_label_and_with_letters_that_xml_has_not() -> None:
    """FiftyOne fails over an empty <labels> (https://github.com/voxel51/fiftyone/issues/3366)."""
    empty = fromstring(export_regions([PictureRegions("a.png", SIZE, [])], "SAM", "cvat")[".xml"].decode())
    assert len(list(empty.iter("label"))) == 1
    odd = [WordsOfImage("a\x0b.png", SIZE, [WordProbability("B\x00R\ud800", 0.5)])]
    root = fromstring(export_words(odd, BY, "cvat")[".xml"].decode())
    assert root.find("image/tag").get("label") == "B�R�"


def test_tables_hold_no_formula_and_come_back_as_they_were() -> None:
    content = export_regions([picture()], "=cmd()", "csv")[".csv"].decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(content)))
    assert [row["label"] for row in rows] == ["HOUSE", "region", "'=SUM(A1)"]
    assert not any(value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())
    assert unguard(rows[2]["label"]) == "=SUM(A1)" and unguard(rows[0]["found_by"]) == "=cmd()"
    table = pq.read_table(io.BytesIO(export_regions([picture()], "SAM", "parquet")[".parquet"])).to_pylist()
    assert [row["label"] for row in table] == ["HOUSE", "region", "=SUM(A1)"]
    assert [row["area"] for row in table] == [int(region.mask.sum()) for region in picture().regions]  # type: ignore[union-attr]
    assert len(json.loads(table[1]["polygons"])) == 2


BY = Predictor("demo", "ODITS Signs", "c" * 64, "v" * 64)
WORDS = [WordsOfImage("b/a.jpg", SIZE, [WordProbability("HOTEL", 0.5), WordProbability("+49", 0.25)])]


def test_words_in_every_format() -> None:
    (task,) = json.loads(export_words(WORDS, BY, "label-studio", "s3://signs/")[".json"])
    assert task["data"]["image"] == "s3://signs/b/a.jpg"
    assert task["data"]["words"] == [{"value": "HOTEL"}, {"value": "+49"}]
    assert task["data"]["odits"]["image"] == "b/a.jpg"
    assert task["predictions"][0]["result"][0]["value"] == {"choices": ["HOTEL", "+49"]}
    tags = fromstring(export_words(WORDS, BY, "cvat")[".xml"].decode()).findall("image/tag")
    assert [(tag.get("label"), tag.findtext("attribute")) for tag in tags] == [("HOTEL", "0.5"), ("+49", "0.25")]
    rows = export_words(WORDS, BY, "csv")[".csv"].decode("utf-8-sig").splitlines()
    assert rows[1].startswith("demo,b/a.jpg,1,HOTEL,0.5,ODITS Signs,") and rows[2].split(",")[3] == "'+49"
    table = pq.read_table(io.BytesIO(export_words(WORDS, BY, "parquet")[".parquet"])).to_pylist()
    assert [(row["rank"], row["word"], row["probability"]) for row in table] == [(1, "HOTEL", 0.5), (2, "+49", 0.25)]


def test_which_format_a_file_gets() -> None:
    assert [format_of(Path(name), None) for name in ("a.JSON", "a.xml", "a.csv", "a.parquet")] == [
        "label-studio", "cvat", "csv", "parquet",
    ]  # fmt: skip
    assert format_of(Path("a.txt"), "csv") == "csv"
    with pytest.raises(OditsError, match=r"The ending of a\.txt means no format: use \.json \(Label Studio\), \.xml"):
        format_of(Path("a.txt"), None)
    with pytest.raises(OditsError, match="There is no format 'yolo' here; there is label-studio, cvat"):
        format_of(Path("a.txt"), "yolo")
    with pytest.raises(OditsError, match="no shape 'star': choose polygon, mask, box"):
        export_regions([], "", "cvat", "star")


def test_how_pictures_are_named(tmp_path: Path) -> None:
    assert relative_names([Path("x/a.png"), Path("x/y/a.png")]) == ["a.png", "y/a.png"]
    assert relative_names([tmp_path / "a.png"]) == ["a.png"] and relative_names([]) == []
    assert picture_address("a b.png", None) == "a b.png"
    assert picture_address("a b.png", "https://h/?d=") == "https://h/?d=a%20b.png"
    assert picture_address("a b.png", "C:/signs/") == "C:/signs/a b.png"
    files = export_regions([picture()], "SAM", "label-studio")
    assert [path.name for path in write_files(tmp_path / "t.json", files)] == ["t.json", "t.config.xml"]


def test_objects_of_files_are_named_by_their_paths(tmp_path: Path) -> None:
    images = []
    for name in ("one/a.png", "two/a.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", SIZE).save(tmp_path / name)
        found = make_detections([disc(20, 20, 9)], [1.0], ["mask"], SIZE)
        images.append(ExportedImage("a.png", Image.new("RGB", SIZE), found, source=tmp_path / name))
    root = fromstring(exported_files(images, "cvat")[".xml"].decode())
    assert [image.get("name") for image in root.iter("image")] == ["one/a.png", "two/a.png"]
    document = json.loads(exported_files(images, "coco")[".json"])
    assert [image["file_name"] for image in document["images"]] == ["one/a.png", "two/a.png"]
    assert len(document["annotations"]) == 2


def test_coco_refers_to_turned_pictures_by_their_own_names_and_upright_sizes(tmp_path: Path) -> None:
    """https://github.com/HumanSignal/label-studio/issues/6608: width and height of a turned picture were swapped."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "my caf\u00e9.v2.jpg", exif=exif)
    found = make_detections([disc(20, 20, 9)], [1.0], ["mask"], SIZE)
    image = ExportedImage("my caf\u00e9.v2.jpg", Image.new("RGB", SIZE), found, source=tmp_path / "my caf\u00e9.v2.jpg")
    (told,) = json.loads(exported_files([image], "coco", prefix="pictures/")[".json"])["images"]
    assert (told["file_name"], told["width"], told["height"]) == ("pictures/my caf\u00e9.v2.jpg", *SIZE)


def converted(files: dict[str, bytes], folder: Path, form: str) -> Path:
    """What Label Studio's own converter makes of the tasks once their predictions are accepted."""
    sdk = pytest.importorskip(
        "label_studio_sdk", reason="label-studio-sdk is not installed: pip install label-studio-sdk"
    )
    from label_studio_sdk.converter import Converter
    from label_studio_sdk.label_interface import LabelInterface

    assert sdk
    config, tasks = files[".config.xml"].decode(), json.loads(files[".json"])
    interface = LabelInterface(config)
    interface.validate()
    done = []
    for number, task in enumerate(tasks, 1):
        for prediction in task["predictions"]:
            assert not interface.validate_prediction(prediction, return_errors=True)
        assert interface.validate_task({"data": task["data"]})
        result = task["predictions"][0]["result"]
        done.append(
            {"id": number, "data": task["data"], "annotations": [{"id": number, "completed_by": 1, "result": result}]}
        )
    (folder / "done.json").write_text(json.dumps(done))
    (folder / "out").mkdir()
    Converter(config, str(folder), download_resources=False).convert(
        str(folder / "done.json"), str(folder / "out"), form, is_dir=False
    )
    return folder / "out"


def test_label_studios_own_converter_makes_coco_of_it(tmp_path: Path) -> None:
    found = json.loads(
        (converted(export_regions([picture()], "SAM", "label-studio"), tmp_path, "COCO") / "result.json").read_text()
    )
    names = {category["id"]: category["name"] for category in found["categories"]}
    assert [names[one["category_id"]] for one in found["annotations"]] == ["HOUSE", "region", "region", "=SUM(A1)"]
    mask = picture().regions[0].mask
    assert mask is not None
    assert iou(drawn(found["annotations"][0]["segmentation"]), mask) > 0.97


def test_texts_do_not_stop_the_converter(tmp_path: Path) -> None:
    """https://github.com/HumanSignal/label-studio-converter/issues/226: exports of OCR tasks ended in KeyError: 'x'."""
    record = ImageRecord("a.png", b"", boxed=(BoxedWord("BAR", (8, 5, 40, 25)),))
    files = export_regions([PictureRegions("a.png", SIZE, word_regions(record))], "SVT", "label-studio", "box")
    found = json.loads((converted(files, tmp_path, "COCO") / "result.json").read_text())
    (only,) = found["annotations"]
    assert only["bbox"] == pytest.approx([8, 5, 32, 20])


def test_label_studios_own_converter_gives_brushes_back(tmp_path: Path) -> None:
    folder = converted(export_regions([picture()], "SAM", "label-studio", "mask"), tmp_path, "BRUSH_TO_NUMPY")
    masks = [np.load(path) > 0 for path in sorted(folder.glob("*.npy"))]
    assert len(masks) == 3
    for region in picture().regions:
        assert any(np.array_equal(mask, region.mask) for mask in masks)


def test_fiftyone_reads_the_cvat_file(tmp_path: Path) -> None:
    cvat = pytest.importorskip("fiftyone.utils.cvat", reason="FiftyOne is not installed: pip install fiftyone")
    (tmp_path / "a.xml").write_bytes(export_regions([picture(), picture()], "SAM", "cvat")[".xml"])
    _, _, images = cvat.load_cvat_image_annotations(str(tmp_path / "a.xml"))[:3]
    assert [len(image.polygons) for image in images] == [4, 4]
