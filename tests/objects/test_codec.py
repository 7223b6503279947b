"""Objects are segmented once, come back as they were, and are read by pycocotools."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from PIL import Image
from pycocotools import mask as coco

from odits.objects.codec import from_document, stored_count, stored_objects, to_document


class Halves:
    """A real, if simple, segmenter: the dark and the bright half of an image."""

    name, key = "halves", "halves-1"
    calls = 0

    def segment(self, image: Image.Image, advance: object = None) -> sv.Detections:
        self.calls += 1
        grey = np.asarray(image.convert("L"))
        masks = np.stack([grey < 128, grey >= 128])
        masks = masks[masks.any((1, 2))]
        return sv.Detections(
            xyxy=sv.mask_to_xyxy(masks).astype(np.float32),
            mask=masks,
            confidence=np.linspace(0.5, 0.9, len(masks), dtype=np.float32),
            data={"area": masks.sum((1, 2)), "kind": np.array(["region"] * len(masks))},
        )


def picture(path: Path) -> Path:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 20:] = 255
    Image.fromarray(pixels).save(path)
    return path


def test_segmented_once(tmp_path: Path) -> None:
    path, segmenter = picture(tmp_path / "a.png"), Halves()
    first = stored_objects(path, segmenter)
    again = stored_objects(path.read_bytes(), segmenter)  # a path or its bytes: the same image
    assert segmenter.calls == 1
    assert stored_count(path, segmenter.key) == len(first) == 2
    for name in ("xyxy", "mask", "confidence"):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name
    assert again.data["area"].tolist() == [800, 1600]
    assert again.data["kind"].tolist() == ["region", "region"]


def test_other_parameters_are_another_entry(tmp_path: Path) -> None:
    path, segmenter, other = picture(tmp_path / "a.png"), Halves(), Halves()
    other.key = "halves-2"
    stored_objects(path, segmenter)
    stored_objects(path, other)
    assert other.calls == 1


def edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    """Something that changes the document of an entry."""

    def changed(text: str) -> str:
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return changed


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: '{"objects": ',
        edit(lambda document: document.pop("size")),
        edit(lambda document: document["objects"][0].pop("bbox")),
        edit(lambda document: document["objects"][0]["bbox"].pop()),
        edit(lambda document: document["objects"][1].update(score="high")),
        edit(lambda document: document["objects"][1]["segmentation"].update(size=[4, 4])),
        edit(lambda document: document["objects"][1]["segmentation"].update(counts=[1, 2])),
        edit(lambda document: document["objects"].append("one")),
    ],
)
def test_a_damaged_entry_is_made_again(tmp_path: Path, home: Path, damage: Callable[[str], str]) -> None:
    path, segmenter = picture(tmp_path / "a.png"), Halves()
    stored_objects(path, segmenter)
    (entry,) = home.rglob("*.json")
    entry.write_text(damage(entry.read_text()))
    assert stored_count(path, segmenter.key) is None
    assert len(stored_objects(path, segmenter)) == 2
    assert segmenter.calls == 2


def test_objects_that_an_older_version_stored_are_read(tmp_path: Path, home: Path) -> None:
    path, segmenter = picture(tmp_path / "a.png"), Halves()
    document = to_document(segmenter.segment(Image.open(path))) | {"segmenter": "halves"}
    image, model = (hashlib.sha256(part).hexdigest()[:24] for part in (path.read_bytes(), segmenter.key.encode()))
    former = home / "objects" / model / f"{image}.json"
    former.parent.mkdir(parents=True)
    former.write_text(json.dumps(document))
    assert stored_count(path, segmenter.key) == 2 and not former.exists()
    assert len(stored_objects(path, segmenter)) == 2 and segmenter.calls == 1
    (entry,) = home.rglob("*.json")
    assert json.loads(entry.read_bytes()) == document, "moved as it was"


def test_a_hundred_stored_counts_cost_next_to_nothing(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    stored_objects(path, Halves())
    code = (
        "import sys, time; from pathlib import Path; began = time.perf_counter()\n"
        "from odits.objects.codec import stored_count\n"
        "assert all(stored_count(Path(sys.argv[1]), 'halves-1') == 2 for _ in range(100))\n"
        "print(time.perf_counter() - began, sorted({'torch', 'scipy', 'supervision', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    seconds, heavy = done.stdout.split(" ", 1)
    assert heavy == "[]\n" and float(seconds) < 2, done.stdout


def test_pycocotools_reads_the_masks(tmp_path: Path) -> None:
    found = Halves().segment(Image.open(picture(tmp_path / "a.png")))
    for entry, area in zip(to_document(found)["objects"], found.data["area"], strict=True):
        assert coco.area(entry["segmentation"]) == area == entry["area"]


def test_no_objects_come_back_as_none() -> None:
    empty = sv.Detections(
        xyxy=np.empty((0, 4), np.float32),
        mask=np.empty((0, 40, 60), bool),
        confidence=np.empty(0, np.float32),
        data={"area": np.empty(0, np.int64), "kind": np.empty(0, str)},
    )
    back = from_document(to_document(empty))
    assert len(back) == 0
    assert back.mask.shape == (0, 40, 60)
