"""SAM 2 and SAM 3 from a stand-in of the hub, by the command line in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest

from tests.loopback import serving
from tests.models.segmentation.small_hub_sam import write_small_sam2
from tests.models.segmentation.test_sam2 import scene

pytestmark = pytest.mark.slow
COMMIT = "a" * 40


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does for one repository, `someone/small`; another one is gated."""

    folder: Path
    asked: list[str]

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        repository, _, name = self.path.strip("/").partition("/resolve/main/")
        path = self.folder / name
        if repository == "facebook/sam3":
            self._refuse(403, "GatedRepo")
        elif repository != "someone/small":
            self._refuse(404 if repository else 200, "RepoNotFound")
        elif not path.is_file():
            self._refuse(404, "EntryNotFound")
        else:
            content = path.read_bytes()
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            digest = hashlib.sha256(content) if path.suffix == ".safetensors" else hashlib.sha1(content)
            self.send_header("ETag", f'"{digest.hexdigest()}"')
            if path.suffix == ".safetensors":
                self.send_header("X-Linked-ETag", f'"{digest.hexdigest()}"')
                self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, type[Hub]]]:
    class Answers(Hub):
        folder = write_small_sam2(tmp_path_factory.mktemp("hub") / "small")
        asked: ClassVar[list[str]] = []

    with serving(Answers) as address:
        yield address, Answers


def objects(
    picture: Path, segmenter: str, home: Path, endpoint: str, *options: str
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "ODITS_HOME": str(home / "odits")}
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "odits", "objects", str(picture), "--segmenter", segmenter, "--device", "cpu"]
    loose = [f"--sam={one}" for one in ("points_per_side=2", "pred_iou_thresh=0", "stability_score_thresh=0")]
    return subprocess.run(
        [*command, *loose, "--json", *options],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )


def test_weights_are_downloaded_once_and_refusals_are_one_sentence(hub: tuple[str, type[Hub]], tmp_path: Path) -> None:
    address, answers = hub
    scene(60, 40).save(tmp_path / "a.png")
    first = objects(tmp_path / "a.png", "sam2:someone/small", tmp_path / "home", address)
    assert first.returncode == 0, first.stderr
    document = json.loads(first.stdout)[0]
    assert document["segmenter"] == "SAM 2 (someone/small)" and document["objects"]
    assert any(path.endswith("/model.safetensors") for path in answers.asked)
    answers.asked.clear()
    again = objects(tmp_path / "a.png", "sam2:someone/small", tmp_path / "home", "http://127.0.0.1:9")
    assert json.loads(again.stdout) == [document] and not answers.asked

    for segmenter, says in (("sam3", "gated"), ("sam2:someone/else", "no repository"), ("sam2:tiny", "no repository")):
        refused = objects(tmp_path / "a.png", segmenter, tmp_path / "home", address)
        assert refused.returncode == 2 and not refused.stdout
        assert says in refused.stderr and "Traceback" not in refused.stderr
    offline = objects(tmp_path / "a.png", "sam2:tiny", tmp_path / "home", "http://127.0.0.1:9")
    assert offline.returncode == 2 and "can't be reached" in offline.stderr and "Traceback" not in offline.stderr
