"""Objects of many images: by processes or by Ray, the same; kept, resumed, and mistakes in one sentence."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.core.pool import Item, Workers
from odits.models.reference import from_settings, parse
from odits.models.segmentation.batch import ObjectsRequest, precompute, read_settings
from odits.models.segmentation.candidates import loosened, stored_candidates
from odits.models.segmentation.parameters import SamParameters, read_parameters
from odits.models.segmentation.sam_replay import Filters
from odits.models.segmentation.segmenters import identify_segmenter, load_segmenter
from odits.objects.codec import OBJECTS, result_key, stored_count, stored_objects
from tests.models.segmentation.small_sam import write_small_sam

DEMO = Path(__file__).parents[3] / "assets" / "demo"
IMAGES = [Item(path.name, path) for path in sorted(DEMO.glob("*.jpg"))[:3]]
EMBEDDED = ObjectsRequest("embedded")


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The reference of a small SAM whose random masks pass loose filters in part."""
    return f"sam:{write_small_sam(tmp_path_factory.mktemp('sam'))}"


LOOSE = SamParameters(points_per_side=3, pred_iou_thresh=0.3, stability_score_thresh=0.0)


def files(home: Path, kind: str = "objects") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "cache" / kind).glob("v1/*/*.*")}


@pytest.mark.slow
def test_processes_find_what_the_segmenter_finds(home: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = precompute(IMAGES, EMBEDDED, Workers(2), lambda *numbers: seen.append(numbers))
    assert (done.computed, done.stored, done.problems) == (3, 0, {})
    assert seen[0] == (0, 3) and seen[-1] == (3, 3) and len(seen) == 4
    segmenter = load_segmenter("embedded")
    assert done.segmenter == (segmenter.name, segmenter.key) == identify_segmenter("embedded")
    kept = files(home)
    for _, source, _ in IMAGES:
        assert isinstance(source, Path)
        OBJECTS.remove(result_key(source.read_bytes(), segmenter.key))
        assert stored_count(source, segmenter.key) is None
        assert stored_count(source, segmenter.key) != len(stored_objects(source, segmenter)) > 3
    assert files(home) == kept, "a process of its own and this one store the same bytes"


@pytest.mark.slow
def test_what_is_there_is_left_and_bytes_are_images_too(home: Path) -> None:
    content = Path(str(IMAGES[0][1])).read_bytes()
    assert precompute([Item("uploaded.jpg", content)], EMBEDDED, Workers(1)).computed == 1
    stamps = [path.stat().st_mtime_ns for path in (home / "cache" / "objects").glob("v1/*/*")]
    done = precompute(IMAGES[:1], EMBEDDED, Workers(1))
    assert (done.computed, done.stored) == (0, 1)
    assert [path.stat().st_mtime_ns for path in (home / "cache" / "objects").glob("v1/*/*")] == stamps


@pytest.mark.slow
def test_two_runs_at_once_compute_each_image_once(home: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        runs = list(threads.map(lambda _: precompute(IMAGES, EMBEDDED, Workers(1)), range(2)))
    assert sum(run.computed for run in runs) == 3 == len(files(home))
    assert [run.computed + run.stored for run in runs] == [3, 3]


@pytest.mark.slow
def test_images_that_cannot_be_read_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 not a picture")
    images = [
        Item("broken.jpg", tmp_path / "broken.jpg"),
        IMAGES[0],
        Item("gone.jpg", tmp_path / "gone.jpg"),
    ]
    done = precompute(images, EMBEDDED, Workers(1))
    assert done.computed == 1 and done.stored == 0 and set(done.problems) == {0, 2}
    assert done.problems[0].startswith("broken.jpg") and done.problems[2].startswith("gone.jpg")
    again = precompute(images, EMBEDDED, Workers(1))
    assert (again.computed, again.stored, set(again.problems)) == (0, 1, {0, 2})


@pytest.mark.slow
def test_nowhere_to_keep_it_ends_the_run_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "file"))
    with pytest.raises(OditsError, match="can't be written"):
        precompute(IMAGES[:1], EMBEDDED, Workers(1))
    done = precompute(IMAGES[:1], EMBEDDED, Workers(1), must_store=False)
    assert done.computed == 1 and (stored_count(IMAGES[0].source, done.segmenter.key) or 0) > 3, "remembered"
    with pytest.raises(OditsError, match="no segmenter"):
        precompute(IMAGES, ObjectsRequest("yolo"), Workers(1))


@pytest.mark.slow
def test_stopping_ends_the_processes_and_keeps_what_was_done(home: Path) -> None:
    def stop(done: int, _of: int) -> None:
        if done == 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        precompute(IMAGES, EMBEDDED, Workers(1), stop)
    kept = len(files(home))
    assert 1 <= kept < 3
    assert precompute(IMAGES, EMBEDDED, Workers(1)).stored == kept


@pytest.mark.slow
def test_sams_candidates_replay_to_its_objects(home: Path, sam: str) -> None:
    wanted = ObjectsRequest(sam, LOOSE, "cpu")
    objects = precompute(IMAGES[:2], wanted, Workers(1))
    candidates = precompute(IMAGES[:2], ObjectsRequest(sam, LOOSE, "cpu", "candidates"), Workers(1))
    assert objects.computed == candidates.computed == 2
    filters = Filters(*(getattr(LOOSE, name) for name in Filters._fields))
    for _, source, _ in IMAGES[:2]:
        kept = stored_candidates(source, candidates.segmenter.key)
        assert kept is not None
        assert kept.count(filters) == stored_count(source, objects.segmenter.key)
        assert kept.count(filters) > 0 and kept.count(filters._replace(pred_iou_thresh=2.0)) == 0
    other = SamParameters(points_per_side=3, pred_iou_thresh=0.31, box_nms_thresh=0.4, min_mask_region_area=9)
    assert loosened(other).points_per_side == 3 and loosened(other).box_nms_thresh == SamParameters().box_nms_thresh


@pytest.mark.slow
def test_a_damaged_candidate_file_is_none(home: Path, sam: str) -> None:
    wanted = ObjectsRequest(sam, LOOSE, "cpu", "candidates")
    key = precompute(IMAGES[:1], wanted, Workers(1)).segmenter.key
    (file,) = (home / "cache" / "candidates").glob("v1/*/*.npz")
    file.write_bytes(file.read_bytes()[:200])
    assert stored_candidates(IMAGES[0][1], key) is None
    assert precompute(IMAGES[:1], wanted, Workers(1)).computed == 1
    assert stored_candidates(IMAGES[0][1], key) is not None


def test_a_sam_that_was_loaded_once_is_known_without_loading(sam: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = identify_segmenter(sam, LOOSE)
    monkeypatch.setattr("odits.models.segmentation.sam_weights.load_sam", lambda *_: pytest.fail("loaded again"))
    assert identify_segmenter(sam, LOOSE) == first
    assert first.name == "SAM with 2 layers of width 32"
    assert identify_segmenter(sam).key != first.key
    file = Path(sam[4:])
    file.touch()  # it may hold other weights now
    with pytest.raises(pytest.fail.Exception, match="loaded again"):
        identify_segmenter(sam, LOOSE)


def test_a_request_survives_the_way_to_another_process(sam: str) -> None:
    grids = SamParameters(points_per_side=None, point_grids=(((0.5, 0.5), (0.25, 0.75)),))
    for request in (EMBEDDED, ObjectsRequest(sam, grids, "cpu", "candidates"), ObjectsRequest(sam, LOOSE)):
        settings = json.loads(json.dumps(request.task().settings))
        assert read_settings(settings["parameters"]) == request.parameters
        assert (settings["device"], settings["kind"]) == (request.device, request.kind)
        ref = from_settings(settings["model"], settings.get("weights"))
        assert ref == parse(request.reference, "segmenter")


def test_parameters_from_the_command_line() -> None:
    read = read_parameters(["points_per_side=16", "pred_iou_thresh = 0.9", "output_mode=coco_rle"])
    assert read == SamParameters(points_per_side=16, pred_iou_thresh=0.9, output_mode="coco_rle")
    for text, sentence in (
        ("points=3", "no parameter 'points'"),
        ("mode=approximate", "no parameter 'mode'"),
        ("points_per_side=many", "whole number"),
        ("pred_iou_thresh=2", "between 0 and 1"),
        ("box_nms_thresh", "must be a number"),
    ):
        with pytest.raises(OditsError, match=sentence):
            read_parameters([text])


def test_without_ray_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OditsError, match=r"pip install -r requirements-ray\.txt"):
        precompute(IMAGES, EMBEDDED, Workers(1, "local"))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (requirements-ray.txt)")
def test_ray_finds_what_processes_find(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "black.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    images = [
        *IMAGES[:2],
        Item("broken.png", tmp_path / "broken.png"),
        Item("black.png", tmp_path / "black.png"),
    ]
    kept = []
    for ray in (None, "local"):
        monkeypatch.setenv("ODITS_HOME", str(tmp_path_factory.mktemp("store")))
        done = precompute(images, EMBEDDED, Workers(2, ray))
        assert done.computed == 3 and set(done.problems) == {2}, done.problems
        assert done.problems[2].startswith("broken.png")
        kept.append(files(Path(os.environ["ODITS_HOME"])))
    assert kept[0] == kept[1] and len(kept[0]) == 3
    assert json.loads(next(iter(kept[0].values())))["segmenter"] == EMBEDDED.identity().name
    with pytest.raises(OditsError, match=r"No Ray cluster can be used at 127\.0\.0\.1:9"):
        precompute([Item("gone.png", b"x" * 9)], EMBEDDED, Workers(1, "127.0.0.1:9"))
