"""Published weights by stand-ins of the hub and of Meta's server: their size, their download, the way by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from huggingface_hub import constants

from odits.cli import app
from odits.core.errors import OditsError
from odits.models import published
from odits.models.clip_references import by_architecture
from odits.models.published import DINO, OFFERED, by_hand, fetch, is_here, is_offline, place_of, size_of, use_of
from odits.models.segmentation import segmenters
from odits.models.segmentation.naming import GROUNDING_DINO
from tests.loopback import running, serving
from tests.models.clip.hub_stand_in import HubStandIn

CLIP = "timm/vit_base_patch32_clip_224.openai"
WEIGHTS = bytes(range(256)) * 400
SMALL = ("config.json", "preprocessor_config.json", "tokenizer_config.json", "tokenizer.json", "vocab.txt")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubStandIn]:
    stand_in = HubStandIn()
    with running(stand_in):
        stand_in.files = {
            f"{CLIP}/open_clip_model.safetensors": WEIGHTS,
            f"{GROUNDING_DINO}/model.safetensors": WEIGHTS[::-1],
            **{f"{GROUNDING_DINO}/{name}": b"{}" for name in SMALL},
        }
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, stand_in.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", stand_in.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield stand_in


class Meta(BaseHTTPRequestHandler):
    """Answers as Meta's server does: no digest, but ranges."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/sam_vit_b_01ec64.pth" else 403)
        self.send_header("Content-Length", str(len(WEIGHTS)))
        self.send_header("ETag", '"0123-45"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(WEIGHTS)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def meta(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[str]:
    with serving(Meta) as address:
        monkeypatch.setenv("ODITS_SAM_URL", address)
        yield address


def run(*arguments: str) -> int:
    with suppress(SystemExit):
        return int(app(["models", *arguments], standalone_mode=False) or 0)
    return 1


def test_looking_asks_no_server(hub: HubStandIn, meta: str) -> None:
    uses = {model.reference: use_of(model.reference) for model in OFFERED}
    assert uses == {"ViT-B-32/openai": "words", "sam:vit_b": "objects", DINO: "names"}
    for reference in uses:
        assert not is_here(reference) and not is_offline(reference) and by_hand(reference) and place_of(reference)
    assert hub.asked == []


def test_sizes_are_asked_of_the_server(hub: HubStandIn, meta: str) -> None:
    assert [size_of(model.reference) for model in OFFERED] == [len(WEIGHTS)] * 3
    assert hub.downloads() == [] and not any(method == "GET" and "resolve" in path for method, path, _ in hub.asked)
    with pytest.raises(OditsError, match="server answered 403"):
        size_of("sam:vit_l")
    with pytest.raises(OditsError, match="has no repository nobody/nothing"):
        size_of("hf-hub:nobody/nothing")
    with pytest.raises(OditsError, match="has no weights to download"):
        size_of("street")


def test_grounding_dino_comes_with_all_that_it_needs(hub: HubStandIn) -> None:
    seen: list[tuple[int, int]] = []
    folder = fetch(DINO, lambda done, of: seen.append((done, of)))
    assert folder is not None and {path.name for path in folder.iterdir()} == {*SMALL, "model.safetensors"}
    assert seen[-1] == (len(WEIGHTS), len(WEIGHTS)) and is_here(DINO)
    asked = len(hub.asked)
    with pytest.raises(OditsError, match=r"GroundingDINO's weights .* could not be loaded"):
        from odits.models.segmentation.naming import GroundingDinoNamer

        GroundingDinoNamer()  # these are no weights
    assert [path for method, path, _ in hub.asked[asked:] if method == "GET" and path.startswith("/lfs")] == []


def test_sam_is_checked_by_the_digest_that_is_known(
    hub: HubStandIn, meta: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place_of("sam:vit_b") / "sam_vit_b_01ec64.pth"
    with pytest.raises(OditsError, match="arrived damaged: its SHA-256 does not begin with ec2df6273261"):
        fetch("sam:vit_b")
    assert not file.exists()
    monkeypatch.setitem(segmenters.SAM_DIGESTS, file.name, hashlib.sha256(WEIGHTS).hexdigest())
    assert fetch("sam:vit_b") == file and file.read_bytes() == WEIGHTS and is_here("sam:vit_b")


def test_what_is_brought_by_hand_works_as_it_is_said(hub: HubStandIn, meta: str, tmp_path: Path) -> None:
    assert f"Get {meta}/sam_vit_b_01ec64.pth on another machine and put it into {place_of('sam:vit_b')}" in by_hand(
        "sam:vit_b"
    )
    place_of("sam:vit_b").mkdir(parents=True)
    (place_of("sam:vit_b") / "sam_vit_b_01ec64.pth").write_bytes(WEIGHTS)
    assert is_here("sam:vit_b")
    said = by_hand("ViT-B-32/openai")
    assert f"Get {hub.url}/{CLIP}/resolve/main/open_clip_model.safetensors on another machine" in said
    assert "type ViT-B-32-quickgelu@FILE as the model" in said
    (tmp_path / "own.safetensors").write_bytes(WEIGHTS)
    ref = by_architecture(f"ViT-B-32-quickgelu@{tmp_path / 'own.safetensors'}")
    assert ref is not None and ref.architecture == "ViT-B-32-quickgelu"
    assert "hf download IDEA-Research/grounding-dino-tiny" in by_hand(DINO)
    assert "type sam2:FOLDER" in by_hand("sam2:tiny") and "type FOLDER" in by_hand("hf-hub:signs/tiny")
    assert published.file_architecture(published.parse("ViT-B-32/laion2b_s34b_b79k")) == "ViT-B-32"


def test_offline_is_respected(hub: HubStandIn, meta: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert [is_offline(model.reference) for model in OFFERED] == [True, False, True]
    for work in (size_of, fetch):
        with pytest.raises(OditsError, match="HF_HUB_OFFLINE forbids it"):
            work(DINO)
    assert hub.asked == []


def test_the_command_gets_what_it_can_and_says_how_to_bring_the_rest(
    hub: HubStandIn, meta: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--get", DINO, "--get", "sam:vit_l", "--get", "ViT-B-32/openai", "--json") == 1
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert [one["reference"] for one in found["models"]] == [DINO, "ViT-B-32/openai"]
    assert Path(found["models"][1]["file"]).read_bytes() == WEIGHTS
    (problem,) = found["problems"]
    assert problem["reference"] == "sam:vit_l" and "answered 403 Forbidden. By hand: Get" in problem["problem"]
    assert "ViT-B-32/openai: 0.1 MB to download" in printed.err
    asked = len(hub.asked)
    assert run("--get", "ViT-B-32/openai") == 0 and len(hub.asked) == asked, "it is here"
    assert "ViT-B-32/openai" in capsys.readouterr().out
    with pytest.raises(OditsError, match="--get downloads and does nothing else"):
        run("--get", DINO, "embedded")


def test_without_a_network_it_is_one_sentence_and_the_way_by_hand(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert run("--get", "ViT-B-32/openai") == 1
    assert "http://127.0.0.1:9 can't be reached; check the network" in (said := capsys.readouterr().err)
    assert "By hand: Get http" in said and "Traceback" not in said
