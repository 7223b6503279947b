"""`odits objects`, `precompute` and `counts` with SAM 2 and SAM 3 that are only small, and with prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from odits.cli import app
from odits.core.errors import OditsError
from odits.core.files import asset
from tests.models.segmentation.small_hub_sam import write_small_sam2, write_small_sam3
from tests.models.segmentation.test_sam2 import scene

LOOSE = [f"--sam={one}" for one in ("points_per_side=2", "pred_iou_thresh=0", "stability_score_thresh=0")]


@pytest.fixture(scope="module")
def sam2(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sam2:{write_small_sam2(tmp_path_factory.mktemp('sam2') / 'small')}"


@pytest.fixture(scope="module")
def sam3(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sam3:{write_small_sam3(tmp_path_factory.mktemp('sam3') / 'small')}"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    scene(90, 60).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def run(*arguments: object, status: int = 0) -> tuple[Any, str]:
    """What a command prints on stdout, as JSON where it asks for that, and on stderr or as its mistake."""
    done = CliRunner().invoke(app, [str(one) for one in (*arguments, "--device", "cpu")])
    if status == 2:
        assert isinstance(done.exception, OditsError) and not done.stdout
        return "", str(done.exception)
    assert done.exit_code == status, done.stderr
    return (json.loads(done.stdout) if "--json" in arguments else done.stdout), done.stderr


def test_sam_2_finds_everything(sam2: str, picture: Path, tmp_path: Path, home: Path) -> None:
    found, _ = run("objects", picture, "--segmenter", sam2, *LOOSE, "--out", tmp_path / "out", "--json")
    assert found[0]["segmenter"] == "SAM 2 (small)" and found[0]["size"] == [60, 90] and found[0]["objects"]
    assert "text" not in found[0]["objects"][0]
    with Image.open(tmp_path / "out" / "a-objects.png") as overlay:
        assert overlay.size == (90, 60)


def test_sam_3_finds_what_texts_name(sam3: str, picture: Path, tmp_path: Path, home: Path) -> None:
    command = ["objects", picture, "--segmenter", sam3, "--text", "sign", "--text", "door", "--sam=text_threshold=0.05"]
    found, _ = run(*command, "--coco", tmp_path / "coco", "--json")
    assert found[0]["segmenter"] == "SAM 3 (small): sign, door"
    assert {one["text"] for one in found[0]["objects"]} == {"sign", "door"}
    labels = json.loads((tmp_path / "coco" / "labels.json").read_text())
    assert {one["name"] for one in labels["categories"]} == {"sign", "door"}
    shown, _ = run(*command)
    assert "sign" in shown and "door" in shown


def test_points_and_boxes(sam2: str, sam3: str, picture: Path, home: Path) -> None:
    for segmenter in (sam2, sam3):
        found, _ = run("objects", picture, "--segmenter", segmenter, "--point=30,20", "--point=31,22.5", "--json")
        assert len(found[0]["objects"]) == 1
        boxed, _ = run("objects", picture, "--segmenter", segmenter, "--box", "20,10,60,50", "--json")
        assert len(boxed[0]["objects"]) == 1 and boxed != found
    scene(20, 20).save(picture.with_name("b.png"))
    both, said = run(
        "objects", picture, picture.with_name("b.png"), "--segmenter", sam2, "--point=50,30", "--json", status=1
    )
    assert [one["image"] for one in both] == [str(picture)] and "b.png" in said and "outside" in said


def test_what_does_not_fit_is_one_sentence(sam2: str, picture: Path, home: Path) -> None:
    for options, says in (
        (["--segmenter", sam2, "--text", "sign"], "takes no text"),
        (["--text", "sign"], "--text is for SAM 3"),
        (["--point", "3,4"], "are for a SAM"),
        (["--segmenter", sam2, "--point", "3"], "--point takes X,Y"),
        (["--segmenter", sam2, "--box", "1,2,3,nan"], "--box takes"),
        (["--segmenter", sam2, "--box", "5,5,5,9"], "no area"),
        (["--segmenter", sam2, "--sam", "mode=approximate"], "no parameter 'mode'"),
        (["--segmenter", "sam2:/no/such/folder"], "no segmenter"),
    ):
        out, err = run("objects", picture, *options, status=2)
        assert out == "" and says in err and len(err.splitlines()) == 1


@pytest.mark.slow
def test_many_images_and_their_counts(sam2: str, sam3: str, tmp_path: Path, home: Path) -> None:
    for number in range(3):
        scene(60 + number, 40).save(tmp_path / f"{number}.png")
    folder = ["--folder", tmp_path, "--workers", "1"]
    done, _ = run("precompute", *folder, "--segmenter", sam2, *LOOSE, "--json")
    assert (done["computed"], done["segmenter"]) == (3, "SAM 2 (small)")
    done, _ = run("precompute", *folder, "--segmenter", sam2, *LOOSE, "--candidates", "--json")
    assert done["computed"] == 3
    done, _ = run("precompute", *folder, "--segmenter", sam3, "--text", "sign", "--json")
    assert (done["computed"], done["segmenter"]) == (3, "SAM 3 (small): sign")
    _, err = run("precompute", *folder, "--segmenter", sam3, "--text", "sign", "--candidates", status=2)
    assert "no --text" in err


@pytest.mark.slow
def test_counts_of_a_data_set(sam2: str, sam3: str, tmp_path: Path, home: Path) -> None:
    rows = ["file,words,split"]
    for number in range(8):
        scene(40 + number, 40).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,BAR HOTEL,train")
    (tmp_path / "lexicons.csv").write_text("\n".join(rows))
    command = ["counts", "--data", tmp_path, "--workers", "1", "--tune", "--json"]
    for options in (
        ["--segmenter", sam2, *LOOSE],
        ["--segmenter", sam3, "--text", "sign", "--sam=text_threshold=0.05"],
    ):
        done, _ = run(*command, *options)
        assert len(done["images"]) == 8 and done["tuning"]["tried"] > 100


@pytest.mark.slow
def test_imagenet_names_objects_and_the_picture(home: Path) -> None:
    (document,), _ = run("objects", asset("demo/bakery.jpg"), "--names", "imagenet", "--json")
    assert document["named_by"] == "EfficientNet-Lite2 (ImageNet)" and 0 <= document["scene"]["score"] <= 1
    assert {one["kind"] for one in document["objects"]} == {"text", "region"}
    assert all(one["name"] == "" for one in document["objects"] if one["kind"] == "text")
    levels = {"class", "group", "surface", "plain surface"}
    assert all((one["name_level"] in levels) == bool(one["name"]) for one in document["objects"])
    assert all((one["name_score"] > 0) == (one["name_level"] in ("class", "group")) for one in document["objects"])
    _, mistake = run("objects", asset("demo/bakery.jpg"), "--names", "imagenet:x", status=2)
    assert "use imagenet, clip" in mistake
