"""The Hugging Face hub, by a server that answers as it does: what comes is checked, what does not is one sentence."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save

from odits.cli import app
from odits.core.errors import OditsError, StoppedError
from odits.models.clip import hub
from odits.models.clip.hub import cached_references, fetch_pretrained, fetch_repository
from odits.models.clip.loading import load_clip
from odits.models.registry import fetch, from_settings, is_here, parse, to_settings
from tests.loopback import running
from tests.models.clip.hub_stand_in import COMMIT, HubStandIn
from tests.models.clip.tiny_clip import tiny_files, tiny_weights

TINY = "hf-hub:signs/tiny"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tiny_weights(tmp_path_factory.mktemp("config"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: bytes) -> Iterator[HubStandIn]:
    hub = HubStandIn()
    with running(hub):
        hub.files = {
            **{f"signs/tiny/{name}": content for name, content in tiny_files(weights).items()},
            "laion/CLIP-ViT-B-32-laion2B-s34B-b79K/open_clip_model.safetensors": b"x" * 50_000,
        }
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield hub


def refusal(reference: str = TINY) -> str:
    with pytest.raises(OditsError) as found:
        fetch(reference)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_a_model_of_the_hub(server: HubStandIn, monkeypatch: pytest.MonkeyPatch, weights: bytes) -> None:
    before = parse(TINY, "clip")
    assert (before.path, before.ready, before.published, is_here(TINY)) == (None, False, True, False)
    seen: list[tuple[int, int]] = []
    model = load_clip(TINY, "cpu", lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(weights), len(weights))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    ref = parse(TINY)
    assert ref.ready and is_here(TINY) and ref.reference == TINY and ref.stem == TINY
    assert ref.path is not None and ref.path.read_bytes() == weights and ref.describes(model.checkpoint)
    asked = len(server.asked)
    assert load_clip(TINY, "cpu").checkpoint == load_clip(ref, "cpu").checkpoint == model.checkpoint
    assert load_clip(from_settings(**to_settings(ref)), "cpu").checkpoint == model.checkpoint, "a worker has the same"
    assert len(server.asked) == asked, "what is here is not asked for again"
    assert cached_references() == [TINY]


def test_a_tag_of_open_clip(server: HubStandIn) -> None:
    assert not is_here("ViT-B-32/laion2b_s34b_b79k")
    path = fetch_pretrained("ViT-B-32", "laion2b_s34b_b79k")
    assert path.read_bytes() == b"x" * 50_000 and is_here("ViT-B-32/laion2b_s34b_b79k")
    assert cached_references() == ["ViT-B-32/laion2b_s34b_b79k"]


def test_a_connection_that_breaks_off_in_the_middle_goes_on(server: HubStandIn, weights: bytes) -> None:
    server.cut_after = 11 << 20
    assert (fetch_repository("signs/tiny") / "open_clip_model.safetensors").read_bytes() == weights
    (_, first), (_, second) = server.downloads()
    assert first is None and second is not None and second == f"bytes={11 << 20}-"


def test_a_wrong_digest_is_refused_and_nothing_of_it_stays(server: HubStandIn, weights: bytes) -> None:
    """The library compares the length alone."""
    server.damaged = True
    assert "signs/tiny arrived damaged: the SHA-256 of open_clip_model.safetensors does not begin with" in refusal()
    assert not is_here(TINY)
    server.damaged = False
    assert fetch(TINY) is not None and is_here(TINY)
    # and what is damaged later, in the cache, is noticed when it is next asked for
    path = fetch_pretrained("ViT-B-32", "laion2b_s34b_b79k")
    path.resolve().write_bytes(b"y" * 50_000)
    assert "arrived damaged" in refusal("ViT-B-32/laion2b_s34b_b79k")
    assert fetch("ViT-B-32/laion2b_s34b_b79k") == path and path.read_bytes() == b"x" * 50_000


def test_a_stopped_download_goes_on_and_is_laid_into_the_hub_s_cache(server: HubStandIn, weights: bytes) -> None:
    """huggingface_hub itself would begin again."""

    def stop(done: int, _total: int) -> None:
        if done > 2_000_000:
            raise StoppedError("Stopped.")

    server.pause = 0.01
    with pytest.raises(StoppedError):
        fetch(TINY, stop)
    assert not is_here(TINY)
    server.pause = 0
    path = fetch(TINY)
    assert path is not None and path.read_bytes() == weights and is_here(TINY)
    (_, first), (_, second) = server.downloads()
    assert first is None and second is not None and int(second[6:-1]) > 2_000_000
    blobs = path.resolve().parent
    assert path.is_symlink() and all(
        re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", blob.name) for blob in blobs.iterdir()
    )


def test_a_model_that_the_disk_has_no_room_for(server: HubStandIn) -> None:
    server.size = 10**15
    assert "signs/tiny (open_clip_model.safetensors) does not fit: 1,000,000,000 MB are still to come" in refusal()
    assert not is_here(TINY)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "GatedRepo", "signs/tiny is gated: accept its conditions at {url}/signs/tiny, then log in with"),
        (401, "GatedRepo", "signs/tiny is gated: accept its conditions at {url}/signs/tiny, then log in with"),
        (403, "", "signs/tiny could not be downloaded: {url} does not allow it (403); log in with"),
        (404, "", "signs/tiny could not be downloaded: {url} does not have it (404)"),
        (500, "", "signs/tiny could not be downloaded: {url} answered 500."),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(server: HubStandIn, status: int, code: str, said: str) -> None:
    server.status, server.error_code = status, code
    assert said.format(url=server.url) in refusal()


def test_what_is_not_there_is_one_sentence(server: HubStandIn) -> None:
    assert f"{server.url} has no repository signs/absent, or it is private" in refusal("hf-hub:signs/absent")
    assert refusal(f"{TINY}@v9") == "signs/tiny has no revision 'v9'."
    assert fetch(f"{TINY}@{COMMIT}") == fetch(TINY)
    server.files["signs/empty/open_clip_config.json"] = server.files["signs/tiny/open_clip_config.json"]
    assert "signs/empty holds none of open_clip_model.safetensors" in refusal("hf-hub:signs/empty")
    server.files["signs/bert/config.json"] = b'{"model_type": "bert"}'
    server.files["signs/bert/model.safetensors"] = save({"a": torch.zeros(3)})
    assert "its config.json describes a model of type 'bert'" in refusal("hf-hub:signs/bert")
    for reference in ("hf-hub:", "hf-hub:a/b/c", "hf-hub:../x", "hf-hub:a b"):
        assert "names no repository: write hf-hub:ORG/NAME" in refusal(reference)


def test_without_a_network(server: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refusal() == ("signs/tiny is not on this machine and could not be downloaded: HF_HUB_OFFLINE forbids it.")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "could not be downloaded: http://127.0.0.1:9 can't be reached; check the network, name a mirror" in refusal()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(number: int) -> None:
    with (
        pytest.raises(OditsError, match=r"signs/tiny does not fit: the disk that holds .* is full"),
        hub._sentences("signs/tiny", "signs/tiny"),
    ):
        raise OSError(number, os.strerror(number))


def test_a_folder_that_cannot_be_written(server: HubStandIn, tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("a file, not a folder")
    assert "signs/tiny" in refusal()


@pytest.mark.slow
def test_a_mirror(server: HubStandIn, tmp_path: Path) -> None:
    """HF_ENDPOINT names it, in a process of its own."""
    code = f"from odits.models.registry import fetch; print(fetch({TINY!r}).name)"
    environment = os.environ | {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "open_clip_model.safetensors" and server.downloads()


def test_looking_references_up(server: HubStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    fetch(TINY)
    with pytest.raises(SystemExit) as ended:
        app(["models", TINY, "nowhere", "ViT-B/32", "--json"])
    assert ended.value.code == 1
    output = capsys.readouterr()
    found = json.loads(output.out)
    assert [(one["reference"], one["here"]) for one in found["models"]] == [(TINY, True), ("ViT-B-32/openai", False)]
    assert found["problems"][0]["reference"] == "nowhere" and "There is no checkpoint 'nowhere'" in output.err
    app(["models", "--json"], standalone_mode=False)
    assert TINY in [one["reference"] for one in json.loads(capsys.readouterr().out)["models"]]
